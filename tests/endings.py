"""Every run of the tests ends, and says which test kept it from ending.

1. pytest-timeout interrupts a test at its limit (SIGALRM, in the main thread): it fails, the run goes on.
2. A test that this does not end (signals blocked, hung in C, hung again while it is taken down) is ended with
   its process `timeout_grace` seconds later, by a thread of faulthandler that needs neither the interpreter
   nor a signal. pytest-xdist then names the test and starts another worker.
3. When no test runs and none begins for `standstill_limit` seconds, the whole run is ended: a file that hangs
   while it is imported, or workers that wait for each other.

Failures are printed when they happen, for whoever ends the run before its summary.
"""

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

GRACE_S = 30.0
"""For taking a test down after it was interrupted."""
STANDSTILL_S = 900.0
"""Importing all tests takes 30 s of a processor; five minutes were seen on a loaded machine."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for the tests of this file, which have no minutes to give."""
    parser.addini("timeout_grace", "seconds from a test's limit to its process's end", default=str(GRACE_S))
    parser.addini("standstill_limit", "seconds without a test until the end", default=str(STANDSTILL_S))


def pytest_configure(config: pytest.Config) -> None:
    """Workers bound their tests, whoever has the terminal shows failures and bounds the run."""
    limit_s = float(config.getini("standstill_limit"))
    config.pluginmanager.register(HardLimit(float(config.getini("timeout_grace")), limit_s), "hard-limit")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config), "failures-at-once")
        config.pluginmanager.register(Standstill(limit_s), "standstill")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "WholeFiles | None":
    """Of `--dist loadfile`."""
    return WholeFiles(config, log) if config.getvalue("dist") == "loadfile" else None


class WholeFiles(LoadFileScheduling):
    """`--dist loadfile` that survives a worker's end.

    pytest-xdist 3.8.0 (its issues 1323, 1327, 1378; pull request 1371) runs the test that ended a worker
    again, hands on files that are done, gives files to a worker that has not read the tests yet, and leaves
    a worker waiting with its last test: the run never ends.
    """

    def remove_node(self, node: Any) -> str | None:
        """What the worker had left goes to others, but not the test that it ended with."""
        files = self.assigned_work.pop(node)
        left = [name for tests in files.values() for name, done in tests.items() if not done]
        if not left:
            return None
        for file, tests in files.items():
            rest = {name: done for name, done in tests.items() if not done and name != left[0]}
            if rest:
                self.workqueue[file] = rest
        for other in self.assigned_work:
            self._reschedule(other)
        return left[0]

    def _reschedule(self, node: Any) -> None:
        """More files for a worker, or its end: it begins a test when it knows what comes after.

        Each call of xdist's gives one file, which may be a single test; the worker would wait with it.
        """
        if node not in self.registered_collections:
            return
        super()._reschedule(node)
        while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)
        if not self.workqueue and not node.shutting_down:
            node.shutdown()


class HardLimit:
    """Ends the process of a test that pytest-timeout could not end."""

    def __init__(self, grace_s: float, import_limit_s: float) -> None:
        self._grace_s = grace_s
        self._import_limit_s = import_limit_s
        self._test_limit_s: float | None = None
        # pytest puts a file in its place while tests run; now it is the terminal.
        self._stderr = os.dup(2)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Iterator[None]:
        """Says where files hang that are imported. `Standstill` ends the run."""
        faulthandler.dump_traceback_later(0.5 * self._import_limit_s, file=self._stderr)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> None:  # noqa: ARG002
        """Of pytest-timeout: the test starts now."""
        self._test_limit_s = settings.timeout + self._grace_s
        self._start()

    @pytest.hookimpl(trylast=True)
    def pytest_exception_interact(self) -> None:
        """Starts again: pytest and pytest-timeout end all timers at a failure, before fixtures go down."""
        self._start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:  # noqa: ARG002
        """Ends the timer, whatever became of the test."""
        try:
            return (yield)
        finally:
            self._test_limit_s = None
            faulthandler.cancel_dump_traceback_later()

    def _start(self) -> None:
        if self._test_limit_s is not None:
            faulthandler.dump_traceback_later(self._test_limit_s, exit=True, file=self._stderr)

    def pytest_enter_pdb(self) -> None:
        """Somebody looks at the test."""
        faulthandler.cancel_dump_traceback_later()


class FailuresAtOnce:
    """Prints a failure when it is known; pytest keeps all of them for the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of a test's set-up, call or taking down."""
        if report.failed:
            reporter = self._config.pluginmanager.getplugin("terminalreporter")
            reporter.ensure_newline()
            reporter.write_sep("_", f"{report.nodeid} ({report.when})", red=True)
            reporter.write_line(report.longreprtext)


class Standstill:
    """Ends a run in which no test runs and none begins."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._stderr = os.dup(2)
        self._running: set[str] = set()
        self._last = "the start"
        self._since = time.monotonic()
        self._over = threading.Event()

    def pytest_sessionstart(self) -> None:
        """Watch from here on."""
        threading.Thread(target=self._watch, name="standstill", daemon=True).start()

    def pytest_unconfigure(self) -> None:
        """The run is over."""
        self._over.set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """While a test runs, its process bounds it."""
        self._running.add(nodeid)
        self._seen(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended."""
        self._running.discard(nodeid)
        self._seen(nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """A test has ended together with its process."""
        self._running.discard(crashitem)
        self._seen(crashitem)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file was imported."""
        self._seen(report.nodeid or "the start")

    def _seen(self, what: str) -> None:
        self._last, self._since = what, time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            silent_s = time.monotonic() - self._since
            if not self._running and silent_s > self._limit_s:
                self._end(silent_s)
                return

    def _end(self, silent_s: float) -> None:
        """As Ctrl-C does, which prints what is known; by force when that does not help."""
        text = (
            f"\nno test has begun or ended for {silent_s:.0f} s; the last was {self._last}. Ending the run.\n"
        )
        os.write(self._stderr, text.encode())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if not self._over.wait(30.0):
            os._exit(1)
