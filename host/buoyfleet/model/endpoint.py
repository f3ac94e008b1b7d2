"""Where boards and the witness connect."""

from dataclasses import asdict, dataclass, field
from typing import Any

from buoyfleet.model.fleet import TlsSpec

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this computer on itself: to a board on a cable they are the board."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address and credentials of a broker."""

    host: str
    port: int
    tls: TlsSpec | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    cable_port: int = 0
    """Where boards on a cable connect, if not at `port`: they do not choose MQTT by ALPN."""

    def tls_document(self) -> dict[str, Any] | None:
        """The TLS settings (file names, no secrets) for a subprocess."""
        return None if self.tls is None else asdict(self.tls)
