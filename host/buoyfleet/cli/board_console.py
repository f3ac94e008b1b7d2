"""`buoy console`: a person at a board's console, with its commands, its log and its REPL."""

import getpass
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from buoyfleet.cli.options import FLEET, Board, FleetFile, Ports

if TYPE_CHECKING:
    from buoyfleet.serial.console import Console
    from buoyfleet.serial.records import ConsoleRecord

ANSWER_S = 20.0
"""Sensors and circuits take seconds."""
HELP = """\
identify                       who the board is
get | set NAME=VALUE …         settings (values as JSON); in force after `reboot`
id N | thing NAME | wifi SSID  identity; a password is asked for and not shown
sensors [KEY …]                a new reading
ezo KEY COMMAND                a command to an EZO circuit
health | clock                 state, time
log LEVEL                      debug, info, warning, error
maintenance S | reboot         S seconds without application from the next start; start anew
DO NAME=VALUE …                any other request of `buoy docs firmware`
repl                           the board's REPL; Ctrl-] comes back here, and the board is started again
quit                           leave; the board goes on"""


def console(
    board: Board,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="One command instead of a dialogue.")
    ] = None,
    fleet: FleetFile = FLEET,
    ports: Ports = None,
    events: Annotated[bool, typer.Option("--events", help="Show what is told unasked, too.")] = False,
) -> None:
    """Talk to a board: our commands, its log as it comes, and its REPL.

    \b
    buoy console 131
    buoy console /dev/ttyUSB0 sensors ph ec
    """  # fmt: skip
    from buoyfleet.bench.single import open_session

    if command in (["help"], ["?"]):
        typer.echo(HELP)
        return
    with open_session(board, fleet, ports or (), "buoy console") as session:
        talk = session.console()
        if command:
            typer.echo(_ask(talk, " ".join(command)))
            return
        shown = _Shown(events)
        talk.add_listener(shown)
        typer.echo(f"{session.port}: `help` lists commands, `quit` leaves")
        _dialogue(talk, session)


class _Shown:
    """Prints the board's log above the prompt."""

    def __init__(self, events: bool) -> None:
        from buoyfleet.boards.tracebacks import SYMBOLS, Tracebacks
        from buoyfleet.model.places import COMPILED

        self._events = events
        self._tracebacks = Tracebacks(COMPILED / SYMBOLS)

    def __call__(self, record: "ConsoleRecord") -> None:
        for text in self._texts(record):
            sys.stdout.write(f"\r\x1b[K{text}\n> " if sys.stdout.isatty() else f"{text}\n")
        sys.stdout.flush()

    def _texts(self, record: "ConsoleRecord") -> list[str]:
        from buoyfleet.serial.lines import Answer, parse_line, visible
        from buoyfleet.serial.records import BoardEvent, Line, PortChange

        if isinstance(record, Line):
            said = parse_line(record.data)
            if isinstance(said, Answer):
                self._tracebacks.learn(said.value)
            return self._tracebacks.feed(visible(record.data)) if said is None else []
        if isinstance(record, BoardEvent) and self._events:
            return [f"event {record.number} {json.dumps(record.body)}"]
        if isinstance(record, PortChange):
            told = f"(the port is {'open again' if record.is_open else 'gone: ' + record.reason})"
            return [*self._tracebacks.flush(), told]
        return []


def _dialogue(talk: "Console", session: Any) -> None:
    import contextlib

    from buoyfleet.model.errors import BuoyError

    with contextlib.suppress(ImportError):
        import readline

        readline.set_completer(_complete)
        readline.parse_and_bind("tab: complete")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            typer.echo("")
            return
        if line in ("quit", "exit"):
            return
        if not line:
            continue
        if line in ("help", "?"):
            typer.echo(HELP)
            continue
        try:
            if line == "repl":
                with talk.released() as port:
                    _repl(port)
                session.log.line("# back from the REPL")
            else:
                typer.echo(_ask(talk, line))
        except BuoyError as error:
            typer.echo(f"error: {error}")


def _complete(text: str, state: int) -> str | None:
    first = {line.split()[0] for line in HELP.splitlines()}
    words = sorted(first | {"set", "thing", "wifi", "clock", "reboot"})
    fitting = [word for word in words if word.startswith(text)]
    return fitting[state] if state < len(fitting) else None


def _ask(talk: "Console", line: str) -> str:
    from buoyfleet.model.errors import UsageError

    word, _, rest = line.partition(" ")
    rest = rest.strip()
    fields: dict[str, Any] = {}
    if word == "id":
        fields["buoy"] = _value(rest)
    elif word == "thing":
        fields["thing"] = rest
    elif word == "wifi":
        fields = {"ssid": rest, "password": _password()}
    elif word == "sensors":
        fields = {"keys": rest.split()} if rest else {}
    elif word == "ezo":
        key, _, text = rest.partition(" ")
        fields = {"key": key, "command": text, "process_ms": 900}
    elif word == "log":
        fields["level"] = rest
    elif word == "maintenance":
        fields["seconds"] = _value(rest)
    elif word == "clock" and rest == "now":
        fields["utc"] = time.time_ns() // 1_000_000
    else:
        for part in rest.split():
            name, mark, value = part.partition("=")
            if not mark:
                raise UsageError(f"`{part}` is not NAME=VALUE; `help` lists commands")
            fields[name] = _value(value)
        if word == "set":
            fields = {"settings": fields}
    answer = talk.request(word, ANSWER_S, **fields)
    return json.dumps(answer, indent=1, ensure_ascii=False) if isinstance(answer, dict) else str(answer)


def _password() -> str:
    """Typed without being shown, or a line of what is piped in."""
    if sys.stdin.isatty():
        return getpass.getpass("password (empty: open network): ")
    line = sys.stdin.readline()
    if not line:
        from buoyfleet.model.errors import UsageError

        raise UsageError(
            "no password", next_step="type it in a terminal, or pipe it in; an empty line: open network"
        )
    return line.rstrip("\r\n")


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _repl(port: str) -> None:
    """The board's REPL, keys as they come, until Ctrl-]; then the board starts anew."""
    import select
    import termios
    import tty

    from buoyfleet.serial.port import open_port

    line = open_port(port, read_timeout_s=0.02)
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys) if sys.stdin.isatty() else None
    sys.stdout.write("Ctrl-] comes back; Ctrl-C has been sent to stop the application\r\n")
    try:
        if before is not None:
            tty.setraw(keys)
        line.write(b"\r\x03\x03\r\x02")
        while True:
            data = line.read(max(1, line.in_waiting))
            if data:
                sys.stdout.buffer.write(data)
                sys.stdout.flush()
            if select.select([keys], [], [], 0)[0]:
                typed = os.read(keys, 256)
                if not typed or b"\x1d" in typed:
                    break
                line.write(typed)
        # A soft reset runs boot.py and main.py again.
        line.write(b"\r\x03\x03\x04")
    finally:
        if before is not None:
            termios.tcsetattr(keys, termios.TCSADRAIN, before)
        line.close()
