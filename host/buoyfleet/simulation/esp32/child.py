"""The MicroPython process of one running board: pipes, the wire to its bench, Ctrl-C."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.programs.clock import check_clock, clock_environment
from buoyfleet.simulation.buses.server import SHIMS
from buoyfleet.simulation.esp32.board_clock import BoardClock
from buoyfleet.simulation.esp32.interpreter import frozen_modules, interpreter

REPL = Path(__file__).resolve().parent / "repl"
SOFT_RAW, SOFT_FRIENDLY = 64, 65
NUDGES_S = (0.02, 0.2, 1.0)
"""After Ctrl-C a wait is ended again: it may have begun in the moment of the signal."""
HEAP = "320wk"
"""Room for all that an ESP32 can give to Python and for the simulation's own modules: repl/buoy_memory.py."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a process begins."""

    flash: Path
    offset: int
    size: int
    control: Path
    clock: BoardClock
    raw: bool = False
    heap: str = HEAP
    program: Path | None = None
    """MicroPython in place of `interpreter()`."""
    stands_for: str = ""
    """Version and machine of the interpreter in flash, e.g. `v1.25.0 Generic ESP32 module with ESP32`."""


class Child:
    """One process, from its start to its end.

    Args:
        start: files and mode.
        output: takes what it prints.
        request: takes a line of its wire; gives the reply, or None for none.
        ended: called once with its exit code, unless it was killed.
        power_cut: called when its block device reached the write at which the power goes.
    """

    def __init__(
        self,
        start: Start,
        output: Callable[[bytes], None],
        request: Callable[[bytes], bytes | None],
        ended: Callable[[int], None],
        power_cut: Callable[[], None],
    ) -> None:
        self._output, self._request, self._ended, self._power_cut = output, request, ended, power_cut
        self._loop = asyncio.get_running_loop()
        self._busy = False
        self._data_mode = False
        self._unread_breaks = 0
        self._sent = False
        """An interrupt is on its way; a second one would meet the first."""
        self._again = False
        self._waiting = bytearray()
        self._line = b""
        self._alive = True
        folders = [REPL, SHIMS, frozen_modules()]
        program = start.program or interpreter()
        check_clock(program)
        in_read, self._in = os.pipe()
        self._out, out_write = os.pipe()
        self._status, status_write = os.pipe()
        ours, theirs = socket.socketpair()
        self._wire, self._wire_there = ours, theirs.fileno()
        mode = "raw" if start.raw else "friendly"
        command = [
            program, "-X", f"heapsize={start.heap}", REPL / "board.py",
            theirs.fileno(), status_write,
            start.flash, start.offset, start.size, start.control, mode, "run", start.stands_for,
            *folders,
        ]  # fmt: skip
        try:
            self._process = subprocess.Popen(
                [str(item) for item in command],
                stdin=in_read,
                stdout=out_write,
                stderr=out_write,
                pass_fds=(theirs.fileno(), status_write),
                start_new_session=True,
                env=clock_environment(program, start.clock.path),
            )
        finally:
            for descriptor in (in_read, out_write, status_write):
                os.close(descriptor)
            theirs.close()
        for descriptor in (self._in, self._out, self._status):
            os.set_blocking(descriptor, False)
        ours.setblocking(False)
        self._loop.add_reader(self._out, self._print)
        self._loop.add_reader(self._status, self._drain_status)
        self._loop.add_reader(ours.fileno(), self._serve)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def open_sockets(self) -> dict[int, str]:
        """Descriptor → identity, of its sockets but the wire; Linux only, else none are known."""
        folder = Path(f"/proc/{self._process.pid}/fd")
        found = {}
        try:
            for entry in os.scandir(folder):
                target = os.readlink(entry.path)
                if target.startswith("socket:") and int(entry.name) != self._wire_there:
                    found[int(entry.name)] = target
        except OSError:
            pass  # ended, or closed meanwhile
        return found

    def feed(self, data: bytes) -> None:
        """Bytes from the console; Ctrl-C interrupts while code runs."""
        self._drain_status()
        if not self._alive:
            return
        if b"\x03" not in data or self._data_mode:
            self._write(data)
            return
        *parts, last = data.split(b"\x03")
        for part in parts:
            self._write(part)
            if self._busy:
                self._interrupt()
            else:
                self._unread_breaks += 1
                self._write(b"\x03")
        self._write(last)

    def pause(self, on: bool) -> None:
        """Hang the program, or let it go on."""
        self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a reset does."""
        if not self._alive:
            return
        self._alive = False
        self._process.kill()
        self._process.wait()
        for descriptor in (self._out, self._status, self._wire.fileno()):
            self._loop.remove_reader(descriptor)
        self._loop.remove_writer(self._in)
        for descriptor in (self._in, self._out, self._status):
            os.close(descriptor)
        self._wire.close()

    def _write(self, data: bytes) -> None:
        if not data:
            return
        if not self._waiting:
            try:
                data = data[os.write(self._in, data) :]
            except BlockingIOError:
                pass
            except OSError:
                return
            if not data:
                return
            self._loop.add_writer(self._in, self._flush)
        self._waiting += data

    def _flush(self) -> None:
        try:
            del self._waiting[: os.write(self._in, self._waiting)]
        except BlockingIOError:
            return
        except OSError:
            self._waiting.clear()
        if not self._waiting:
            self._loop.remove_writer(self._in)

    def _print(self) -> None:
        try:
            data = os.read(self._out, 65536)
        except BlockingIOError:
            return
        if data:
            self._output(data)
            return
        code = self._process.wait()
        self.kill()
        self._ended(code)

    def _drain_status(self) -> None:
        if not self._alive:
            return
        try:
            data = os.read(self._status, 4096)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._status)
            return
        for byte in data:
            if byte == ord("B"):
                self._busy = True
            elif byte == ord("I"):
                self._busy = self._again = False
            elif byte in b"Kk":
                self._data_mode = byte == ord("K")
            elif byte == ord("c"):
                self._unread_breaks = max(0, self._unread_breaks - 1)
            elif byte == ord("h"):
                self._sent = False
                if self._again:
                    self._again = False
                    self._interrupt()
            elif byte == ord("P"):
                self._power_cut()
                return
        if self._busy and self._unread_breaks:
            # It came while the code was about to start: a UART's interrupt would have seen it.
            self._unread_breaks = 0
            self._interrupt()

    def _interrupt(self) -> None:
        """Ctrl-C for the program; see repl/ctrl_c.py."""
        if not (self._alive and self._busy):
            return
        if self._sent:
            self._again = True
            return
        self._sent = True
        self._process.send_signal(signal.SIGINT)
        for delay_s in NUDGES_S:
            self._loop.call_later(delay_s, self._nudge)

    def _nudge(self) -> None:
        if self._alive and self._busy:
            self._process.send_signal(signal.SIGUSR1)

    def _serve(self) -> None:
        try:
            data = self._wire.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._wire.fileno())
            return
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            reply = self._request(line)
            if reply is None or not self._alive:
                return
            if not self._reply(reply):
                return

    def _reply(self, reply: bytes) -> bool:
        """Whether it went out. There is room for all but a few: the program waits for each."""
        try:
            reply = reply[self._wire.send(reply) :]
        except BlockingIOError:
            pass
        except OSError:
            return False
        if reply:
            self._wire.setblocking(True)
            try:
                self._wire.sendall(reply)
            except OSError:
                return False
            self._wire.setblocking(False)
        return True
