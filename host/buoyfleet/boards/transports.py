"""The MQTT clients a virtual board can be linked with; all speak the firmware's transport contract."""

import ssl
from typing import TYPE_CHECKING

from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.fleet import BoardSpec
from buoyfleet.mqtt.codec import Connect
from buoyfleet.mqtt.dialler import Dialler
from buoyfleet.mqtt.fleet_client import FleetClient
from buoyfleet.mqtt.tls import client_context
from buoyfleet.mqtt.transport import Transport
from buoyfleet.mqtt.turns import Turns

if TYPE_CHECKING:
    from buoyfleet.mqtt.paho_hub import PahoHub


class TransportFactory:
    """Makes the transports of one pack; what they share (dialler, selector loop, TLS contexts) lives here."""

    def __init__(
        self, endpoint: Endpoint, first_number: int = 0, connects_per_s: float | None = None
    ) -> None:
        self._endpoint = endpoint
        self._shared_tls: ssl.SSLContext | None = None
        tls = endpoint.tls
        if tls is not None and "{thing}" not in tls.certificate + tls.key:
            self._shared_tls = client_context(tls, "")
        self._first_number = first_number
        self._turns = None if connects_per_s is None else Turns(connects_per_s)
        # Made when the first board asks for it: paho is imported only where a board uses it.
        self._dialler: Dialler | None = None
        self._hub: PahoHub | None = None
        self._makers = {"fleet": self._fleet_client, "paho": self._paho_client}

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
            tls = client_context(endpoint.tls, spec.thing_name)
        return self._makers[spec.link.client](connect, tls)

    async def close(self) -> None:
        """Wait, within bounds, until all connections are closed."""
        if self._dialler is not None:
            await self._dialler.close()
        if self._hub is not None:
            await self._hub.close()

    def _server_name(self) -> str:
        return self._endpoint.tls.server_name if self._endpoint.tls else ""

    def _fleet_client(self, connect: Connect, tls: ssl.SSLContext | None) -> Transport:
        if self._dialler is None:
            self._dialler = Dialler(
                self._endpoint.host,
                self._endpoint.port,
                tls=self._shared_tls,
                server_name=self._server_name(),
                first_number=self._first_number,
                turns=self._turns,
            )
        return FleetClient(self._dialler, connect, tls)

    def _paho_client(self, connect: Connect, tls: ssl.SSLContext | None) -> Transport:
        from buoyfleet.mqtt.paho_client import PahoClient
        from buoyfleet.mqtt.paho_hub import PahoHub

        if self._hub is None:
            self._hub = PahoHub(
                self._endpoint.host,
                self._endpoint.port,
                tls=self._shared_tls,
                server_name=self._server_name(),
                turns=self._turns,
            )
        return PahoClient(self._hub, connect, tls)
