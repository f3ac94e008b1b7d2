"""The runs in a folder: what each ended with, and the tags that people gave them."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from buoyfleet.model.errors import BuoyError, UsageError, unwritable
from buoyfleet.model.result import Result
from buoyfleet.report.load import NoResult, read_result
from buoyfleet.report.verdict import headline

TAGS = "tags.json"
"""In a run's folder: a JSON array of words."""
BASELINE = "baseline"
"""The tag of the run that later ones are held against."""
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that ended, or was killed."""

    folder: Path
    tags: tuple[str, ...]
    result: Result | None
    problem: str = ""
    """Why there is no result."""

    @property
    def verdict(self) -> str:
        """`passed`, `failed`, `unproven`, `interrupted`, or `no verdict`."""
        if self.result is None:
            return "no verdict"
        return headline(self.result).word


def past_runs(runs: Path) -> list[PastRun]:
    """The runs of a folder, oldest first. Folders that are no run's are left out."""
    found = []
    for folder in sorted(runs.iterdir()) if runs.is_dir() else []:
        if not folder.is_dir():
            continue
        try:
            found.append(PastRun(folder, read_tags(folder), read_result(folder)))
        except NoResult as error:
            found.append(PastRun(folder, (), None, error.what))
        except BuoyError:
            continue
    return sorted(found, key=_when)


def _when(run: PastRun) -> tuple[int, str]:
    if run.result is not None:
        return run.result.run.started_ns, run.folder.name
    return (run.folder / "fleet.yaml").stat().st_mtime_ns if (run.folder / "fleet.yaml").exists() else 0, ""


def matching(runs: Iterable[PastRun], words: Iterable[str]) -> list[PastRun]:
    """Runs that every word fits.

    Args:
        runs: to choose from.
        words: a verdict (`failed`), `tag=WORD`, `since=2026-11-01`, `target=local`, or a part of the name of
            the run or its fleet.

    Raises:
        UsageError: a date that is none, or an unknown name before `=`.
    """
    tests = [_test(word) for word in words]
    return [run for run in runs if all(test(run) for test in tests)]


def _test(word: str) -> Callable[[PastRun], bool]:
    name, is_pair, value = word.partition("=")
    if not is_pair:
        return lambda run: word == run.verdict or word in run.folder.name or word in _fleet(run)
    if name == "tag":
        return lambda run: value in run.tags
    if name == "target":
        return lambda run: run.result is not None and run.result.run.target == value
    if name == "since":
        try:
            first_ns = int(datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp() * 1e9)
        except ValueError:
            raise UsageError(
                f"since={value!r} is no date", next_step="write it as since=2026-11-01 (UTC)"
            ) from None
        return lambda run: run.result is not None and run.result.run.started_ns >= first_ns
    raise UsageError(
        f"{word!r} is no filter", next_step="use a verdict, a part of a name, tag=…, since=… or target=…"
    )


def _fleet(run: PastRun) -> str:
    return "" if run.result is None else run.result.run.fleet


def read_tags(folder: Path) -> tuple[str, ...]:
    """The tags of a run; none where their file is missing or damaged."""
    try:
        words = json.loads((folder / TAGS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(str(word) for word in words) if isinstance(words, list) else ()


def change_tags(folder: Path, add: Iterable[str], remove: Iterable[str] = ()) -> tuple[str, ...]:
    """Give a run tags and take others from it; returns those that it has then, sorted.

    Raises:
        UsageError: a word that is no tag.
        PreflightError: the folder cannot be written.
    """
    add, remove = list(add), set(remove)
    wrong = [word for word in add if not _TAG.fullmatch(word)]
    if wrong:
        raise UsageError(
            f"no tag: {', '.join(map(repr, wrong))}",
            next_step="use up to 40 letters, digits, points, dashes and underscores",
        )
    tags = tuple(sorted((set(read_tags(folder)) | set(add)) - remove))
    try:
        (folder / TAGS).write_text(json.dumps(tags) + "\n", encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error) from None
    return tags


def baseline_of(run: Result, runs: Path) -> PastRun:
    """The last earlier run of the same fleet that is tagged `baseline`.

    Raises:
        UsageError: there is none.
    """
    earlier = [
        past
        for past in past_runs(runs)
        if BASELINE in past.tags
        and past.result is not None
        and past.result.run.fleet == run.run.fleet
        and past.result.run.started_ns < run.run.started_ns
    ]
    if not earlier:
        raise UsageError(
            f"no earlier run of fleet {run.run.fleet} is tagged {BASELINE}",
            where=str(runs),
            next_step=f"buoy tag RUN {BASELINE}, or name both runs: buoy compare A B",
        )
    return earlier[-1]
