"""The MQTT clients a virtual board can be linked with; all speak the firmware's transport contract."""

import ssl

from host.model.endpoint import Endpoint
from host.model.fleet import BoardSpec, TlsSpec
from host.mqtt.codec import Connect
from host.mqtt.dialler import Dialler
from host.mqtt.fleet_client import FleetClient
from host.mqtt.transport import Transport


def tls_context(tls: TlsSpec, thing_name: str) -> ssl.SSLContext:
    """A context of mutual TLS for one thing.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: a file is no certificate or key.
    """
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.certificate:
        context.load_cert_chain(
            tls.certificate.replace("{thing}", thing_name), tls.key.replace("{thing}", thing_name)
        )
    if tls.alpn:
        context.set_alpn_protocols([tls.alpn])
    return context


class TransportFactory:
    """Makes the transports of one pack; what they share (dialler, selector loop, TLS contexts) lives here."""

    def __init__(self, endpoint: Endpoint, first_number: int = 0) -> None:
        self._endpoint = endpoint
        self._shared_tls: ssl.SSLContext | None = None
        tls = endpoint.tls
        if tls is not None and "{thing}" not in tls.certificate + tls.key:
            self._shared_tls = tls_context(tls, "")
        self._dialler = Dialler(
            endpoint.host,
            endpoint.port,
            tls=self._shared_tls,
            server_name=tls.server_name if tls else "",
            first_number=first_number,
        )

    def make(self, spec: BoardSpec) -> Transport:
        """The transport of one board, not opened yet.

        Raises:
            OSError: a TLS file cannot be read.
            ValueError: the board's thing name or credentials do not fit MQTT.
        """
        endpoint = self._endpoint
        connect = Connect(
            spec.thing_name,
            keep_alive_s=spec.link.keep_alive_s,
            clean_session=spec.link.clean_session,
            username=endpoint.username or None,
            password=endpoint.password.encode() if endpoint.password else None,
        )
        tls = self._shared_tls
        if endpoint.tls is not None and tls is None:
            tls = tls_context(endpoint.tls, spec.thing_name)
        return FleetClient(self._dialler, connect, tls)

    async def close(self) -> None:
        """Wait, within bounds, until all connections are closed."""
        await self._dialler.close()
