"""Keys of boards on a cable: `port` and `wifi`."""

# ruff: noqa: RUF009 (`setting` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass

from buoyfleet.inventory.fields import Field, Schema, Secret, Text
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.sections import Section, setting
from buoyfleet.inventory.yaml_nodes import Node
from buoyfleet.model.board_names import FORMS, PATTERN, parse_port
from buoyfleet.model.errors import UsageError
from buoyfleet.model.fleet import SecretRef, WifiSpec


class Port(Field):
    """A port, see `buoyfleet.model.board_names`. With `{id}` in it the boards' own are judged."""

    def __init__(self, expected: str = FORMS) -> None:
        self.expected = expected
        self._text = Text(expected, r"\S")

    def read(self, node: Node, path: str, report: Reporter) -> str:
        text: str = self._text.read(node, path, report).strip()
        if "{id}" not in text:
            try:
                parse_port(text)
            except UsageError as error:
                raise self.refuse(node, path, report, error.what, f"write {self.expected}") from None
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": PATTERN}


PORT = Port()


@dataclass
class WifiSection(Section, model=WifiSpec):
    """Access point for boards on a cable."""

    # IEEE 802.11: a name has at most 32 bytes.
    ssid: str = setting(Text("a name of 1 to 32 characters", r"^.{1,32}$"), "Its name.")
    password: SecretRef | None = setting(
        Secret(), "A reference to the password; absent: an open network.", also=("key", "psk", "passphrase")
    )
