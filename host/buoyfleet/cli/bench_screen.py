"""The bench on the screen: a row per board with its step and a bar; at the end who passed and who did not."""

import json
import sys
import threading
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from buoyfleet.bench.batch import Outcome, is_defect
from buoyfleet.bench.batch_context import BoardResult, ProgressEvent, StepFailed
from buoyfleet.cli.console import mark, write_line
from buoyfleet.model.board_names import mac_text
from buoyfleet.model.errors import BuoyError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.progress import Progress, TaskID

    from buoyfleet.bench.ui import ShowEvent


class TerminalBench:
    """A bench in a terminal: shows on standard error, so that standard output stays for results."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._json = as_json

    def progress(self, boards: Sequence[str]) -> "AbstractContextManager[ShowEvent]":
        """A row per board."""
        return BenchScreen(boards, as_json=self._json)

    def download(self, name: str, done: int, whole: int) -> None:
        """A line that is drawn again and again, on a terminal."""
        if sys.stderr.isatty() and not self._json:
            share = f" of {whole >> 10}" if whole else ""
            sys.stderr.write(f"\r\x1b[Kdownloading {name}: {done >> 10}{share} kB")
            sys.stderr.write("\n" if done == whole else "")

    def warn(self, text: str) -> None:
        """A line."""
        write_line(f"note: {text}", sys.stderr)


class BenchScreen:
    """Shows what happens to boards, from any thread, on standard error.

    On a terminal one line a board is redrawn; in a pipe each new step is a line; with JSON a line an event.
    """

    def __init__(self, boards: Iterable[str], *, as_json: bool = False) -> None:
        self._boards = list(boards)
        self._json = as_json
        self._guard = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._steps: dict[str, str] = {}

    def __enter__(self) -> "ShowEvent":
        if sys.stderr.isatty() and not self._json:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                TextColumn("{task.description:>6}"),
                TextColumn("{task.fields[step]:<12}"),
                BarColumn(24),
                TextColumn("{task.fields[text]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._tasks = {
                name: self._progress.add_task(name, total=1.0, step="waits", text="") for name in self._boards
            }
            self._progress.start()
        return self.show

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, event: ProgressEvent) -> None:
        """Draw what happened."""
        with self._guard:
            if self._json:
                if event.kind != "progress":
                    write_line(_event_line(event))
            elif self._progress is not None:
                self._redraw(self._progress, event)
            else:
                self._print(event)

    def _redraw(self, progress: "Progress", event: ProgressEvent) -> None:
        task = self._tasks.get(event.board)
        if task is None:
            return
        step = {"done": "done", "failed": "FAILED"}.get(event.kind, event.step or "")
        first = event.text.splitlines()[0] if event.text else ""
        if event.kind == "done":
            progress.update(task, completed=1.0, step=step, text=first)
            progress.stop_task(task)
        elif event.kind == "failed":
            progress.update(task, step=step, text=first)
            progress.stop_task(task)
        else:
            progress.update(task, completed=event.share, step=step, text=first)

    def _print(self, event: ProgressEvent) -> None:
        if event.kind == "progress" or (event.kind == "step" and self._steps.get(event.board) == event.step):
            return
        self._steps[event.board] = event.step or ""
        if event.kind == "failed":
            write_line(f"{event.board:>6}  FAILED at {event.step}", sys.stderr)
        else:
            word = "done" if event.kind == "done" else event.step
            write_line(f"{event.board:>6}  {word}  {event.text}".rstrip(), sys.stderr)


def _event_line(event: ProgressEvent) -> str:
    return json.dumps(
        {"event": event.kind, "board": event.board, "step": event.step, "text": event.text},
        ensure_ascii=False,
    )


def print_outcomes(
    outcomes: Sequence[Outcome[BoardResult]], *, as_json: bool = False, stream: TextIO | None = None
) -> None:
    """One line a board, then every failure with step, cause and next command."""
    if as_json:
        write_line(json.dumps({"event": "result", "boards": [_as_json(one) for one in outcomes]}), stream)
        return
    for outcome in outcomes:
        result = outcome.value
        if result is not None and outcome.passed:
            did = ", ".join(result.done) if result.done else "nothing was missing"
            write_line(
                f"{mark(True, stream)} {outcome.key:>6}  {mac_text(result.mac)}  {result.port}  "
                f"{result.seconds:.1f} s  {did}",
                stream,
            )
        else:
            step = outcome.error.step if isinstance(outcome.error, StepFailed) else ""
            write_line(
                f"{mark(False, stream)} {outcome.key:>6}  failed{f' at {step}' if step else ''}", stream
            )
    for outcome in outcomes:
        if outcome.error is None:
            continue
        write_line("", stream)
        prefix = "internal error: " if is_defect(outcome.error) else ""
        for line in f"board {outcome.key}: {prefix}{outcome.error}".splitlines():
            write_line(line, stream)


def print_plans(outcomes: Sequence[Outcome[BoardResult]], stream: TextIO | None = None) -> None:
    """What `--dry-run` would do, board by board."""
    for outcome in outcomes:
        result = outcome.value
        if result is None:
            continue
        write_line(f"board {outcome.key}  {mac_text(result.mac)}  {result.port}", stream)
        if not result.plan:
            write_line("    nothing is missing", stream)
        for step in result.plan:
            write_line(f"    {step.name:<12} {step.why}".rstrip(), stream)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        print_outcomes(failed, stream=stream)


def _as_json(outcome: Outcome[BoardResult]) -> dict[str, Any]:
    result, error = outcome.value, outcome.error
    document: dict[str, Any] = {"board": outcome.key, "passed": outcome.passed}
    if result is not None:
        document |= {
            "mac": result.mac,
            "port": result.port,
            "plan": [{"step": step.name, "why": step.why} for step in result.plan],
            "done": result.done,
            "seconds": round(result.seconds, 2),
        }
    if isinstance(error, BuoyError):
        step = error.step if isinstance(error, StepFailed) else None
        document |= {
            "step": step,
            "what": error.what,
            "where": error.where,
            "cause": error.cause,
            "next": error.next_step,
        }
    elif error is not None:
        document["what"] = f"internal error: {error!r}"
    return document
