"""A stand-in for a broker that is far away: it speaks as much MQTT as a board needs and acknowledges late."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def slow_broker(delay_s: float) -> Iterator[int]:
    """A broker for one board that sends each PUBACK `delay_s` after its message; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, delay_s), daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])


def _serve(listener: socket.socket, delay_s: float) -> None:
    connection = listener.accept()[0]
    with connection, contextlib.suppress(OSError):
        stream = connection.makefile("rb")
        while header := stream.read(1):
            body = stream.read(_length(stream))
            kind = header[0] >> 4
            if kind == 1:
                connection.sendall(b"\x20\x02\x00\x00")
            elif kind == 8:
                connection.sendall(b"\x90\x04" + body[:2] + b"\x01\x01")
            elif kind == 3:
                topic_end = 2 + int.from_bytes(body[:2], "big")
                puback = b"\x40\x02" + body[topic_end : topic_end + 2]
                time.sleep(delay_s)  # the delay is what this broker is for
                connection.sendall(puback)


def _length(stream: BinaryIO) -> int:
    shift = length = 0
    while True:
        byte = stream.read(1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return length
