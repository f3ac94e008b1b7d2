"""What is on a port: our firmware, MicroPython, an empty chip, or something else."""

import json
from dataclasses import dataclass, field
from typing import Literal

from host.model.board_names import plain_mac
from host.model.clock import Deadline
from host.model.errors import BoardError, BuoyError, PreflightError
from host.serial.console import Console
from host.serial.esptool import Esptool
from host.serial.listing import holder
from host.serial.lock import PortBusy, PortLock
from host.serial.port import open_port
from host.serial.raw_repl import LineError, RawRepl
from host.serial.records import ConsoleRecord, Line
from host.serial.trouble import Refusal, Unanswered, nothing_boots

State = Literal["firmware", "micropython", "empty", "silent", "busy", "gone", "other"]

ASKS_S = (0.15, 0.3, 0.6)
"""How long to wait for an answer, at first and then: a running firmware answers within 100 ms, and a prompt
echoes the question at once."""
BOOT_S = 6.0
"""A board that was just plugged in: ROM, interpreter, the 3 s window of boot.py, start of the firmware."""
_LOOK_S = 0.05
_WHO = """
import json, os, sys, machine
from binascii import hexlify
try:
    with open("/app.txt") as file:
        firmware = file.read().split()[0]
except (OSError, IndexError):
    firmware = ""
print(json.dumps({"mac": hexlify(machine.unique_id()).decode(), "machine": sys.implementation._machine
    if hasattr(sys.implementation, "_machine") else sys.platform,
    "version": sys.version.split("MicroPython v")[1].split(" ")[0] if "MicroPython v" in sys.version
    else ".".join([str(n) for n in sys.implementation.version[:3]]), "firmware": firmware}))
"""


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
            return f"MicroPython {self.micropython} at its prompt{with_files}"
        if self.state == "busy":
            return self.detail
        return {
            "empty": "nothing",
            "silent": "does not answer",
            "gone": "not there",
            "other": "not a board of ours",
        }[self.state] + (f": {self.detail}" if self.detail else "")


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
        if b">>>" in heard or b"raw REPL" in heard or b"SyntaxError" in heard or wake:
            found = _ask_repl(port)
            if found is not None:
                return found
        if wake:
            return _after_reset(port, lock, patience_s)
    except PortBusy as error:
        return Found(port, "busy", detail=error.what)
    except BuoyError as error:
        return Found(port, "gone", detail=error.what)
    if who := holder(port):
        # One that takes no lock, such as `cat`, takes the answers away.
        return Found(port, "busy", detail=f"in use by {who}. Close it.")
    if heard:
        last = heard.decode("ascii", "backslashreplace").strip().splitlines()[-1:]
        return Found(port, "silent", detail=f"it says {last[0][-60:]!r}" if last else "")
    return Found(port, "silent", detail="asleep, hung, or no board")


def _after_reset(port: str, lock: PortLock, patience_s: float) -> Found:
    """A board that hung or slept: esptool asks the chip, which resets it; then it may tell by itself."""
    chip = _ask_rom(port, "other")
    if chip.state != "empty":
        return chip
    found, heard = _ask(port, lock, patience_s)
    if found is None and not nothing_boots(heard):
        found = _ask_repl(port)
    return found or chip


def _ask(port: str, lock: PortLock, patience_s: float) -> tuple[Found | None, bytes]:
    heard = bytearray()

    deadline = Deadline(patience_s)
    asked = 0
    with Console(port, lock=lock) as console:

        def listen(record: ConsoleRecord) -> None:
            if isinstance(record, Line):
                heard.extend(record.data + b"\n")
                if nothing_boots(record.data):
                    console.give_up("nothing boots there")

        console.add_listener(listen)
        while True:
            ask_s = ASKS_S[min(asked, len(ASKS_S) - 1)]
            asked += 1
            try:
                return from_identity(port, console.request("identify", ask_s)), bytes(heard)
            except Refusal as error:
                return Found(port, "silent", detail=error.what), bytes(heard)
            except Unanswered as error:
                # The prompt has no line end, so it is no line; the console quotes it.
                heard += error.what.encode()
                # Somebody may have left it at the raw prompt, which echoes nothing; to others this is noise.
                console.send(b"\r\x02")
                done = b">>>" in heard or b"SyntaxError" in heard or nothing_boots(bytes(heard))
                if done or deadline.expired:
                    return None, bytes(heard)


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
    text = repl.run(_WHO)
    try:
        answer = json.loads(text)
        return Found(
            repl.port,
            "micropython",
            mac=plain_mac(answer["mac"]),
            chip=answer["machine"],
            micropython=answer["version"],
            firmware=answer["firmware"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # What noise has changed can still be JSON, with other keys.
        raise LineError(
            f"the board says {text[:80]!r} to who it is",
            where=repl.port,
            cause="a line that changes bytes",
        ) from None


def _ask_repl(port: str) -> Found | None:
    line = open_port(port)
    try:
        repl = RawRepl(line, port)
        repl.enter(4.0)
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
