"""Answers the wire of a MicroPython process (shims/buoy_wire.py) from a bench in this process.

`answer` is all a supervisor of many boards needs: it has its own event loop. `serving` serves one board on a
thread, for tests and tools.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from buoyfleet.simulation.buses.bench import OPERATIONS, Bench

SHIMS = Path(__file__).resolve().parent / "shims"
"""Folder for the `sys.path` of a MicroPython process."""


def answer(bench: Bench, line: bytes) -> bytes:
    """The reply to one request line, with its length before it.

    A request that is no JSON, unknown or refused gives an error reply, never an exception: what stands at the
    other end is a program under test.
    """
    try:
        now_us, operation, *arguments = json.loads(line)
        if isinstance(now_us, int):
            bench.advance_to_us(now_us)
        elif now_us is not None:
            raise TypeError(f"time {now_us!r} is no whole number of µs")
        if operation == "edges":
            value: Any = None
        elif isinstance(operation, str) and operation in OPERATIONS:
            value = bench.call(operation, *(_inward(item) for item in arguments))
        else:
            raise RuntimeError(f"no operation {operation!r}")
        reply: list[Any] = [_outward(value), bench.changes]
        edges = bench.take_edges()
        if edges:
            reply.append(edges)
    except OSError as error:
        reply = ["!", "OSError", *(_outward(item) for item in error.args)]
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError) as error:
        kind = "ValueError" if isinstance(error, ValueError) else "RuntimeError"
        reply = ["!", kind, _outward(str(error))]
    body = json.dumps(reply, separators=(",", ":")).encode()
    return b"%06d" % len(body) + body


@contextmanager
def serving(bench: Bench) -> Iterator[int]:
    """Serve one board on a thread; gives the descriptor that its MicroPython process inherits.

    Start the process with `pass_fds=(fd,)`; there `buoy_wire.connect_fd(fd)` finds the bench.
    """
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=_serve, args=(bench, ours), daemon=True)
    thread.start()
    try:
        yield theirs.fileno()
    finally:
        theirs.close()
        ours.shutdown(socket.SHUT_RDWR)
        thread.join(5.0)
        ours.close()


def _serve(bench: Bench, stream: socket.socket) -> None:
    pending = b""
    while True:
        try:
            data = stream.recv(4096)
        except OSError:
            return
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            stream.sendall(answer(bench, line))


def _inward(value: Any) -> Any:
    if isinstance(value, str):
        return bytes.fromhex(value[2:]) if value.startswith("b:") else value[2:]
    return value


def _outward(value: Any) -> Any:
    if isinstance(value, str):
        return "s:" + value
    if isinstance(value, bytes):
        return "b:" + value.hex()
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [_outward(item) for item in value]
    return value
