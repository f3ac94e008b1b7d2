"""What the benchmarks share: a mosquitto of their own, and numbers for people."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CONFIG = """listener {port} 127.0.0.1
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
"""


def free_port() -> int:
    """A TCP port on loopback that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def mosquitto(lines: Sequence[str] = ("allow_anonymous true",)) -> Iterator[int]:
    """A mosquitto without limits on loopback, with these lines for its listener; gives its port."""
    fetched = ROOT / ".tools" / "bin" / "mosquitto"
    binary = (
        str(fetched)
        if fetched.exists()
        else shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    )
    if binary is None:
        sys.exit("mosquitto is missing; `make setup-test` fetches it or says what to install")
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = Path(folder) / "mosquitto.conf"
        # Started by root it would become a user who may not read certificates in a folder of ours.
        own = f"user {getpass.getuser()}\n" if os.geteuid() == 0 else ""
        config.write_text(own + _CONFIG.format(port=port) + "\n".join(lines) + "\n")
        process = subprocess.Popen([binary, "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            _await_listener(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _await_listener(port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    sys.exit(f"no broker on port {port} within 10 s")
