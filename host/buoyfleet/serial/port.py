"""Opening a serial port by path (`/dev/ttyUSB0`, a PTY) or URL (`rfc2217://HOST:PORT`, `socket://HOST:PORT`)."""

import contextlib
import errno
import os
import stat
import termios
import time
from typing import Protocol

from buoyfleet.model.board_names import is_url
from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import PreflightError
from buoyfleet.serial.listing import holder
from buoyfleet.serial.lock import LOOK_AGAIN_S, STARTING_S, PortBusy

BAUD = 115200
"""Of the REPL on every ESP32 image."""
READ_TIMEOUT_S = 0.1
"""A reader looks up at least this often. Set once: over RFC 2217 a change costs a round trip and 50 ms."""
WRITE_TIMEOUT_S = 10.0
"""A port that takes nothing for so long is broken."""
NO_SERVER = "nothing listens there, or another program has the port"
START_SERVER = (
    "start the server of that port: `buoy simulate`, or esp_rfc2217_server on the computer with the cable"
)
_MEMORY_DEVICES = 1
"""Major number of /dev/null and others of Linux (Documentation/admin-guide/devices.txt)."""


class NoSuchPort(PreflightError):
    """There is no port of that name."""

    def __init__(self, port: str) -> None:
        super().__init__(
            "no such port. See `buoy ports`.",
            where=port,
            cause="not plugged in, a cable without data lines, or back under another name",
            next_step="buoy ports",
        )


def require_port(port: str) -> None:
    """Refuse a path that cannot be a port. What a URL leads to is only known when it is opened.

    Raises:
        NoSuchPort: there is nothing of that name.
        PreflightError: it is no serial port, or this user may not open it.
    """
    if is_url(port):
        return
    try:
        there = os.stat(port)
    except OSError:
        raise NoSuchPort(port) from None
    if not stat.S_ISCHR(there.st_mode) or os.major(there.st_rdev) == _MEMORY_DEVICES:
        raise PreflightError("not a serial port", where=port, next_step="buoy ports")
    if not os.access(port, os.R_OK | os.W_OK):
        raise _not_permitted(port)


def _not_permitted(port: str) -> PreflightError:
    return PreflightError(
        "permission denied",
        where=port,
        cause="your user is not in the group that owns serial ports",
        next_step="sudo usermod -aG dialout $USER, then log in again",
    )


class SerialPort(Protocol):
    """What is used of pyserial's port."""

    baudrate: int
    dtr: bool
    rts: bool

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        ...

    def read(self, size: int = 1) -> bytes:
        """At most `size` bytes; fewer when the time-out is over."""
        ...

    def write(self, data: bytes) -> int | None:
        """All bytes."""
        ...

    def close(self) -> None:
        """Safe to call twice."""
        ...


def open_port(port: str, baud: int = BAUD, read_timeout_s: float = READ_TIMEOUT_S) -> SerialPort:
    """Open a port and leave its board alone; bytes that came before are thrown away.

    On a DevKit DTR pulls IO0 and RTS pulls EN, each only while the other is released. The system asserts both
    when a port is opened, and they stay so here: EN is never pulled. On closing they would drop one after the
    other on some adapters, so hang-up on close is switched off.

    Args:
        port: path or URL.
        baud: bits per second.
        read_timeout_s: how long `read` waits.

    Raises:
        PreflightError: it cannot be opened; says why and what to do.
    """
    import serial

    # pyserial's exclusive lock also keeps out programs that know nothing of ours, such as mpremote. Over
    # RFC 2217 it cannot limit a write, but there the socket's own time-out does.
    local = {} if is_url(port) else {"exclusive": True, "write_timeout": WRITE_TIMEOUT_S}
    deadline = Deadline(STARTING_S)
    while True:
        try:
            opened: SerialPort = serial.serial_for_url(port, baudrate=baud, timeout=read_timeout_s, **local)
            break
        except (serial.SerialException, OSError, ValueError) as error:
            if deadline.expired or not _in_use(error):
                raise _cannot_open(port, error) from error
        time.sleep(LOOK_AGAIN_S)
    if not is_url(port):
        _keep_lines_on_close(opened)
    return opened


def _in_use(error: Exception) -> bool:
    number = getattr(error, "errno", None)
    return number in (errno.EAGAIN, errno.EBUSY) or "exclusively lock" in str(error)


def _keep_lines_on_close(opened: SerialPort) -> None:
    descriptor = opened.fileno()  # type: ignore[attr-defined]
    with contextlib.suppress(termios.error, OSError):
        attributes = termios.tcgetattr(descriptor)
        attributes[2] &= ~termios.HUPCL
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _cannot_open(port: str, error: Exception) -> PreflightError:
    number = getattr(error, "errno", None)
    if is_url(port):
        if isinstance(error, ValueError):
            return PreflightError(
                f"no port: {error}", where=port, next_step="write rfc2217://HOST:PORT or socket://HOST:PORT"
            )
        return PreflightError(
            f"cannot be opened: {error}",
            where=port,
            cause=NO_SERVER,
            next_step=START_SERVER,
        )
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV) or not os.path.exists(port):
        return NoSuchPort(port)
    if number in (errno.EACCES, errno.EPERM):
        return _not_permitted(port)
    if _in_use(error):
        if who := holder(port):
            return PortBusy(who, port)
        return PortBusy("another program", port, next_step=f"see which: sudo fuser -v {port}")
    return PreflightError(f"cannot be opened: {error}", where=port, next_step="is it a serial port?")
