"""`buoy` as a process of its own that starts with its modules loaded: a second less for each of hundreds."""

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

SERVER = Path(__file__).with_name("warm_server.py")
STATUS_BYTES = 4
_asking = threading.Lock()


class Warm:
    """A `buoy` under way, with the methods of `subprocess.Popen` that tests use; output is text.

    Args:
        arguments: what follows `buoy`.
        folder: where it is typed.
        environment: all of it.
    """

    def __init__(
        self,
        arguments: list[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.args = arguments
        self.returncode: int | None = None
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        self._status, status_end = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        self.stdout: IO[str] = os.fdopen(out, encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(err, encoding="utf-8")
        request = {"arguments": arguments, "folder": str(folder), "environment": dict(environment)}
        handed = (nothing, out_end, err_end, status_end)
        with _asking:
            connection = server()
            socket.send_fds(connection, [json.dumps(request).encode()], handed)
            self.pid = int(connection.recv(64))
        for descriptor in handed:
            os.close(descriptor)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None: it goes on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int.from_bytes(os.read(self._status, STATUS_BYTES), sys.byteorder, signed=True)
            os.close(self._status)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read all output and wait for the end.

        Raises:
            subprocess.TimeoutExpired: it goes on; a second call has what came until then.
        """
        end = None if timeout is None else time.monotonic() + timeout
        for reader in self._readers:
            reader.join(None if end is None else max(0.0, end - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if end is None else max(0.0, end - time.monotonic()))
        return "".join(self._read[0]), "".join(self._read[1])

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    @functools.cached_property
    def _read(self) -> tuple[list[str], list[str]]:
        return [], []

    @functools.cached_property
    def _readers(self) -> list[threading.Thread]:
        def read(stream: IO[str], into: list[str]) -> None:
            with stream:
                into.append(stream.read())

        readers = [
            threading.Thread(target=read, args=pair, daemon=True)
            for pair in zip((self.stdout, self.stderr), self._read, strict=True)
        ]
        for reader in readers:
            reader.start()
        return readers


def run(
    arguments: list[str], *, folder: Path, environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `buoy` to its end, as `subprocess.run` with captured text would.

    Raises:
        subprocess.TimeoutExpired: it was ended by force.
    """
    process = Warm(arguments, folder=folder, environment=environment)
    try:
        out, err = process.communicate(timeout_s)
    except BaseException:
        process.kill()
        raise
    return subprocess.CompletedProcess(arguments, process.wait(), out, err)


@functools.cache
def server() -> socket.socket:
    """To the process that is forked, one for each worker of the tests; it ends with the worker."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        _servers.append(
            subprocess.Popen(
                [sys.executable, str(SERVER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.DEVNULL,
            )
        )
    return ours


_servers: list[subprocess.Popen[bytes]] = []
