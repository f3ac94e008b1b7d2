"""Live progress of a run: one line that is redrawn on a terminal, a line now and then in a pipe.

The line says first what matters: phase, share done, rate, boards in trouble, time left. What else there is
follows as far as the width goes; no word is ever cut.
"""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.live import Live

    from buoyfleet.runs.engine import Snapshot

_REDRAW_S = 0.1
_PIPE_LINE_S = 5.0
_GAP = "  "
_RATE_OVER_S = 5.0
"""The rate is that of the last seconds."""

_PHASES = {
    "start": "starting the target",
    "connect": "connecting",
    "send": "sending",
    "drain": "waiting for the stores",
    "collect": "collecting evidence",
}


class Progress:
    """Shows snapshots of a run on standard error, so that standard output stays for results."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live: Live | None = None
        self._drawn_s = 0.0
        self._sent_at: list[tuple[float, int]] = []
        """(monotonic time, messages sent) of the last seconds."""
        self._phase = ""
        self._target = ""

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, snapshot: "Snapshot") -> None:
        """Draw a snapshot, unless one was drawn a moment ago and the phase is the same."""
        if self._quiet:
            return
        now = time.monotonic()
        if snapshot.target != self._target:
            self._target = snapshot.target
            self._print(snapshot.target)
        pause_s = _REDRAW_S if self._live is not None else _PIPE_LINE_S
        if snapshot.phase == self._phase and now - self._drawn_s < pause_s:
            return
        new_phase = snapshot.phase != self._phase
        self._phase, self._drawn_s = snapshot.phase, now
        rate = self._rate(snapshot, now)
        if self._live is not None:
            from rich.text import Text

            line = progress_line(snapshot, rate, self._live.console.width)
            self._live.update(Text(line, no_wrap=True, overflow="crop"), refresh=True)
        elif not new_phase or snapshot.phase == "send":
            sys.stderr.write(f"{snapshot.elapsed_s:6.1f} s  {progress_line(snapshot, rate)}\n")

    def _print(self, text: str) -> None:
        if not text:
            return
        if self._live is not None:
            self._live.console.print(text, highlight=False, markup=False, soft_wrap=True)
        else:
            sys.stderr.write(text + "\n")

    def _rate(self, snapshot: "Snapshot", now: float) -> float | None:
        """Messages/s of the last seconds; None while nothing can be said."""
        if snapshot.phase != "send":
            self._sent_at.clear()
            return None
        self._sent_at.append((now, snapshot.sent))
        while len(self._sent_at) > 2 and now - self._sent_at[1][0] > _RATE_OVER_S:
            del self._sent_at[0]
        (then, before), (_, sent) = self._sent_at[0], self._sent_at[-1]
        return (sent - before) / (now - then) if now > then else None


def progress_line(snapshot: "Snapshot", rate: float | None, width: int | None = None) -> str:
    """One line, as long as it may be at most `width` columns; None: as long as it likes.

    Args:
        snapshot: of the run.
        rate: messages/s at the moment; None: not known.
        width: of the terminal.
    """
    parts = [part for part in _first(snapshot, rate) if part]
    line = parts[0]
    for part in (*parts[1:], *_more(snapshot)):
        longer = f"{line}{_GAP}{part}"
        if width is None or len(longer) <= width:
            line = longer
    return line


def _first(snapshot: "Snapshot", rate: float | None) -> list[str]:
    """What matters, in this order."""
    trouble = f"{snapshot.trouble:,} {_boards(snapshot.trouble)} in trouble" if snapshot.trouble else ""
    return [
        _PHASES.get(snapshot.phase, snapshot.phase),
        _share(snapshot),
        trouble,
        "" if rate is None else f"{rate:,.0f}/s",
        _left(snapshot, rate),
    ]


def _more(snapshot: "Snapshot") -> list[str]:
    """What else there is, the most important first."""
    more = []
    if snapshot.dropped:
        more.append(f"{snapshot.dropped:,} dropped")
    if snapshot.doing:
        more.append(snapshot.doing)
    planned = "" if snapshot.planned is None else f" of {snapshot.planned:,}"
    if snapshot.phase not in ("start", "connect"):
        more.append(f"sent {snapshot.sent:,}{planned}")
    if snapshot.phase in ("connect", "send"):
        more.append(f"connected {snapshot.connected:,} of {snapshot.boards:,}")
    if snapshot.acknowledged is not None and snapshot.sent:
        more.append(f"acknowledged {snapshot.acknowledged:,}")
    more += [f"{count:,} measures in {store}" for store, count in snapshot.stored.items() if snapshot.sent]
    return more


def _boards(number: int) -> str:
    return "board" if number == 1 else "boards"


def _share(snapshot: "Snapshot") -> str:
    """Of the phase; empty where nobody knows the whole."""
    done, whole = 0, 0
    if snapshot.phase == "connect":
        done, whole = snapshot.connected, snapshot.boards
    elif snapshot.phase == "send" and snapshot.planned:
        done, whole = snapshot.sent + snapshot.dropped, snapshot.planned
    # 100 % is said only of all.
    return f"{min(100 * done // whole, 100)} %" if whole else ""


def _left(snapshot: "Snapshot", rate: float | None) -> str:
    left_s = snapshot.left_s
    if left_s is None and snapshot.phase == "send" and snapshot.planned and rate:
        left_s = max(0, snapshot.planned - snapshot.sent - snapshot.dropped) / rate
    if left_s is None:
        return ""
    minutes, seconds = divmod(round(left_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"
