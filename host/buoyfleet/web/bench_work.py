"""Commissioning that the server carries out: it goes on when pages are closed, and every page shows it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from buoyfleet.bench.batch_context import ProgressEvent
from buoyfleet.bench.bench import Bench
from buoyfleet.bench.bench_options import BenchOptions
from buoyfleet.bench.ui import ShowEvent
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.errors import BuoyError, UsageError
from buoyfleet.web.holders import Holder
from buoyfleet.web.site import Site

_MOST_WARNINGS = 50


@dataclass(slots=True)
class BoardLine:
    """What a page shows of one board."""

    step: str = ""
    text: str = ""
    share: float = 0.0
    state: str = "waiting"
    """`waiting`, `working`, `done` or `failed`."""
    error: BaseException | None = None


@dataclass(slots=True)
class BenchWork:
    """The `ui` of the bench; one for each server."""

    holder: Holder = field(default_factory=Holder)
    boards: dict[str, BoardLine] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    fetching: str = ""
    """What is downloaded before the boards are touched."""
    error: BuoyError | None = None
    """Before any board was touched."""
    version: int = 0
    """Grows with every change."""
    _thread: threading.Thread | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def busy(self) -> bool:
        """Whether boards are being worked on."""
        return self._thread is not None and self._thread.is_alive()

    def commission(self, site: Site, words: Sequence[str], options: BenchOptions, key: str) -> None:
        """Begin to commission boards of the site's fleet file.

        Args:
            site: with fleet file, bench and ports.
            words: ids or NAME=ID; none: every board with a port.
            options: how.
            key: of the session that asks.

        Raises:
            UsageError: another session has the bench, or boards are being worked on.
        """
        if key != self.holder.key:
            raise UsageError("another browser has the bench", next_step="ask to take over")
        with self._guard:
            if self.busy:
                raise UsageError("boards are being worked on", next_step="wait until they are done")
            self.boards, self.warnings, self.fetching, self.error = {}, [], "", None
            # Not a daemon: a server that ends waits for its boards.
            self._thread = threading.Thread(
                target=self._commission, args=(site, words, options), name="bench"
            )
            self._thread.start()
        self.version += 1

    def _commission(self, site: Site, words: Sequence[str], options: BenchOptions) -> None:
        try:
            fleet = load_fleet(site.fleet, connects=True)
            bench = Bench(site.bench, ports=site.ports, fleet=site.fleet, ui=self)
            for board in bench.commission(fleet, words, options).boards:
                line = self.boards.setdefault(board.key, BoardLine())
                line.state, line.error = ("done" if board.passed else "failed"), board.error
        except BuoyError as error:
            self.error = error
        except Exception as error:
            self.error = BuoyError(
                f"internal error: {error!r}", next_step="the traceback is where `buoy web` was started"
            )
            raise  # the thread's end prints it
        finally:
            self.version += 1

    @contextmanager
    def progress(self, boards: Sequence[str]) -> Iterator[ShowEvent]:
        """See `BenchUi`."""
        self.boards, self.fetching = {board: BoardLine() for board in boards}, ""
        yield self._show

    def _show(self, event: ProgressEvent) -> None:
        with self._guard:
            line = self.boards.setdefault(event.board, BoardLine())
            line.step, line.text, line.share = event.step or line.step, event.text, event.share
            line.state = event.kind if event.kind in ("done", "failed") else "working"
            self.version += 1

    def download(self, name: str, done: int, whole: int) -> None:
        """See `BenchUi`."""
        share = f" of {whole >> 10:,}" if whole else ""
        self.fetching = f"downloading {name}: {done >> 10:,}{share} kB"
        self.version += 1

    def warn(self, text: str) -> None:
        """See `BenchUi`."""
        self.warnings.append(text)
        del self.warnings[:-_MOST_WARNINGS]
        self.version += 1
