"""The raw REPL of MicroPython: code to the board, what it printed back.

Protocol: MicroPython documentation, "The MicroPython Interactive Interpreter Mode", raw and raw-paste mode.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Final

from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import BoardError
from buoyfleet.serial.on_board import program
from buoyfleet.serial.port import SerialPort
from buoyfleet.serial.repl_errors import (
    LineError,
    ReplError,
    no_prompt,
    port_errors,
    shown,
)

ENTER_S = 15.0  # longer than the boot window of boot.py and the start of the firmware
STEP_S = 20.0
"""For one step of a board that was just at its prompt: a slow flash, or a busy computer that simulates it."""
_ATTEMPT_S = 1.0
_LEAVE_S = 5.0
_PLAIN_CHUNK = 128
"""Without raw-paste mode nothing holds the sender back: short pieces, as a UART's buffer is short."""
_FLUSH = 2200
"""More than a block of `file_transfer`, whose end a board may still be waiting for."""
PROMPT: Final = b"raw REPL; CTRL-B to exit\r\n>"
KEPT_BYTES = 4000
LONGEST_S = 600.0
"""For code that tells each step."""
BOOT_S = 6.0
"""From a reset to main.py: ROM and interpreter take up to 2 s, the window of boot.py 3 s."""
_CTRL_C_EVERY_S, _CTRL_C = 0.002, b"\x03" * 23
"""As fast as 115,200 baud allow: MicroPython sees Ctrl-C only while code runs (shared/runtime/pyexec.c), and
a program may switch that off in its first lines."""
_SHADOWED = (
    "array", "asyncio", "binascii", "collections", "deflate", "errno", "hashlib", "io", "json", "machine",
    "network", "onewire", "os", "random", "select", "socket", "ssl", "struct", "time", "tls",
)  # fmt: skip
"""Modules of MicroPython that firmware and bench import, and a file of the board can stand in for."""
_FOLDERS = ("buoy", "certs", "lib", "sensors", "umqtt")


class RawRepl:
    """A board's REPL on an open port. One thread uses it."""

    def __init__(self, line: SerialPort, port: str, on_text: Callable[[bytes], None] | None = None) -> None:
        """Nothing is sent yet.

        Args:
            line: the open port.
            port: its name, for messages.
            on_text: takes everything that the board says, for a log.
        """
        self._line = line
        self.port = port
        self._on_text = on_text
        self._waiting = bytearray()
        self._paste = True
        self._guarded = False
        self._idle = False
        self.window = 0
        self.in_the_way: tuple[str, ...] = ()
        """Files of the board that stand in front of MicroPython's modules or of our folders."""

    def catch_boot(self, timeout_s: float = BOOT_S) -> None:
        """Send Ctrl-C all the time while a board boots, so that main.py does not run.

        It ends boot.py, after which MicroPython starts no main.py (ports/esp32/main.c), or main.py in its
        first lines: the way to the prompt of a board with a program that takes no Ctrl-C later on. Ends at a
        prompt, or after the time.
        """
        deadline = Deadline(timeout_s)
        self._waiting.clear()
        while not deadline.expired:
            self.send(_CTRL_C)
            time.sleep(_CTRL_C_EVERY_S)
            self.peek()
            # The second prompt: the first may come from a line that was empty before main.py started.
            if self._waiting.count(b">>> ") > 1:
                return
            del self._waiting[:-KEPT_BYTES]

    def enter(
        self,
        timeout_s: float = ENTER_S,
        alive: Callable[[], None] | None = None,
        *,
        afresh: bool = False,
    ) -> None:
        """Interrupt whatever runs and get the raw prompt, with MicroPython's own modules.

        A program that boots, prints or hogs the REPL is interrupted again until the deadline.

        Args:
            timeout_s: for all attempts.
            alive: called before every attempt; may raise to give up.
            afresh: with a soft reset, after a command that noise has changed: nobody knows what it did.

        Raises:
            BoardError: no prompt until then; says what the board printed instead.
        """
        deadline = Deadline(timeout_s)
        attempt = 0
        seen = b""
        while True:
            if alive is not None:
                alive()
            attempt += 1
            self._waiting.clear()
            # A board that waits for the rest of a block of a transfer takes Ctrl-C as data.
            self.send(b"\x03" * (_FLUSH if attempt % 4 == 0 else 8 if attempt > 1 else 2))
            self._drain(min(0.05 * attempt, 0.3))
            self.send(b"\r\x01")
            text = self._until(PROMPT, Deadline(min(_ATTEMPT_S, max(0.2, deadline.remaining_s))))
            if text is not None:
                self._drain(0.0)
                try:
                    if afresh:
                        self._soft_reset()
                    self._guard()
                except LineError:
                    if deadline.expired:
                        raise
                    afresh = True
                    continue
                return
            seen = (seen + bytes(self._waiting))[-KEPT_BYTES:]
            if deadline.expired:
                raise no_prompt(self.port, seen, timeout_s)

    def run(self, code: str, timeout_s: float = STEP_S, *, by_step: bool = False) -> str:
        """Run code; returns what it printed.

        Args:
            code: MicroPython.
            timeout_s: for all of it.
            by_step: the time counts anew with all that the code prints, up to `LONGEST_S`.

        Raises:
            ReplError: it raised.
            LineError: no answer within the time.
        """
        self.begin(code, timeout_s)
        return self.finish(timeout_s, by_step=by_step)

    def begin(self, code: str, timeout_s: float = STEP_S) -> None:
        """Send code and let it start; its input is the caller's. The time is for each answer of the board.

        Raises:
            LineError: the board did not take it.
        """
        deadline = Deadline(timeout_s)
        self._idle = False
        data = code.encode()
        if self._paste:
            self.send(b"\x05A\x01")
            answer = self._read(2, deadline)
            while answer == PROMPT[:2]:
                # A greeting of a Ctrl-A that waited while the board booted; the answer comes after it.
                if self._until(PROMPT[2:], deadline) is None:
                    raise self._silent("did not finish its greeting")
                answer = self._read(2, deadline)
            if answer == b"R\x01":
                self._raw_paste(data, timeout_s)
                return
            if answer != b"R\x00":
                raise self._silent(f"answered {answer!r} to raw-paste mode")
            self._paste = False
        for at in range(0, len(data), _PLAIN_CHUNK):
            self.send(data[at : at + _PLAIN_CHUNK])
            self._drain(0.01)
        self.send(b"\x04")
        if self._read(2, deadline) != b"OK":
            raise self._silent("did not take the code")

    def finish(self, timeout_s: float, *, by_step: bool = False) -> str:
        """What the code printed until its end; arguments as `run`.

        Raises:
            ReplError, LineError: as `run`.
        """
        deadline, whole = Deadline(timeout_s), Deadline(LONGEST_S)
        before = len(self._waiting)
        printed = self._until(b"\x04", deadline)
        while printed is None and by_step and len(self._waiting) > before and not whole.expired:
            before, deadline = len(self._waiting), Deadline(timeout_s)
            printed = self._until(b"\x04", deadline)
        deadline = Deadline(max(deadline.remaining_s, STEP_S))
        if printed is None:
            raise self._silent(f"did not finish within {timeout_s:g} s")
        raised = self._until(b"\x04", deadline)
        if raised is None or self._until(b">", deadline) is None:
            raise self._silent("did not get back to its prompt")
        self._idle = True
        if raised.strip():
            raise ReplError(self.port, raised.decode(errors="replace"))
        return printed.decode(errors="replace")

    def read_line(self, timeout_s: float) -> str | None:
        """The next line that running code prints; None after the time, or when the code has ended."""
        deadline = Deadline(timeout_s)
        while True:
            end = self._waiting.find(b"\n")
            over = self._waiting.find(b"\x04")
            if over >= 0 and (end < 0 or over < end):
                return None
            if end >= 0:
                line = bytes(self._waiting[:end])
                del self._waiting[: end + 1]
                return line.decode(errors="replace").strip("\r")
            if deadline.expired:
                return None
            self._fill()

    def send(self, data: bytes) -> None:
        """Bytes to the board.

        Raises:
            BoardError: the port is gone.
        """
        with port_errors(self.port):
            self._line.write(data)

    def drain(self, silence_s: float) -> None:
        """Forget what the board says, until it is silent for that time."""
        self._drain(silence_s)

    def leave(self) -> None:
        """Back to the friendly REPL, modules found as before."""
        with contextlib.suppress(BoardError):
            if self._guarded and self._idle:
                self.run("import sys\nsys.path[:] = buoy_path\ndel buoy_path, guard", _LEAVE_S)
            self._guarded = False
            self.send(b"\r\x02")

    def hard_reset(self) -> None:
        """Let the board restart itself; it boots when this returns."""
        # The answer may or may not come before the reset.
        self._guarded = False
        with contextlib.suppress(LineError, ReplError):
            self.begin("import machine\nmachine.reset()")
        self._waiting.clear()

    # Inside

    def _soft_reset(self) -> None:
        """Have MicroPython, not the chip, start anew; main.py does not run (ports/esp32/main.c)."""
        self.send(b"\x04")
        # Not interrupted: after a Ctrl-C in the port's own _boot.py the board has no file system.
        if self._until(PROMPT, Deadline(BOOT_S)) is None:
            raise self._silent("did not come back from a soft reset")

    def _guard(self) -> None:
        call = f"guard({_SHADOWED!r}, {_FOLDERS!r})"
        try:
            self.in_the_way = tuple(self.run(f"{program('guard')}\n{call}").split("\n"))
        except ReplError as error:
            raise LineError(error.what, where=self.port) from error
        self.in_the_way = tuple(line.strip() for line in self.in_the_way if line.strip())
        self._guarded = True

    def _raw_paste(self, data: bytes, timeout_s: float) -> None:
        header = self._read(3, Deadline(timeout_s))
        self.window = window = int.from_bytes(header[:2], "little")
        if not window or header[2:] != b"\x01":
            raise self._silent("began raw-paste mode without a window")
        room = window
        at = 0
        while at < len(data):
            while room == 0 or self._waiting:
                answer = self._read(1, Deadline(timeout_s))
                if answer == b"\x01":
                    room += window
                elif answer == b"\x04":
                    self.send(b"\x04")
                    raise self._silent("gave up taking the code")
                else:
                    raise self._silent("sent something else while it took code")
            piece = data[at : at + room]
            self.send(piece)
            room -= len(piece)
            at += len(piece)
            self.peek()
        self.send(b"\x04")
        if self._until(b"\x04", Deadline(timeout_s)) is None:
            raise self._silent("did not confirm the code")

    def _silent(self, what: str) -> LineError:
        return LineError(
            f"the REPL {what}",
            where=self.port,
            cause=shown(bytes(self._waiting)) or "the board reset or hangs, or the line loses bytes",
        )

    def peek(self) -> None:
        """Take what the board has said by now."""
        with port_errors(self.port):
            count = self._line.in_waiting
            if count:
                self._take(self._line.read(count))

    def _fill(self) -> None:
        with port_errors(self.port):
            self._take(self._line.read(max(1, self._line.in_waiting)))

    def _take(self, data: bytes) -> None:
        if data and self._on_text is not None:
            self._on_text(data)
        self._waiting += data

    def _read(self, count: int, deadline: Deadline) -> bytes:
        while len(self._waiting) < count and not deadline.expired:
            self._fill()
        if len(self._waiting) < count:
            raise self._silent("did not answer")
        data = bytes(self._waiting[:count])
        del self._waiting[:count]
        return data

    def _until(self, mark: bytes, deadline: Deadline) -> bytes | None:
        """What stands before a mark; None, and everything stays, if the mark does not come."""
        while (at := self._waiting.find(mark)) < 0:
            if deadline.expired:
                return None
            self._fill()
        data = bytes(self._waiting[:at])
        del self._waiting[: at + len(mark)]
        return data

    def _drain(self, silence_s: float) -> None:
        """Forget what comes, until nothing came for that time (at most ten times as long)."""
        whole = Deadline(10 * silence_s)
        quiet = Deadline(silence_s)
        self.peek()
        while not quiet.expired and not whole.expired:
            before = len(self._waiting)
            self._fill()
            if len(self._waiting) > before:
                quiet = Deadline(silence_s)
        self._waiting.clear()
