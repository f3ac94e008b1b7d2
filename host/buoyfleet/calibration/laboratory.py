"""Who calibrates: the head of a certificate."""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.inventory.fields import Text
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.sections import Section, entry
from buoyfleet.inventory.yaml_nodes import Node

LOGO_BYTES = 200_000
_KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
"""First bytes of a picture → its type."""
_ANY_TEXT = Text("a text", "")


class _Logo(Text):
    """A picture beside the file, as a data URL: certificates are made from the record alone."""

    def __init__(self) -> None:
        super().__init__("the path of a PNG or JPEG", r"\S")

    def read(self, node: Node, path: str, report: Reporter) -> str:
        name = super().read(node, path, report)
        try:
            data = (Path(report.file).parent / name).read_bytes()
        except OSError as error:
            raise self.refuse(node, path, report, f"the logo cannot be read: {error.strerror}") from None
        kind = next((kind for first, kind in _KINDS.items() if data.startswith(first)), "")
        if not kind:
            raise self.refuse(node, path, report, "the logo is neither PNG nor JPEG")
        if len(data) > LOGO_BYTES:
            message = f"the logo has {len(data)} bytes; at most {LOGO_BYTES} are taken"
            raise self.refuse(node, path, report, message)
        return f"data:{kind};base64,{b64encode(data).decode()}"


@dataclass
class Laboratory(Section):
    """What stands at the head of a certificate."""

    OF = " of `laboratory`"

    name: str = entry(_ANY_TEXT, "Its name.", default="")
    address: str = entry(_ANY_TEXT, "Its address.", default="")
    logo: str = entry(_Logo(), "Picture beside the file: PNG or JPEG, up to 200 kB.", default="")

    def content(self) -> dict[str, str]:
        """For the record."""
        found = {"name": self.name, "address": self.address, "logo": self.logo}
        return {name: value for name, value in found.items() if value or name != "logo"}
