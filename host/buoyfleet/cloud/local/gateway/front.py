"""Who is let in where: the ports of IoT Core beside that of MQTT. Light; `gateway` is loaded when needed.

| port here | AWS's | takes |
|---|---|---|
| `alpn_port` | 443 | by ALPN: MQTT or HTTPS with a certificate, MQTT with an authorizer; else: HTTPS |
| `http_port`, with TLS | 8443 | HTTPS with a certificate |
| `http_port`, without TLS | | HTTP without credentials |

Where there is HTTP there is WebSocket, but not with a certificate.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from buoyfleet.cloud.local.broker import Broker
from buoyfleet.cloud.local.broker.tls import ALPN_CUSTOM, ALPN_HTTPS, ALPN_MQTT, Peer
from buoyfleet.cloud.local.things import Services
from buoyfleet.model.twin import TwinSpec

if TYPE_CHECKING:
    from buoyfleet.cloud.local.gateway.gateway import Gateway
    from buoyfleet.cloud.local.gateway.keys import AccessKeys

LOG: Final = "authorizer.log"
"""What the functions of authorizers print, in the twin's folder."""


class Front:
    """Lets clients in, and makes what they need on first use."""

    def __init__(
        self, broker: Broker, services: Services, spec: TwinSpec, folder: Path, wall_limit_s: float
    ) -> None:
        """`folder`: the twin's."""
        self._broker = broker
        self._services = services
        self._spec = spec
        self._folder = folder
        self._wall_limit_s = wall_limit_s
        self._keys: AccessKeys | None = None
        self._gateway: Gateway | None = None
        if spec.authorizers or spec.access_policy:
            self.gateway()  # a mistake in their files must show now

    @property
    def keys(self) -> "AccessKeys":
        """The twin's access keys.

        Raises:
            OSError: their file cannot be written.
        """
        if self._keys is None:
            from buoyfleet.cloud.local.gateway.keys import AccessKeys

            self._keys = AccessKeys(self._folder)
        return self._keys

    def accept(self, peer: Peer) -> asyncio.Protocol | str:
        """A client on the port that is 443 in AWS."""
        if peer.alpn == ALPN_MQTT:
            return self._broker.accept(peer) if peer.certificate_id else _no_certificate(ALPN_MQTT)
        if peer.alpn == ALPN_CUSTOM:
            return self._login(peer)
        if peer.alpn == ALPN_HTTPS:
            return self._http(peer) if peer.certificate_id else _no_certificate(ALPN_HTTPS)
        # Without one of these names the certificate counts for nothing.
        return self._http(Peer(peer.alpn, "", peer.server_name))

    def accept_certificate(self, peer: Peer) -> asyncio.Protocol:
        """A client on the port that is 8443 in AWS; its certificate was checked."""
        return self._http(peer)

    def accept_plain(self) -> asyncio.Protocol:
        """A client without TLS."""
        return self._http(Peer())

    async def close(self) -> None:
        """End what was started."""
        if self._gateway is not None:
            await self._gateway.close()

    def _http(self, peer: Peer) -> asyncio.Protocol:
        from buoyfleet.cloud.local.gateway.http_door import HttpDoor

        return HttpDoor(self.gateway(), peer)

    def _login(self, peer: Peer) -> asyncio.Protocol | str:
        if not self._spec.authorizers:
            return f"ALPN {ALPN_CUSTOM} is for custom authorizers, and the twin has none"
        from buoyfleet.cloud.local.gateway.authorizer import Login
        from buoyfleet.cloud.local.gateway.gateway import MQTT
        from buoyfleet.cloud.local.gateway.login_door import LoginDoor

        return LoginDoor(self.gateway(), Login(peer.server_name, protocols=MQTT))

    def gateway(self) -> "Gateway":
        """What answers; made on first use.

        Raises:
            UsageError: an authorizer or the policy of the access keys cannot be used.
            OSError: the keys cannot be written.
        """
        if self._gateway is None:
            from buoyfleet.cloud.local.gateway.authorizer import Authorizer
            from buoyfleet.cloud.local.gateway.gateway import Gateway
            from buoyfleet.cloud.local.registry import read_policy

            spec, log = self._spec, self._folder / LOG
            authorizers = [Authorizer(one, log, self._wall_limit_s) for one in spec.authorizers]
            policy = read_policy(spec.access_policy) if spec.access_policy else None
            self._gateway = Gateway(
                self._broker, self._services, self.keys, policy, authorizers, spec.tls is not None
            )
        return self._gateway


def _no_certificate(alpn: str) -> str:
    return f"ALPN {alpn} needs a client certificate; the client sent none"
