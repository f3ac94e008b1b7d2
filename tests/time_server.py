"""A time server on loopback."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

STOP = b"stop"
_NTP_TO_UNIX_S = 2208988800


@dataclass
class TimeServer:
    """A time server on loopback; what it makes of a request can be exchanged."""

    line: socket.socket
    bad: list[Callable[[bytes], list[bytes]]] = field(default_factory=list)
    """What the next requests get instead of the time."""
    asked: int = 0
    silent: bool = False

    @property
    def port(self) -> int:
        """UDP."""
        return int(self.line.getsockname()[1])

    def serve(self) -> None:
        """Until `STOP` comes."""
        while True:
            try:
                request, address = self.line.recvfrom(512)
            except OSError:
                return
            if request == STOP:
                return
            self.asked += 1
            if self.silent:
                continue
            for packet in self.bad.pop(0)(request) if self.bad else [right(request)]:
                self.line.sendto(packet, address)


def right(request: bytes, shift_s: float = 0.0) -> bytes:
    """The time of this computer, as a server of stratum 2 gives it."""
    now = time.time() + _NTP_TO_UNIX_S + shift_s
    head = struct.pack(">BBBb", 0x24, 2, 6, -20) + bytes(20) + request[40:48] + bytes(8)
    return head + struct.pack(">II", int(now) & 0xFFFFFFFF, int(now % 1 * 2**32))


@contextmanager
def running_time_server() -> Iterator[TimeServer]:
    """One that gives the time of this computer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        server = TimeServer(line)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server
        line.sendto(STOP, line.getsockname())
        thread.join(5)
