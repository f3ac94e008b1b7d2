"""Live progress of a run: one line that is redrawn on a terminal, a line now and then in a pipe."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from host.fleet.engine import Snapshot

_REDRAW_S = 0.1
_PIPE_LINE_S = 5.0

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
        self._sending_since_s: float | None = None
        self._phase = ""

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
        if snapshot.phase == "send" and self._sending_since_s is None:
            self._sending_since_s = now
        pause_s = _REDRAW_S if self._live is not None else _PIPE_LINE_S
        if snapshot.phase == self._phase and now - self._drawn_s < pause_s:
            return
        new_phase = snapshot.phase != self._phase
        self._phase, self._drawn_s = snapshot.phase, now
        if self._live is not None:
            self._live.update(self._table(snapshot, now), refresh=True)
        elif not new_phase or snapshot.phase == "send":
            sys.stderr.write(self._line(snapshot, now) + "\n")

    def _rate(self, snapshot: "Snapshot", now: float) -> float:
        if self._sending_since_s is None or now <= self._sending_since_s:
            return 0.0
        return snapshot.sent / (now - self._sending_since_s)

    def _facts(self, snapshot: "Snapshot", now: float) -> list[tuple[str, str]]:
        planned = "" if snapshot.planned is None else f" of {snapshot.planned:,}"
        facts = [("sent", f"{snapshot.sent:,}{planned}")]
        if snapshot.acknowledged is not None:
            facts.append(("acknowledged", f"{snapshot.acknowledged:,}"))
        facts += [(f"in {store}", f"{count:,} measures") for store, count in snapshot.stored.items()]
        if snapshot.phase == "send":
            facts.append(("rate", f"{self._rate(snapshot, now):,.0f}/s"))
        facts.append(("connected", f"{snapshot.connected:,} of {snapshot.boards:,}"))
        if snapshot.doing:
            facts.append(("", snapshot.doing))
        if snapshot.dropped:
            facts.append(("dropped", f"{snapshot.dropped:,}"))
        if snapshot.trouble:
            facts.append(("in trouble", f"{snapshot.trouble:,} boards"))
        return facts

    def _line(self, snapshot: "Snapshot", now: float) -> str:
        facts = ", ".join(f"{name} {value}".strip() for name, value in self._facts(snapshot, now))
        return f"{snapshot.elapsed_s:6.1f} s  {_PHASES.get(snapshot.phase, snapshot.phase)}: {facts}"

    def _table(self, snapshot: "Snapshot", now: float) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        facts = self._facts(snapshot, now)
        for _ in range(len(facts) + 2):
            table.add_column(no_wrap=True)
        done = snapshot.sent if snapshot.acknowledged is None else snapshot.acknowledged
        bar = ProgressBar(total=max(snapshot.planned or 0, 1), completed=done, width=24)
        if snapshot.planned is None:
            bar = ProgressBar(total=None, width=24, pulse=True)
        phase = f"{snapshot.elapsed_s:5.1f} s  {_PHASES.get(snapshot.phase, snapshot.phase)}"
        cells = [
            f"[red]{name} {value}[/red]"
            if name in ("in trouble", "dropped")
            else f"[dim]{name}[/dim] {value}"
            for name, value in facts
        ]
        table.add_row(phase, bar, *cells)
        return table
