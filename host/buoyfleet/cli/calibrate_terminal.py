"""The guide at a terminal: instructions, a live curve, keys. One Ctrl-C gives up cleanly, two break off."""

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from buoyfleet.calibration.board import Clock
from buoyfleet.calibration.config import BenchConfig
from buoyfleet.calibration.curve import curve, span
from buoyfleet.calibration.dialogue import ABORT, GO, REPEAT, Aborted, Answer, Dialogue, Tone, View
from buoyfleet.calibration.model import Check, Fitted, Step
from buoyfleet.calibration.ui import Unattended
from buoyfleet.calibration.wording import amount, verdict_lines

STYLES: dict[Tone, str] = {"plain": "", "good": "green", "warning": "yellow", "bad": "bold red"}
LOOK_S = 0.1
LOOKS = 10
"""Of so many, one asks how it goes."""
CURVE_LINES = 8


class Interrupts:
    """Ctrl-C as a flag, so that no exchange with the board is cut in two; the second one is an exception."""

    def __init__(self) -> None:
        self.stopped = False
        self._before: Any = None

    def __enter__(self) -> "Interrupts":
        self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True


class TerminalCalibration:
    """A calibration at a terminal, or by the plan with a terminal to watch it. Ctrl-C gives up.

    Args:
        answers: to questions by name, known beforehand: they are not asked.
        yes: follow the plan instead of asking.
        quiet: say everything on standard error.
    """

    def __init__(self, answers: dict[str, float], *, yes: bool, quiet: bool) -> None:
        self._interrupts = Interrupts()
        self._screen = Console(
            highlight=False, soft_wrap=True, stderr=quiet, file=None if quiet else sys.stdout
        )
        self._answers = answers
        self._plan = Unattended(answers, self.say, lambda: self._interrupts.stopped) if yes else None

    def session(self) -> AbstractContextManager[object]:
        """Ctrl-C is a flag meanwhile, so that no exchange with the board is cut in two."""
        return self._interrupts

    def say(self, text: str, tone: Tone) -> None:
        """A coloured line."""
        self._screen.print(Text(text, STYLES[tone]))

    def dialogue(self, board: str, key: str, config: BenchConfig, clock: Clock) -> Dialogue:
        """The person at the terminal, or the plan."""
        if self._plan is not None:
            return self._plan.dialogue(board, key, config, clock)
        return TerminalDialogue(self._interrupts, self._screen, answers=self._answers)


class TerminalDialogue:
    """See the module.

    Args:
        interrupts: in force.
        console: for output; standard output by default.
        descriptor: of the terminal that is typed at.
        answers: to questions by name, known beforehand: they are not asked.
    """

    def __init__(
        self,
        interrupts: Interrupts,
        console: Console | None = None,
        descriptor: int | None = None,
        answers: dict[str, float] | None = None,
    ) -> None:
        self._interrupts = interrupts
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._input = sys.stdin.fileno() if descriptor is None else descriptor
        self._answers = answers or {}
        self._live: Live | None = None
        self._view: View | None = None
        self._saved: list[Any] | None = None

    def tell(self, text: str, tone: Tone = "plain") -> None:
        """See `Dialogue`."""
        self._console.print(Text(text, STYLES[tone]))

    def prepare(self, step: Step, attempt: int) -> Answer:
        """Title, what to do, then Enter, s, b or q."""
        again = f"  (attempt {attempt})" if attempt > 1 else ""
        self._console.print()
        self._console.print(Text(f"{step.title}{again}", "bold"))
        for number, line in enumerate(step.prepare, 1):
            self._console.print(Text(f"  {number}. {line}"))
        while True:
            typed = self._line("Enter when it is ready, s to skip, b to go back, q to give up: ").lower()
            if typed == "":
                return GO
            if typed == "b":
                return Answer("back")
            if typed == "s":
                return Answer("skip", self._line("  why? "))
            if typed == "q":
                return ABORT

    def watch(self, view: View) -> Answer | None:
        """Redraw; a key is an answer."""
        self._check()
        if self._live is None:
            self._begin()
        self._view = view
        if self._live is not None:
            self._live.update(_picture(view, self._console.width), refresh=True)
        return {
            "\r": GO,
            "\n": GO,
            " ": GO,
            "r": REPEAT,
            "s": Answer("skip", "at the live view"),
            "q": ABORT,
        }.get(self._key())

    def settled(self) -> None:
        """The picture stays as it was last."""
        if self._live is not None:
            if self._view is not None:
                self._live.update(_picture(self._view, self._console.width, keys=False))
            self._live.stop()
            self._live = None
            if not self._console.is_terminal:
                self._console.print()
        if self._saved is not None:
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._saved)
            self._saved = None

    def refused(self, step: Step, reasons: list[str], may_force: bool) -> Answer:  # noqa: ARG002
        """Why, then r, s, q or f."""
        for reason in reasons:
            self._console.print(Text(f"  ✗ {reason}", STYLES["bad"]))
        choices = "r to do it again, s to skip, q to give up" + (
            ", f to take it all the same" if may_force else ""
        )
        while True:
            typed = self._line(f"{choices}: ").lower()
            if typed == "s":
                return Answer("skip", self._line("  why? "))
            found = {"r": REPEAT, "": REPEAT, "q": ABORT, "f": Answer("force")}.get(typed)
            if found is not None and (found.action != "force" or may_force):
                return found

    def number(self, name: str, question: str, unit: str, low: float, high: float) -> float:
        """Until it is one within the limits."""
        known = self._answers.get(name)
        if known is not None and low <= known <= high:
            self.tell(f"{question}: {known:g} {unit}")
            return known
        while True:
            typed = self._line(f"{question}, {unit}: ").replace(",", ".").removesuffix(unit).strip()
            try:
                value = float(typed)
            except ValueError:
                value = float("nan")
            if low <= value <= high:
                return value
            self.tell(f"  a number from {low:g} to {high:g} is needed; q gives up", "warning")

    def gate(self, name: str, question: str, look: Callable[[], str] | None = None) -> None:  # noqa: ARG002
        """Enter; what `look` says stands before the question and changes."""
        self._line(f"{question} [Enter] ", look if self._console.is_terminal else None)

    def verdict(self, fitted: Fitted, checks: list[Check]) -> None:
        """See `Dialogue`."""
        self._console.print()
        for text, tone in verdict_lines(fitted, checks):
            self.tell(text, tone)

    def confirm(self, question: str) -> bool:
        """y or n."""
        while True:
            typed = self._line(f"{question} [y/n] ").lower()
            if typed in ("y", "yes"):
                return True
            if typed in ("n", "no"):
                return False

    # Inside

    def _check(self) -> None:
        if self._interrupts.stopped:
            raise Aborted("by Ctrl-C")

    def _line(self, prompt: str, look: Callable[[], str] | None = None) -> str:
        """A typed line without its end."""
        self._console.print(Text(prompt), end="")
        self._console.file.flush()
        typed = b""
        looks = 0
        while not typed.endswith(b"\n"):
            self._check()
            looks += 1
            if look is not None and looks % LOOKS == 0:
                self._console.file.write(f"\r{look()}   {prompt}")
                self._console.file.flush()
            if select.select([self._input], [], [], LOOK_S)[0]:
                data = os.read(self._input, 1024)
                if not data:
                    raise Aborted("the terminal was closed")
                typed += data
        text = typed.decode(errors="replace").strip()
        if text.lower() == "q" and not prompt.startswith(("Enter", "r to")):
            raise Aborted("by the operator")
        return text

    def _begin(self) -> None:
        with contextlib.suppress(termios.error):  # not a terminal: a test reads a pipe
            self._saved = termios.tcgetattr(self._input)
            tty.setcbreak(self._input, termios.TCSADRAIN)
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()

    def _key(self) -> str:
        if not select.select([self._input], [], [], 0)[0]:
            return ""
        return os.read(self._input, 1).decode(errors="replace").lower()


def _picture(view: View, width: int, keys: bool = True) -> Group:
    """The curve, the figures under it, and what may be pressed."""
    lines = list(_lines(view, width))
    if keys:
        lines.append(Text("  Enter takes it when stable, r begins anew, s skips, q gives up", "dim"))
    return Group(*lines)


def _lines(view: View, width: int) -> Iterator[Text]:
    state, rule, unit = view.state, view.step.rule, view.unit
    points = [(sample.t_s, sample.raw) for sample in view.samples]
    scale = max(abs(state.mean), rule.floor) / 100.0 if rule.relative else 1.0
    least = 4.0 * rule.noise * scale
    low, high = span(points, least)
    labels = {0: amount(high, unit, 5), CURVE_LINES - 1: amount(low, unit, 5)}
    margin = max(map(len, labels.values()))
    columns = max(20, min(72, width - margin - 4))
    for row, line in enumerate(curve(points, columns, CURVE_LINES, least)):
        yield Text.assemble((f"{labels.get(row, ''):>{margin}} │", "dim"), (line, "cyan"))
    last = view.samples[-1]
    facts = [f"{amount(last.raw, unit, 5)}"]
    if last.temperature_c is not None:
        facts.append(f"{last.temperature_c:.2f} °C")
    facts.append(f"noise {amount(state.noise, unit, 2)}")
    facts.append(f"drift {state.drift_per_min:+.2g} {unit}/min")
    facts.append(f"{state.elapsed_s:.0f} s")
    yield Text("  " + "   ".join(facts))
    if state.stable:
        yield Text("  stable: Enter takes it" if view.by_key else "  stable", "green")
    else:
        yield Text(f"  {state.reason}: {rule.short(unit)}", "yellow")
