"""Keys of boards on a cable: `port` and `wifi`."""

# ruff: noqa: RUF009 (`entry` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass

from host.inventory.fields import Secret, Text
from host.inventory.sections import Section, entry
from host.model.fleet import SecretRef

PORT = Text(
    "a path such as `/dev/ttyUSB0`, or a URL: `rfc2217://HOST:PORT`, `socket://HOST:PORT`",
    r"^(?:(?:rfc2217|socket)://[^\s/]+:[0-9]{1,5}|(?![a-z0-9]+://)[^\s]{1,200})$",
)


@dataclass
class WifiSection(Section):
    """Access point for boards on a cable."""

    # IEEE 802.11: a name has at most 32 bytes.
    ssid: str = entry(
        Text("a name of 1 to 32 characters", r"^.{1,32}$"), "Its name.", default="", required=True
    )
    password: SecretRef | None = entry(
        Secret(), "A reference to the password; absent: an open network.", also=("key", "psk", "passphrase")
    )
