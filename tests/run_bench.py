"""Runs `buoy` as a user does: as a program, with its exit code, its output and the folder it leaves."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from warm import Warm

from buoyfleet.model.ledger import Event

ROOT = Path(__file__).resolve().parent.parent


def fleet_text(*, ids: str = "100-104", target: str = "local", **parts: Any) -> str:
    """A fleet file; `parts` are sections in YAML's JSON subset."""
    run = {"messages": 20, "interval": "20 ms", "start_spread": "100 ms", **parts.get("run", {})}
    sections = {
        "fleet": "bench",
        "target": parts.get("target_section", target),
        "run": run,
        "boards": [{"kind": "virtual", "ids": ids, **parts.get("group", {})}],
        "thresholds": parts.get(
            "thresholds",
            ["timestream.missing == 0", "s3.missing == 0"] if target == "local" else ["send.dropped == 0"],
        ),
    }
    return json.dumps(sections, indent=1)


class Run:
    """A `buoy` under way.

    Args:
        before: to be called by its process before it starts.
        fresh: start it as a user does, with nothing loaded.
    """

    def __init__(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        before: Callable[[], None] | None = None,
        fresh: bool = False,
    ) -> None:
        environment = {**os.environ, "NO_COLOR": "1", **(environment or {})}
        self.process: Warm | subprocess.Popen[str]
        if before is None and not fresh:
            self.process = Warm(list(arguments), folder=ROOT, environment=environment)
        else:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "buoyfleet.cli.main", *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=before,
            )
        self.out = ""
        self.err = ""

    def finish(self, timeout_s: float = 300.0) -> int:
        """Wait for the end; returns the exit code."""
        try:
            self.out, self.err = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.out, self.err = self.process.communicate()
            raise AssertionError(f"not done within {timeout_s} s\n{self.out}\n{self.err}") from None
        return self.process.returncode


def buoy(*arguments: str, environment: dict[str, str] | None = None) -> Run:
    """Run to the end."""
    run = Run(*arguments, environment=environment)
    run.finish()
    return run


def only_folder(out: Path) -> Path:
    """The run's folder."""
    (folder,) = out.iterdir()
    return folder


def result_of(out: Path) -> dict[str, Any]:
    """The result of the only run in `out`."""
    document: dict[str, Any] = json.loads((only_folder(out) / "result.json").read_text())
    return document


def processes_of(folder: Path) -> list[int]:
    """Processes that were started with a file of this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str(folder) in (entry / "cmdline").read_bytes().decode(
                errors="replace"
            ):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def process_of(folder: Path, module: str) -> int:
    """The process that runs a module on a file of this folder."""
    for pid in processes_of(folder):
        with contextlib.suppress(OSError):
            if module in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0"):
                return pid
    raise AssertionError(f"no process runs {module} for {folder}")


def until(condition: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.01)


def sending(out: Path, messages: int = 20) -> bool:
    """Whether messages of the run are under way, by its ledger."""
    sent = 0
    for file in out.glob("*/ledger/*.arrows"):
        with contextlib.suppress(pa.ArrowInvalid, OSError), pa.OSFile(str(file)) as source:
            for batch in pa.ipc.open_stream(source):
                sent += batch.column("event").to_pylist().count(int(Event.SENT))
    return sent >= messages


@contextlib.contextmanager
def under_way(*arguments: str, out: Path, environment: dict[str, str] | None = None) -> Iterator[Run]:
    """A run that sends; it is ended if the test does not."""
    run = Run(*arguments, "--out", str(out), environment=environment)
    try:
        until(lambda: sending(out) or run.process.poll() is not None, "messages under way")
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.communicate()
