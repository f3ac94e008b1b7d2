"""The `bench` key: how boards are flashed and commissioned, and what they do in service."""

# ruff: noqa: RUF009 (`entry` makes a dataclass field, which is what the rule wants)

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buoyfleet.inventory.cable_format import Port
from buoyfleet.inventory.fields import Many, Switch, Text, Whole
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.quantity_fields import duration_field
from buoyfleet.inventory.sections import Section, entry
from buoyfleet.inventory.values import duration_text
from buoyfleet.inventory.yaml_nodes import Node
from buoyfleet.model.bench import BenchSpec
from buoyfleet.model.board_names import is_url, parse_port

_BENCH = BenchSpec()
_VERSION = r"v?[0-9]+\.[0-9]+(?:\.[0-9]+)?"
_PORT = Port("a path, a pattern such as `/dev/serial/by-id/*`, a URL, or another name of a port")

_SERVER = r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?"
_SERVERS = rf"^{_SERVER}(?: *, *{_SERVER})*$"
_MOST_SERVERS_TEXT = 128
"""Of a text in a board's settings (`buoy.settings`)."""


class TimeServers(Many):
    """Names of time servers: a list, or one text with commas."""

    def read(self, node: Node, path: str, report: Reporter) -> list[str]:
        names = [name.strip() for text in super().read(node, path, report) for name in text.split(",")]
        if "none" in names and len(names) > 1:
            raise self.refuse(node, path, report, "`none` stands beside servers", "write one or the other")
        if len(",".join(names)) > _MOST_SERVERS_TEXT:
            message = f"the names are longer than {_MOST_SERVERS_TEXT} characters together"
            raise self.refuse(node, path, report, message, "three servers are enough")
        return names


@dataclass
class BenchSection(Section):
    """How boards are flashed and commissioned, and what they do in service."""

    OF = " of `bench`"

    interpreter: str = entry(
        Text("a version such as `1.26.1`, or the path of an image", r"^\S.{0,300}$"),
        "MicroPython for the boards: a version to download, or an image's file.",
        default="",
        shown="what runs on a board stays",
        also=("image", "micropython", "version"),
    )
    interpreter_sha256: str = entry(
        Text("64 hex digits", r"^[0-9a-fA-F]{64}$"),
        "What the image's SHA-256 must be.",
        default="",
        shown="that of the first download",
        also=("sha256", "checksum"),
    )
    ports: list[str] = entry(
        Many(_PORT, alone=True),
        "Ports beside this computer's USB ports, e.g. those of `buoy simulate`.",
        default_factory=list,
    )
    parallel: int = entry(
        Whole(0, 256), "Boards that are worked with at once; 0: all.", default=0, shown="`0`"
    )
    per_hub: int = entry(
        Whole(0, 256),
        "The same for each USB hub, because its supply may be weak; 0: all.",
        default=0,
        shown="`0`",
    )
    baud: int = entry(
        Whole(9600, 2_000_000),
        "Bits per second of flashing; slower ones are tried after it.",
        default=_BENCH.baud,
        shown=f"`{_BENCH.baud}`",
        also=("speed", "baudrate"),
    )
    publish_interval: int = entry(
        duration_field("1 s", "31 d", whole_s=True),
        "How often a buoy in service publishes.",
        default=_BENCH.publish_interval_s,
        shown=f"`{duration_text(_BENCH.publish_interval_s)}`",
    )
    low_power: bool = entry(
        Switch(), "Deep sleep between messages.", default=_BENCH.low_power, shown="`false`"
    )
    watchdog: int = entry(
        duration_field("0 s", "1 h", whole_s=True),
        "After this long without a step the board resets itself; `0 s`: never.",
        default=_BENCH.watchdog_s,
        shown=f"`{duration_text(_BENCH.watchdog_s)}`",
    )
    ntp_host: list[str] = entry(
        TimeServers(Text("a host name, with `:port` if it is not 123, or `none`", _SERVERS), alone=True),
        "Time servers of buoys in service, asked in turn; `none`: they get the time from a console only.",
        default_factory=lambda: _BENCH.ntp_host.split(","),
        shown=f"`[{_BENCH.ntp_host.replace(',', ', ')}]`",
        also=("ntp", "time_server", "ntp_hosts", "time_servers"),
    )


def bench_spec(section: BenchSection | None, folder: Path) -> BenchSpec:
    """The section as the bench uses it; relative paths start from the fleet file's folder."""
    if section is None:
        return BenchSpec()

    def path(text: str) -> str:
        return os.path.abspath(folder / os.path.expanduser(text))

    interpreter = section.interpreter
    if interpreter and not re.fullmatch(_VERSION, interpreter):
        interpreter = path(interpreter)
    return BenchSpec(
        interpreter=interpreter,
        interpreter_sha256=section.interpreter_sha256.lower(),
        ports=tuple(path(port) if _is_path(port) else port for port in section.ports),
        parallel=section.parallel,
        per_hub=section.per_hub,
        baud=section.baud,
        publish_interval_s=section.publish_interval,
        low_power=section.low_power,
        watchdog_s=section.watchdog,
        ntp_host="" if section.ntp_host == ["none"] else ",".join(section.ntp_host),
    )


def _is_path(port: str) -> bool:
    return parse_port(port).kind == "port" and not is_url(port)


def bench_document(bench: BenchSpec) -> dict[str, Any]:
    """What differs from the defaults, as a fleet file says it."""
    usual = BenchSpec()
    document: dict[str, Any] = {}
    for name in ("interpreter", "interpreter_sha256", "parallel", "per_hub", "baud", "low_power"):
        if getattr(bench, name) != getattr(usual, name):
            document[name] = getattr(bench, name)
    if bench.ports:
        document["ports"] = list(bench.ports)
    if bench.publish_interval_s != usual.publish_interval_s:
        document["publish_interval"] = duration_text(bench.publish_interval_s)
    if bench.watchdog_s != usual.watchdog_s:
        document["watchdog"] = duration_text(bench.watchdog_s)
    if bench.ntp_host != usual.ntp_host:
        document["ntp_host"] = bench.ntp_host.split(",") if bench.ntp_host else "none"
    return document
