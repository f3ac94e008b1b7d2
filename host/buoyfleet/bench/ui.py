"""What work on boards asks of whoever started it: a terminal, a browser, a test."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from buoyfleet.bench.batch_context import ProgressEvent

ShowEvent = Callable[[ProgressEvent], None]


class BenchUi(Protocol):
    """The face of a bench."""

    def progress(self, boards: Sequence[str]) -> AbstractContextManager[ShowEvent]:
        """Around the work on boards; what it gives is called from their threads."""
        ...

    def download(self, name: str, done: int, whole: int) -> None:
        """Bytes of an image that is fetched; `whole` is 0 where the server does not say."""
        ...

    def warn(self, text: str) -> None:
        """Something was found that does not end the work."""
        ...


class SilentBench:
    """Shows nothing; the results say what became of each board."""

    def progress(self, boards: Sequence[str]) -> AbstractContextManager[ShowEvent]:
        """Nothing is shown."""
        del boards
        return nullcontext(lambda _event: None)

    def download(self, name: str, done: int, whole: int) -> None:
        """Nothing is shown."""

    def warn(self, text: str) -> None:
        """Nothing is shown."""
