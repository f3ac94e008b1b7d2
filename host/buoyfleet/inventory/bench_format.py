"""The `bench` key: how boards are flashed and commissioned, and what they do in service."""

# ruff: noqa: RUF009 (`setting` makes a dataclass field, which is what the rule wants)

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buoyfleet.inventory.cable_format import Port
from buoyfleet.inventory.collection_fields import Many
from buoyfleet.inventory.fields import Switch, Text, Whole
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.quantity_fields import duration_field
from buoyfleet.inventory.sections import Section, setting
from buoyfleet.inventory.values import absolute_path
from buoyfleet.inventory.yaml_nodes import Node
from buoyfleet.model.bench import BenchSpec
from buoyfleet.model.board_names import is_url, parse_port

_VERSION = r"v?[0-9]+\.[0-9]+(?:\.[0-9]+)?"
_PORT_FORMS = "a path, a pattern such as `/dev/serial/by-id/*`, a URL, or another name of a port"

_SERVER = r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?"
_SERVERS = rf"^{_SERVER}(?: *, *{_SERVER})*$"
_MOST_SERVERS_TEXT = 128
"""Of a text in a board's settings (`buoy.settings`)."""


class TimeServers(Many):
    """Names of time servers: a list, or one text with commas; gives a text with commas."""

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        names = [name.strip() for text in super().read(node, path, report) for name in text.split(",")]
        if "none" in names and len(names) > 1:
            raise self.refuse(node, path, report, "`none` stands beside servers", "write one or the other")
        text = ",".join(names)
        if len(text) > _MOST_SERVERS_TEXT:
            message = f"the names are longer than {_MOST_SERVERS_TEXT} characters together"
            raise self.refuse(node, path, report, message, "three servers are enough")
        return "" if text == "none" else text

    def resolve(self, value: str, folder: Path) -> str:  # noqa: ARG002
        return value

    def write(self, value: str) -> list[str] | str:
        return value.split(",") if value else "none"

    def shown(self, value: str) -> str:
        return f"[{value.replace(',', ', ')}]"


class _Interpreter(Text):
    def resolve(self, value: str, folder: Path) -> str:
        return value if re.fullmatch(_VERSION, value) else absolute_path(value, folder)


class _Sha256(Text):
    def resolve(self, value: str, folder: Path) -> str:  # noqa: ARG002
        return value.lower()


class _BenchPort(Port):
    def resolve(self, value: str, folder: Path) -> str:
        is_path = parse_port(value).kind == "port" and not is_url(value)
        return absolute_path(value, folder) if is_path else value


@dataclass
class BenchSection(Section, model=BenchSpec):
    """How boards are flashed and commissioned, and what they do in service."""

    OF = " of `bench`"

    interpreter: str = setting(
        _Interpreter("a version such as `1.26.1`, or the path of an image", r"^\S.{0,300}$"),
        "MicroPython for the boards: a version to download, or an image's file.",
        shown="what runs on a board stays",
        also=("image", "micropython", "version"),
    )
    interpreter_sha256: str = setting(
        _Sha256("64 hex digits", r"^[0-9a-fA-F]{64}$"),
        "What the image's SHA-256 must be.",
        shown="that of the first download",
        also=("sha256", "checksum"),
    )
    ports: list[str] | None = setting(
        Many(_BenchPort(_PORT_FORMS), alone=True),
        "Ports beside this computer's USB ports, e.g. those of `buoy simulate`.",
    )
    parallel: int = setting(Whole(0, 256), "Boards that are worked with at once; 0: all.")
    per_hub: int = setting(
        Whole(0, 256),
        "The same for each USB hub, because its supply may be weak; 0: all.",
    )
    baud: int = setting(
        Whole(9600, 2_000_000),
        "Bits per second of flashing; slower ones are tried after it.",
        also=("speed", "baudrate"),
    )
    publish_interval: int = setting(
        duration_field("1 s", "31 d", whole_s=True),
        "How often a buoy in service publishes.",
    )
    low_power: bool = setting(Switch(), "Deep sleep between messages.")
    watchdog: int = setting(
        duration_field("0 s", "1 h", whole_s=True),
        "After this long without a step the board resets itself; `0 s`: never.",
    )
    ntp_host: str = setting(
        TimeServers(Text("a host name, with `:port` if it is not 123, or `none`", _SERVERS), alone=True),
        "Time servers of buoys in service, asked in turn; `none`: they get the time from a console only.",
        also=("ntp", "time_server", "ntp_hosts", "time_servers"),
    )


def bench_document(bench: BenchSpec) -> dict[str, Any]:
    """The bench as a fleet file says it; empty where it is the usual one."""
    return {} if bench == BenchSpec() else BenchSection.document_of(bench)
