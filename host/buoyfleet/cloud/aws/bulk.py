"""Does the same for many things in parallel: progress, a failure that concerns one alone, and Ctrl-C."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeVar

from buoyfleet.cloud.aws.account import AwsError

WORKERS = 16
_T = TypeVar("_T")


@dataclass(slots=True)
class Outcome:
    """How it went."""

    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Thing → why."""
    left: int = 0
    """Not begun: interrupted, or stopped because nothing would have worked."""
    interrupted: bool = False
    stopped_by: AwsError | None = None
    """A failure that every other thing would meet as well."""


def for_each(
    items: Sequence[_T],
    name: Callable[[_T], str],
    work: Callable[[_T], None],
    progress: Callable[[int, int, int], None],
    stop: threading.Event,
) -> Outcome:
    """Call `work` for every item.

    Args:
        items: in the order they are begun.
        name: of an item, for messages.
        work: raises `AwsError` or `OSError` for an item that failed.
        progress: called with (done, failed, all) as items end.
        stop: set by Ctrl-C: what is under way is finished, nothing more is begun.
    """
    outcome = Outcome()
    waiting = iter(items)
    running: dict[Future[None], _T] = {}

    def begin(pool: ThreadPoolExecutor) -> None:
        while len(running) < WORKERS and not stop.is_set() and outcome.stopped_by is None:
            item = next(waiting, None)
            if item is None:
                return
            running[pool.submit(work, item)] = item

    with ThreadPoolExecutor(WORKERS) as pool:
        begin(pool)
        while running:
            ended, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in ended:
                item = running.pop(future)
                try:
                    future.result()
                    outcome.done += 1
                except AwsError as error:
                    outcome.failed[name(item)] = str(error)
                    if _hopeless(error):
                        outcome.stopped_by = outcome.stopped_by or error
                except OSError as error:
                    outcome.failed[name(item)] = f"{error.filename}: {error.strerror}"
                progress(outcome.done, len(outcome.failed), len(items))
            begin(pool)
    outcome.left = len(items) - outcome.done - len(outcome.failed)
    outcome.interrupted = stop.is_set()
    return outcome


def _hopeless(error: AwsError) -> bool:
    """Whether the next thing would fail in the same way: permission, credentials, no network."""
    return not error.code or error.identity
