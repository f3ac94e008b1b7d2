"""What a run notes of itself as it goes, so that it can be verified whatever becomes of its process.

run folder/
  run.json          phase, times and settings; replaced as a whole at each step
  reports.jsonl     what the boards said of themselves, a line each; there once sending is over
  run.lock          locked as long as the run's process lives
"""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buoyfleet.boards.report import BoardReport
from buoyfleet.cloud.target import Collected
from buoyfleet.model.errors import UsageError, VerificationError, unwritable
from buoyfleet.model.stage_count import StageCount

STATE, REPORTS, LOCK = "run.json", "reports.jsonl", "run.lock"
_VERSION = 1
_KEPT = (
    *("run_id", "command", "phase", "started_ns", "ended_ns", "since_ns", "until_ns", "collected_ns"),
    *("interrupted", "phases_s", "warnings", "target_failure", "reading_failure", "limits", "usage"),
)

PHASES = ("start", "connect", "send", "drain", "collect", "verify", "report")
"""In the order of a run."""
DOING = {
    "start": "the target started",
    "connect": "boards connected",
    "send": "boards sent",
    "drain": "the stores were waited for",
    "collect": "the stores were read",
    "verify": "it was verified",
    "report": "its report was written",
}
"""Phase → what happened in it, for sentences."""


@dataclass(slots=True)
class RunRecord:
    """What a run left behind, for verification."""

    run_folder: Path
    run_id: str = ""
    command: str = ""
    began_s: float = 0.0
    """Monotonic time of the engine's start."""
    phase: str = "start"
    """One of `PHASES`: where it is, or was when its process ended."""
    started_ns: int = 0
    ended_ns: int = 0
    since_ns: int = 0
    """The window in which the run's measures are looked for."""
    until_ns: int = 0
    collected_ns: int = 0
    """When the stores were read."""
    interrupted: bool = False
    cut_short: str = ""
    """The phase in which the run's process was killed; empty: it was not."""
    reports: dict[int, BoardReport] = field(default_factory=dict)
    collected: Collected = field(default_factory=lambda: Collected((), []))
    phases_s: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    target_failure: str = ""
    """Of the target while it was used: it stays, whatever is read later."""
    reading_failure: str = ""
    """Why the stores could not be read whole; reading them again may mend it."""
    limits: list[str] = field(default_factory=list)
    """The target's limits that are not AWS's, in words."""
    usage: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Unit → CPU seconds, peak memory in kB."""
    lock: int | None = None
    """Descriptor of `LOCK` while the run is under way."""

    @property
    def failure(self) -> str:
        """Of the target, in either way; empty: none."""
        return self.target_failure or self.reading_failure

    @property
    def sending_ended(self) -> bool:
        """Whether every unit had reported when this was noted."""
        return PHASES.index(self.phase) > PHASES.index("send")

    def note(self, phase: str = "") -> None:
        """Write down where the run is. On a full disk the last note stays, and the ledgers say the rest."""
        self.phase = phase or self.phase
        with contextlib.suppress(OSError):
            self.write()

    def write(self) -> None:
        """As `note`.

        Raises:
            OSError: the folder cannot take it.
        """
        kept = {name: getattr(self, name) for name in _KEPT}
        document = {"version": _VERSION, **kept, "collected": dataclasses.asdict(self.collected)}
        _replace(self.run_folder / STATE, json.dumps(document))

    def note_reports(self) -> None:
        """Write down what the boards reported."""
        lines = (json.dumps(dataclasses.asdict(report)) + "\n" for report in self.reports.values())
        with contextlib.suppress(OSError):
            _replace(self.run_folder / REPORTS, "".join(lines))

    @property
    def folder_lost(self) -> bool:
        """Whether somebody took the run's folder away, or emptied it, while the run was under way."""
        # By the lock: others make the folder again when they write into it.
        return self.lock is not None and not os.fstat(self.lock).st_nlink


def folder_lost(run_folder: Path) -> VerificationError:
    """What to say then."""
    return VerificationError(
        "the run's folder was deleted while the run was under way: nothing proves what arrived",
        where=str(run_folder),
        cause="someone cleaned up, or the disk was unmounted",
        next_step="buoy run again, and leave the folder alone until it ends",
    )


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".part")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def read_record(run_folder: Path) -> RunRecord | None:
    """What a run noted last; None where it noted nothing that can be read.

    A board without a report had none when the run's process ended.
    """
    try:
        document: dict[str, Any] = json.loads((run_folder / STATE).read_text(encoding="utf-8"))
        if document.pop("version") != _VERSION:
            return None
        collected = document.pop("collected")
        stages = [StageCount(**stage) for stage in collected["stages"]]
        usage = {name: (float(cpu_s), int(rss)) for name, (cpu_s, rss) in document.pop("usage").items()}
        record = RunRecord(
            run_folder,
            collected=Collected(**{**collected, "stores": tuple(collected["stores"]), "stages": stages}),
            usage=usage,
            **document,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if record.phase not in PHASES:
        return None
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
        for line in (run_folder / REPORTS).read_text(encoding="utf-8").splitlines():
            report = BoardReport(**json.loads(line))
            record.reports[report.buoy_id] = report
    return record


@contextlib.contextmanager
def under_way(record: RunRecord) -> Iterator[None]:
    """Hold the run's lock: while its process lives, nobody else verifies it.

    Raises:
        PreflightError: the folder cannot be written.
    """
    try:
        lock = (record.run_folder / LOCK).open("w")
    except OSError as error:
        raise unwritable(record.run_folder, error) from None
    with lock:
        record.lock = lock.fileno()
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            record.lock = None


def is_under_way(run_folder: Path) -> bool:
    """Whether a run's process lives."""
    try:
        lock = (run_folder / LOCK).open("r")
    except OSError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
    return False


def require_ended(run_folder: Path) -> None:
    """Refuse a run that is still under way.

    Raises:
        UsageError: its process lives.
    """
    if is_under_way(run_folder):
        raise UsageError(
            "the run is still under way",
            where=str(run_folder),
            next_step="wait for its end, or stop it with Ctrl-C; then the same command",
        )
