"""The ends of a board's cable on the host: a PTY with a stable name, and RFC 2217 over TCP on loopback."""

import asyncio
import os
import select
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

LOOK_S = 0.02
"""How often an unopened PTY is looked at."""
MOST_WAITING = 1 << 20
"""Bytes kept for a host that does not read; the rest is lost, as by a full UART."""


class Listener(Protocol):
    """What a port tells its board."""

    def received(self, data: bytes) -> None:
        """Bytes from the host."""

    def opened(self) -> None:
        """A program opened the port."""

    def closed(self) -> None:
        """The last program closed it."""

    def lines(self, dtr: bool, rts: bool) -> None:
        """Modem lines; a PTY has none."""


class PtyPort:
    """A PTY; `path` is a symbolic link that stays the same."""

    def __init__(self, path: Path, listener: Listener) -> None:
        self.path = path
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._master, slave = os.openpty()
        tty.setraw(slave)
        attributes = termios.tcgetattr(slave)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        os.set_blocking(self._master, False)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(slave))
        os.close(slave)
        self._poll = select.poll()
        self._poll.register(self._master, select.POLLHUP)
        self._waiting = bytearray()
        self._open = False
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def write(self, data: bytes) -> None:
        """Bytes for the host; lost while nobody has the port open, as on a cable."""
        if not self._open:
            return
        if self._waiting:
            if len(self._waiting) < MOST_WAITING:
                self._waiting += data
            return
        try:
            sent = os.write(self._master, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return
        if sent < len(data):
            self._waiting += data[sent:]
            self._loop.add_writer(self._master, self._flush)

    def close(self) -> None:
        """Unplug: programs that hold the port get an error, the link goes."""
        self._timer.cancel()
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        self.path.unlink(missing_ok=True)
        os.close(self._master)

    def _look(self) -> None:
        if self._poll.poll(0):
            self._timer = self._loop.call_later(LOOK_S, self._look)
            return
        self._open = True
        self._listener.opened()
        self._loop.add_reader(self._master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last program closed it
            self._open = False
            self._waiting.clear()
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            self._timer = self._loop.call_later(LOOK_S, self._look)
            self._listener.closed()
            return
        self._listener.received(data)

    def _flush(self) -> None:
        try:
            del self._waiting[: os.write(self._master, self._waiting)]
        except BlockingIOError:
            return
        except OSError:
            self._waiting.clear()
        if not self._waiting:
            self._loop.remove_writer(self._master)


IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
COM_PORT = 44
OPTIONS = frozenset((0, 1, 3, COM_PORT))
"""Binary, echo, suppress go-ahead, COM port control."""
SET_CONTROL = 5
CONTROLS: dict[int, tuple[bool, bool]] = {
    8: (True, True),
    9: (True, False),
    11: (False, True),
    12: (False, False),
}
"""Value of SET-CONTROL → (DTR rather than RTS, on); RFC 2217, section 3."""


class Rfc2217Port(asyncio.Protocol):
    """One connection of RFC 2217: telnet with COM port control."""

    def __init__(self, listener: Listener, taken: Callable[["Rfc2217Port"], bool]) -> None:
        self._listener = listener
        self._taken = taken
        self._transport: asyncio.Transport | None = None
        self._pending = b""
        self._answered: set[tuple[int, int]] = set()
        self._dtr = self._rts = False

    @property
    def is_open(self) -> bool:
        """Whether a program holds it."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A program opened the port; a second one is turned away."""
        self._transport = transport  # type: ignore[assignment]
        if self._taken(self):
            transport.close()
            self._transport = None
            return
        self._listener.opened()

    def connection_lost(self, _error: Exception | None) -> None:
        """It closed the port."""
        if self._transport is not None:
            self._transport = None
            self._listener.lines(False, False)
            self._listener.closed()

    def write(self, data: bytes) -> None:
        """Bytes for the host."""
        if self._transport is not None:
            self._transport.write(data.replace(b"\xff", b"\xff\xff"))

    def close(self) -> None:
        """Unplug."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Telnet in, serial bytes out."""
        data = self._pending + data
        plain = bytearray()
        at = 0
        while at < len(data):
            mark = data.find(b"\xff", at)
            if mark < 0:
                plain += data[at:]
                at = len(data)
                break
            plain += data[at:mark]
            at = mark
            used = self._command(data, mark, plain)
            if not used:
                break
            at += used
        self._pending = data[at:][:4096]
        if plain:
            self._listener.received(bytes(plain))

    def _command(self, data: bytes, at: int, plain: bytearray) -> int:
        """Length of the command at an IAC; 0: not complete yet."""
        if at + 1 >= len(data):
            return 0
        kind = data[at + 1]
        if kind == IAC:
            plain.append(IAC)
            return 2
        if kind == SB:
            end = at + 2
            while (end := data.find(b"\xff", end)) >= 0 and data[end + 1 : end + 2] == b"\xff":
                end += 2
            if end < 0 or end + 1 >= len(data):
                return 0
            self._suboption(data[at + 2 : end].replace(b"\xff\xff", b"\xff"))
            return end + 2 - at
        if kind in (WILL, WONT, DO, DONT):
            if at + 2 >= len(data):
                return 0
            self._negotiate(kind, data[at + 2])
            return 3
        return 2

    def _negotiate(self, kind: int, option: int) -> None:
        if (kind, option) in self._answered or self._transport is None:
            return
        self._answered.add((kind, option))
        yes = option in OPTIONS
        if kind == WILL:
            self._transport.write(bytes((IAC, DO if yes else DONT, option)))
        elif kind == DO:
            self._transport.write(bytes((IAC, WILL if yes else WONT, option)))

    def _suboption(self, body: bytes) -> None:
        if len(body) < 2 or body[0] != COM_PORT or self._transport is None:
            return
        command, value = body[1], body[2:]
        if command == SET_CONTROL and len(value) == 1 and value[0] in CONTROLS:
            is_dtr, on = CONTROLS[value[0]]
            if is_dtr:
                self._dtr = on
            else:
                self._rts = on
            self._listener.lines(self._dtr, self._rts)
        reply = bytes((COM_PORT, 100 + command)) + value
        self._transport.write(b"\xff\xfa" + reply.replace(b"\xff", b"\xff\xff") + b"\xff\xf0")
