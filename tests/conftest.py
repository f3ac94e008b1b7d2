"""Fixtures shared by all tests: free ports, project paths, brokers and the MicroPython interpreter."""

import contextlib
import gc
import os
import random
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from endings import pytest_addoption, pytest_configure, pytest_xdist_make_scheduler  # noqa: F401 - hooks
from found_programs import find_program
from hypothesis import HealthCheck, settings

# `make test` tries the same examples every time, so that a red run is the fault of the change under test;
# `make soak` draws new and more ones.
# A loaded machine is no fault of an example: time is bounded by the test's own limit.
TIME = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeatable", max_examples=50, derandomize=True, **TIME)
settings.register_profile("explore", max_examples=500, print_blob=True, **TIME)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60.0


def unused_port() -> int:
    """A TCP port on loopback that nobody uses just now, and that no outgoing connection will be given.

    A broker that is stopped and started again, as a test of outages does it, has to find it free again.
    """
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(10_000, 20_000)))
            return int(probe.getsockname()[1])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs slow files first, by the time limits of their tests, so that all workers end together."""
    longest_s: dict[Path, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        limit_s = mark.args[0] if mark and mark.args else float(item.config.getini("timeout"))
        longest_s[item.path] = max(limit_s, longest_s.get(item.path, 0.0))
    items.sort(key=lambda item: -longest_s[item.path])


@pytest.fixture(scope="module", autouse=True)
def _short_collections() -> None:
    """Keeps the tests out of garbage collections: the firmware collects as often as a board must."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """What is frozen at the end is reported as leaked by DuckDB's bindings, after the summary."""
    gc.unfreeze()


@pytest.fixture
def free_port() -> int:
    """A TCP port on loopback that nobody uses just now."""
    return unused_port()


@pytest.fixture(scope="session", autouse=True)
def _own_port_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two workers of these tests get the same names of pseudo-terminals, one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUOY_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder that holds boards.yaml."""
    return ROOT


@pytest.fixture(scope="session")
def micropython() -> Path:
    """A MicroPython interpreter (Unix port, 1.24 or later)."""
    return find_program("micropython")


class Mosquitto:
    """A mosquitto of our own on loopback. `stop` and `start` keep the port, for tests of broker restarts."""

    def __init__(self, folder: Path, lines: Iterable[str], *, usual_queues: bool = False) -> None:
        self.binary = find_program("mosquitto")
        self.pub = find_program("mosquitto_pub")
        self.sub = find_program("mosquitto_sub")
        self.folder = folder
        self.lines = tuple(lines)
        self._usual_queues = usual_queues
        self.port = 0
        self.log: list[str] = []
        """What the broker printed, a line each."""
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        if self._process is None:
            raise RuntimeError("mosquitto is not running")
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it listens. The first start picks the port; a taken one is tried again."""
        ports = [self.port] if self.port else [unused_port() for _ in range(5)]
        for port in ports:
            if self._started(port):
                self.port = port
                return
        pytest.fail("mosquitto did not start:\n" + "\n".join(self.log[-20:]), pytrace=False)

    def stop(self) -> None:
        """End it politely, by force after five seconds. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join(5)
        if process.stdout is not None:
            process.stdout.close()

    def _started(self, port: int) -> bool:
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join([*self._global_lines(), f"listener {port} 127.0.0.1", *self.lines, ""]))
        process = subprocess.Popen(
            [self.binary, "-c", config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        running = threading.Event()
        ended = threading.Event()
        self._process = process
        self._reader = threading.Thread(target=self._read, args=(process, running, ended), daemon=True)
        self._reader.start()
        if running.wait(START_TIMEOUT_S) and not ended.is_set():
            return True
        self.stop()
        return False

    def _read(
        self, process: "subprocess.Popen[str]", running: threading.Event, ended: threading.Event
    ) -> None:
        if process.stdout is None:
            return
        for line in process.stdout:
            self.log.append(line.rstrip("\n"))
            if re.search(r"mosquitto version \S+ running", line):
                running.set()
        ended.set()
        running.set()

    def _global_lines(self) -> list[str]:
        lines = [
            "log_dest stderr",  # unbuffered
            "log_type error",
            "log_type warning",
            "log_type notice",
            "log_type information",
            "allow_anonymous true",
            "set_tcp_nodelay true",
            "persistence false",
        ]
        if not self._usual_queues:
            # With these, mosquitto drops the connection after a PUBLISH that an ACL denies.
            lines += ["max_inflight_messages 0", "max_queued_messages 0"]
        if os.geteuid() == 0:
            lines.append("user root")  # else it drops to a user who may not read a test's keys
        return lines


@pytest.fixture(scope="module")
def start_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Mosquitto]]:
    """Start brokers with further configuration lines, e.g. `cafile …`, `certfile …` for TLS on its listener.

    The lines follow the broker's `listener`, so those of listeners apply to it. All end with the test module.
    """
    started: list[Mosquitto] = []

    def start(config_lines: Iterable[str] = (), *, usual_queues: bool = False) -> Mosquitto:
        broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"), config_lines, usual_queues=usual_queues)
        started.append(broker)
        broker.start()
        return broker

    try:
        yield start
    finally:
        for broker in started:
            broker.stop()


@pytest.fixture(scope="module")
def mosquitto(start_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """A broker: anonymous, TCP_NODELAY, no limits. `.port`, `.pub` and `.sub` say how to use it."""
    return start_mosquitto()
