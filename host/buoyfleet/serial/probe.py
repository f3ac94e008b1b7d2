"""What is on a port: our firmware, MicroPython, an empty chip, or something else."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Literal

from buoy.console import MARKER

from buoyfleet.model.board_names import plain_mac
from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import BoardError, BuoyError, PreflightError
from buoyfleet.serial.console import Console
from buoyfleet.serial.esptool import Esptool
from buoyfleet.serial.lines import visible
from buoyfleet.serial.listing import holder
from buoyfleet.serial.lock import PortBusy, PortLock
from buoyfleet.serial.on_board import program
from buoyfleet.serial.port import open_port
from buoyfleet.serial.raw_repl import ENTER_S, KEPT_BYTES, RawRepl
from buoyfleet.serial.records import ConsoleRecord, Line
from buoyfleet.serial.repl_errors import RESTART_MARK, LineError
from buoyfleet.serial.reset import caught_at_boot, press_reset
from buoyfleet.serial.trouble import Refusal, Unanswered, nothing_boots

State = Literal["firmware", "micropython", "empty", "silent", "stuck", "busy", "gone", "other"]

ASKS_S = (0.15, 0.3, 0.6)
"""How long to wait for an answer, at first and then: a running firmware answers within 100 ms, and a prompt
echoes the question at once."""
BOOT_S = 6.0
"""A board that was just plugged in: ROM, interpreter, the 3 s window of boot.py, start of the firmware."""
VERSION_FILE = "app.txt"
"""On a board: the version of the installed firmware, then others (firmware/start.py)."""
PROGRAM_FILES = ("buoy/esp32_board.mpy", "buoy/esp32_board.py")
"""One of these belongs to a firmware that was installed in another way."""
_WAKE_S = 4.0
"""For the prompt of a board that says nothing: it is reset after that."""
_LOOP_RESTARTS = 3
"""So many in one look are a boot loop: one may be the reset that opening the port caused."""
_WHO_CALL = f"who({VERSION_FILE!r}, {PROGRAM_FILES!r})"
_PROMPT_MARKS = (b">>>", b"raw REPL", b"SyntaxError")


@dataclass(slots=True)
class Found:
    """What a look at a port told."""

    port: str
    state: State
    mac: str = ""
    """Twelve hex digits; empty where it is not known."""
    chip: str = ""
    micropython: str = ""
    """Version of the interpreter."""
    firmware: str = ""
    """Version of ours; where `state` is `micropython` it is installed, but not running."""
    buoy: int | None = None
    thing: str = ""
    wifi: bool = False
    maintenance: bool = False
    detail: str = ""
    """What is wrong, or who has the port."""
    in_the_way: tuple[str, ...] = ()
    """Files on it that stand in front of MicroPython's modules or of our folders."""
    identity: dict[str, object] = field(default_factory=dict)
    """All that `identify` answered."""

    @property
    def runs(self) -> str:
        """What runs on it, for people."""
        if self.state == "firmware":
            name = "no id yet" if self.buoy is None else f"buoy {self.buoy}"
            return f"firmware {self.firmware} on MicroPython {self.micropython}, {name}"
        if self.state == "micropython":
            with_files = f", firmware {self.firmware} stopped" if self.firmware else ""
            return f"MicroPython {self.micropython} at its prompt{with_files}{self._hidden()}"
        if self.state == "busy":
            return self.detail
        return {
            "empty": "nothing",
            "silent": "does not answer",
            "stuck": "a program runs that cannot be stopped",
            "gone": "not there",
            "other": "not a board of ours",
        }[self.state] + (f": {self.detail}" if self.detail else "")

    def _hidden(self) -> str:
        if not self.in_the_way:
            return ""
        verb = "stands" if len(self.in_the_way) == 1 else "stand"
        return f"; {', '.join(self.in_the_way)} {verb} in front of a module or folder of the same name"


def probe(port: str, *, purpose: str = "buoy ports", patience_s: float = BOOT_S, wake: bool = False) -> Found:
    """Look at a port; never raises for what is on it.

    A board is asked, not disturbed: a program without our console is not interrupted and nothing is reset,
    but for a chip that complains that nothing boots, which esptool asks.

    Args:
        port: path or URL.
        purpose: shown to others who want the port meanwhile.
        patience_s: for a board that is silent at first.
        wake: interrupt or reset a board that does not answer.
    """
    try:
        lock = PortLock(port, purpose)
    except PreflightError as error:
        return Found(port, "busy", detail=error.what)
    with lock:
        return probe_locked(port, lock, patience_s=patience_s, wake=wake)


def probe_locked(
    port: str, lock: PortLock, *, patience_s: float = BOOT_S, wake: bool = False, ask_rom: bool = True
) -> Found:
    """`probe` by who holds the lock already; without `ask_rom` an empty chip tells no MAC, but sooner."""
    try:
        found, heard = _ask(port, lock, patience_s)
        if found is not None:
            return found
        if nothing_boots(heard):
            return _ask_rom(port) if ask_rom else Found(port, "empty")
        at_prompt = any(mark in heard for mark in _PROMPT_MARKS)
        if at_prompt or wake:
            found = _ask_repl(port, ENTER_S if at_prompt else _WAKE_S)
            if found is not None:
                return found
        if wake:
            return _after_reset(port, lock, patience_s, heard)
    except PortBusy as error:
        return Found(port, "busy", detail=error.what)
    except BuoyError as error:
        return Found(port, "gone", detail=error.what)
    if who := holder(port):
        # One that takes no lock, such as `cat`, takes the answers away.
        return Found(port, "busy", detail=f"in use by {who}. Close it.")
    return Found(port, "silent", detail=_said(heard))


def _said(heard: bytes) -> str:
    """What a board that does not answer does instead."""
    own = [line for line in heard.replace(b"\r", b"\n").split(b"\n") if line.strip() and MARKER not in line]
    restarts = heard.count(RESTART_MARK)
    if not own:
        if MARKER in heard:
            return "it sends every byte back: a loop-back plug, or another device"
        return "asleep, hung or busy, or no board"
    whole = own[:-1] if len(own) > 1 and not heard.endswith(b"\n") else own
    last = visible(whole[-1].strip())[-60:]
    if restarts >= _LOOP_RESTARTS:
        return f"it restarts again and again ({restarts} times while it was looked at), it says {last!r}"
    return f"another program runs or the line is noisy, it says {last!r}"


def _after_reset(port: str, lock: PortLock, patience_s: float, heard: bytes) -> Found:
    """A board that hung or slept may tell by itself after a reset; a program that takes no Ctrl-C is caught
    while the board boots; and a chip answers esptool whatever is in its flash."""
    try:
        press_reset(port)
    except BoardError as error:
        return Found(port, "other", detail=error.what)
    found, now = _ask(port, lock, patience_s)
    if found is not None:
        return found
    if not nothing_boots(now):
        with contextlib.suppress(BoardError), caught_at_boot(port) as repl:
            return ask_repl(repl)
    chip = _ask_rom(port, "other")
    if chip.state == "empty" and not nothing_boots(now):
        chip.state, chip.detail = "stuck", _said(now or heard)
    return chip


def _ask(port: str, lock: PortLock, patience_s: float) -> tuple[Found | None, bytes]:
    heard = bytearray()

    deadline = Deadline(patience_s)
    with Console(port, lock=lock) as console:

        def listen(record: ConsoleRecord) -> None:
            if isinstance(record, Line):
                heard.extend(record.data + b"\n")
                del heard[:-KEPT_BYTES]
                if nothing_boots(record.data):
                    console.give_up("nothing boots there")

        console.add_listener(listen)

        def waits() -> Iterator[float]:
            """Longer from try to try; ends where no firmware will answer, or with the patience."""
            for ask_s in chain(ASKS_S, repeat(ASKS_S[-1])):
                yield ask_s
                # The prompt has no line end, so it is no line; the console keeps it.
                whole = bytes(heard) + console.last_text
                # Somebody may have left it at the raw prompt, which echoes nothing; to others this is noise.
                console.send(b"\r\x02")
                if b">>>" in whole or b"SyntaxError" in whole or nothing_boots(whole):
                    return
                if deadline.expired or whole.count(RESTART_MARK) >= _LOOP_RESTARTS:
                    return

        try:
            answer = console.exchange_again("identify", waits()).value
        except Refusal as error:
            return Found(port, "silent", detail=error.what), bytes(heard)
        except Unanswered as error:
            return None, bytes(heard) + (error.heard or console.last_text)
        return from_identity(port, answer), bytes(heard)


def from_identity(port: str, answer: object) -> Found:
    """What `identify` answered."""
    if not isinstance(answer, dict):
        return Found(port, "other", detail="it answers in another way than our firmware")
    buoy = answer.get("buoy")
    return Found(
        port,
        "firmware",
        mac=plain_mac(str(answer.get("mac", ""))),
        chip=str(answer.get("chip", "")),
        micropython=str(answer.get("micropython", "")),
        firmware=str(answer.get("firmware", "")),
        buoy=buoy if isinstance(buoy, int) else None,
        thing=str(answer.get("thing") or ""),
        wifi=answer.get("wifi") == "set",
        maintenance=bool(answer.get("maintenance")),
        identity=answer,
    )


def ask_repl(repl: RawRepl) -> Found:
    """Who is at a raw prompt.

    Raises:
        LineError: no sensible answer.
    """
    text = repl.run(f"{program('who')}\n{_WHO_CALL}")
    try:
        answer = json.loads(text)
        return Found(
            repl.port,
            "micropython",
            mac=plain_mac(answer["mac"]),
            chip=answer["machine"],
            micropython=answer["version"],
            firmware=answer["firmware"],
            in_the_way=repl.in_the_way,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # What noise has changed can still be JSON, with other keys.
        raise LineError(
            f"the board says {text[:80]!r} to who it is",
            where=repl.port,
            cause="a line that changes bytes",
        ) from None


def _ask_repl(port: str, timeout_s: float) -> Found | None:
    line = open_port(port)
    try:
        repl = RawRepl(line, port)
        repl.enter(timeout_s)
        found = ask_repl(repl)
        repl.leave()
        return found
    except BoardError:
        return None
    finally:
        line.close()


def _ask_rom(port: str, otherwise: State = "empty") -> Found:
    try:
        chip = Esptool(port).identify()
    except BoardError as error:
        return Found(port, otherwise, detail=error.what)
    return Found(port, "empty", mac=chip.mac, chip=chip.chip)
