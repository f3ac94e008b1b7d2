"""Starts `buoy` by a fork of this process, in which everything that commands load is loaded already.

`python warm_server.py FD`: a socket over which tests/warm.py asks. Each request brings four descriptors:
standard input, output, error, and one to which the exit status is written. What is forked is a process of its
own as any `buoy`, apart from its name in the process list.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import struct
import sys

from buoyfleet.cli.table import COMMANDS

REQUEST_BYTES = 1 << 18
STATUS = struct.Struct("i")

DEAR = (
    "uvloop",
    "pyarrow.parquet",
    "duckdb",
    "paho.mqtt.client",
    "buoyfleet.cli.commands",
    "buoyfleet.runs.run_fleet",
)


def load() -> None:
    """Import what nearly every command would."""
    for name in DEAR:
        importlib.import_module(name)
    for module in {place.partition(":")[0] for place, _ in COMMANDS.values()}:
        importlib.import_module(f"buoyfleet.cli.{module}")
    for name in ("buoyfleet.runs.conclude", "buoyfleet.report.write"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def serve(connection: socket.socket) -> list[str]:
    """Answer requests until the other side is gone; returns only in a child, with its command line."""
    waiting: dict[int, tuple[int, int]] = {}
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd in waiting:
                pid, told = waiting.pop(key.fd)
                selector.unregister(key.fd)
                os.close(key.fd)
                with contextlib.suppress(BrokenPipeError):  # nobody wants to know
                    os.write(told, STATUS.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
                os.close(told)
                continue
            message, descriptors, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 4)
            if not message:
                os._exit(0)  # with all frozen, an end would report leaks
            told = descriptors.pop()
            pid = os.fork()
            if pid == 0:
                selector.close()
                connection.close()
                for ours in (told, *waiting, *(told for _, told in waiting.values())):
                    os.close(ours)
                return become(json.loads(message), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            handle = os.pidfd_open(pid)
            waiting[handle] = (pid, told)
            selector.register(handle, selectors.EVENT_READ)
            connection.send(str(pid).encode())


def become(request: dict[str, object], descriptors: list[int]) -> list[str]:
    """Be the process that was asked for: its descriptors, folder, environment and signals."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8"),
        io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8"),
        io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(2, "w", closefd=False)),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        ),
    )
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Frozen, DuckDB's types would be reported as leaked at the end.
    gc.unfreeze()
    return list(request["arguments"])  # type: ignore[call-overload]


if __name__ == "__main__":
    # Ctrl-C is for the tests, which end this process by closing its socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load()
    from buoyfleet.cli import main

    sys.argv = [main.__file__, *serve(socket.socket(fileno=int(sys.argv[1])))]
    main.main()
