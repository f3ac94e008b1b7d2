"""`buoy monitor`: what all boards say, interleaved."""

import queue
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from buoyfleet.cli.options import FLEET, FleetFile, Ports
from buoyfleet.model.errors import BuoyError, UsageError

if TYPE_CHECKING:
    from buoyfleet.serial.records import ConsoleRecord

LEVELS = ("debug", "info", "warning", "error")
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
"""ANSI; red is for errors."""
_POLL_S = 0.2


def monitor(
    boards: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BOARD]...", help="Ports, MACs, ids …; those of boards.yaml by default."),
    ] = None,
    level: Annotated[
        str, typer.Option("--level", help="Least level: debug, info, warning, error.")
    ] = "debug",
    grep: Annotated[str, typer.Option("--grep", help="Only lines that this regular expression fits.")] = "",
    protocol: Annotated[
        bool, typer.Option("--protocol", help="Answers and events of the console, too.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write everything to <folder>/<board>.log, too.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="End after this time; 0: at Ctrl-C.")] = 0.0,
    fleet: FleetFile = FLEET,
    ports: Ports = None,
) -> None:
    """Show what boards say, each line with time and board. Boards that go away are waited for.

    \b
    buoy monitor                                  all boards of boards.yaml
    buoy monitor /dev/ttyUSB* --level warning
    buoy monitor 128 129 --grep 'Wi-Fi|link' --out logs/
    """  # fmt: skip
    from buoyfleet.serial.console import Console

    if level not in LEVELS:
        raise UsageError(f"--level {level!r}", next_step=f"one of {', '.join(LEVELS)}")
    try:
        pattern = re.compile(grep)
    except re.error as error:
        raise UsageError(f"--grep {grep!r} is no regular expression: {error}") from None
    lines: queue.Queue[tuple[str, ConsoleRecord]] = queue.Queue()
    consoles: list[Console] = []
    places = _places(boards or [], fleet, ports)
    if not places:
        raise UsageError("no board is named, and the fleet file has none with a port", next_step="buoy ports")
    printer = _Printer([name for name, _ in places], level, pattern, protocol, out)
    try:
        for name, port in places:
            try:
                opened = Console(port, purpose="buoy monitor")
            except BuoyError as error:
                # The others are shown all the same.
                typer.echo(f"{name}: {error}", err=True)
                continue
            consoles.append(opened)
            opened.add_listener(lambda record, name=name: lines.put((name, record)))  # type: ignore[misc]
        if not consoles:
            raise typer.Exit(3)
        typer.echo(f"{len(consoles)} of {len(places)} boards are heard; Ctrl-C ends", err=True)
        end = time.monotonic() + seconds if seconds else None
        while end is None or time.monotonic() < end:
            try:
                name, record = lines.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            printer.show(name, record)
    except KeyboardInterrupt:
        pass
    finally:
        for one in consoles:
            one.close()
        printer.close()


def _places(boards: list[str], fleet: Path, ports: list[str] | None) -> list[tuple[str, str]]:
    from buoyfleet.boards.by_name import name_and_ports
    from buoyfleet.inventory.loader import load_fleet
    from buoyfleet.serial.find import Finder

    words = boards
    if not words:
        words = [str(board.buoy_id) for board in load_fleet(fleet).boards if board.port]
    places: list[tuple[str, str]] = []
    for word in words:
        name, more = name_and_ports(word, fleet, ports or ())
        port = Finder(more).port(name)
        places.append((Path(word).name if "://" not in word else word.split("://", 1)[1], port))
    return places


class _Printer:
    def __init__(
        self, names: list[str], level: str, pattern: "re.Pattern[str]", protocol: bool, out: Path | None
    ) -> None:
        from buoyfleet.boards.tracebacks import SYMBOLS, Tracebacks
        from buoyfleet.model.places import COMPILED

        self._least = LEVELS.index(level)
        self._pattern = pattern
        self._protocol = protocol
        self._width = max(map(len, names))
        self._colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}
        self._tracebacks = {name: Tracebacks(COMPILED / SYMBOLS) for name in names}
        self._files = {}
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            self._files = {name: (out / f"{name}.log").open("a", encoding="utf-8") for name in names}

    def show(self, name: str, record: "ConsoleRecord") -> None:
        from buoyfleet.serial.lines import Answer, parse_line, visible
        from buoyfleet.serial.records import Line, PortChange

        stamp = (
            time.strftime("%H:%M:%S", time.localtime(record.at_ns / 1e9))
            + f".{record.at_ns // 10**6 % 1000:03d}"
        )
        if isinstance(record, Line):
            text = visible(record.data)
            said = parse_line(record.data)
            if isinstance(said, Answer):
                self._tracebacks[name].learn(said.value)
            # The file has what the board said; people are shown what it means.
            shown = self._tracebacks[name].feed(text) if said is None else [text] if self._protocol else []
        elif isinstance(record, PortChange):
            text = "(port open again)" if record.is_open else f"(port gone: {record.reason})"
            shown = [*self._tracebacks[name].flush(), text]
        else:
            return
        if name in self._files:
            self._files[name].write(f"{stamp} {text}\n")
            self._files[name].flush()
        for line in shown:
            self._print(name, f"{stamp} {name:<{self._width}} |", line)

    def _print(self, name: str, prefix: str, text: str) -> None:
        if self._level(text) < self._least or not self._pattern.search(text):
            return
        if sys.stdout.isatty():
            red = "\x1b[31m" if self._level(text) >= LEVELS.index("error") else ""
            typer.echo(f"\x1b[{self._colours[name]}m{prefix}\x1b[0m {red}{text}\x1b[0m")
        else:
            typer.echo(f"{prefix} {text}")

    @staticmethod
    def _level(text: str) -> int:
        """What is no log line of ours (the ROM, a traceback) is shown at every level."""
        word = text[2:].split(" ", 1)[0] if text.startswith("# ") else ""
        return LEVELS.index(word) if word in LEVELS else len(LEVELS) - 1

    def close(self) -> None:
        for file in self._files.values():
            file.close()
