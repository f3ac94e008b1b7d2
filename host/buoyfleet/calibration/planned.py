"""A bench without a person: follows the `plan` of calibration.yaml, moves probes by a program, and
asks nobody.
"""

import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from buoyfleet.calibration.board import Clock
from buoyfleet.calibration.config import Answer as PlannedAnswer
from buoyfleet.calibration.config import Plan, SensorPlan
from buoyfleet.calibration.dialogue import ABORT, GO, REPEAT, Aborted, Answer, Tone, View
from buoyfleet.calibration.model import Check, Fitted, Step
from buoyfleet.calibration.wording import verdict_lines
from buoyfleet.model.errors import PreflightError

NUMBER_S = 60.0


class PlannedDialogue:
    """See the module.

    Args:
        plan: of the bench.
        key: of the sensor.
        board: name of the board, for the program that moves probes.
        clock: of the bench.
        say: prints a line.
        stopped: whether Ctrl-C was pressed.
        answers: to questions by name, before the plan's.
    """

    def __init__(
        self,
        plan: Plan,
        key: str,
        board: str,
        clock: Clock,
        say: Callable[[str, Tone], None],
        stopped: Callable[[], bool],
        answers: dict[str, float] | None = None,
    ) -> None:
        self._plan, self._key, self._board, self._clock = plan, key, board, clock
        self._answers = answers or {}
        self._sensor = plan.sensors.get(key) or SensorPlan()
        self._say = say
        self._stopped = stopped
        self._step: Step | None = None
        self._attempts = 0

    def tell(self, text: str, tone: Tone = "plain") -> None:
        """See `Dialogue`."""
        self._say(text, tone)

    def prepare(self, step: Step, attempt: int) -> Answer:
        """The program moves the probe."""
        self._check()
        self._step, self._attempts = step, attempt
        self._say(f"{self._key}: {step.title}" + (f", attempt {attempt}" if attempt > 1 else ""), "plain")
        if self._plan.move:
            self._run(self._plan.move, f"move the probe to {step.vessel}", self._plan.move_timeout)
        return GO

    def watch(self, view: View) -> Answer | None:  # noqa: ARG002
        """Nothing to see; Ctrl-C is heard."""
        self._check()
        return None

    def settled(self) -> None:
        """See `Dialogue`."""

    def refused(self, step: Step, reasons: list[str], may_force: bool) -> Answer:  # noqa: ARG002
        """Try again as often as the plan says; then force if that may be, or give up."""
        for reason in reasons:
            self._say(f"  {reason}", "bad")
        if self._attempts < self._plan.attempts:
            return REPEAT
        return Answer("force") if may_force else ABORT

    def number(self, name: str, question: str, unit: str, low: float, high: float) -> float:
        """From the plan: a number, or what a program prints."""
        given: Any = self._answers.get(name, self._sensor.values.get(name))
        if isinstance(given, dict):
            given = given.get(self._step.name if self._step else "")
        if given is None:
            raise PreflightError(
                f"the plan has no value `{name}` for {self._key}: {question} ({unit})",
                next_step=f"write plan.sensors.{self._key}.values.{name}: a "
                "number, or a program that prints one",
            )
        value = self._value(given, name)
        if not low <= value <= high:
            raise PreflightError(f"{name} is {value:g} {unit}; from {low:g} to {high:g}")
        return value

    def gate(self, name: str, question: str, look: Callable[[], str] | None = None) -> None:  # noqa: ARG002
        """The bucket runs for as long as the plan says."""
        if name != "stop":
            return
        seconds: Any = self._sensor.seconds
        if isinstance(seconds, dict):
            seconds = seconds.get(self._step.name if self._step else "")
        if seconds is None:
            raise PreflightError(
                "the plan does not say how long the bucket runs",
                next_step=f"write plan.sensors.{self._key}.seconds",
            )
        end_s = self._clock.now_s() + float(seconds)
        while self._clock.now_s() < end_s:
            self._check()
            self._clock.wait(min(0.5, max(0.0, end_s - self._clock.now_s())))

    def verdict(self, fitted: Fitted, checks: list[Check]) -> None:
        """See `Dialogue`."""
        for text, tone in verdict_lines(fitted, checks):
            self._say(text, tone)

    def confirm(self, question: str) -> bool:  # noqa: ARG002
        """`--yes` said so."""
        self._check()
        return True

    def _check(self) -> None:
        if self._stopped():
            raise Aborted("by Ctrl-C")

    def _value(self, given: PlannedAnswer, name: str) -> float:
        if not isinstance(given, list):
            return float(given)
        text = self._run(given, f"measure {name}", NUMBER_S).strip()
        try:
            return float(text.split()[0])
        except (ValueError, IndexError):
            raise PreflightError(
                f"the program for {name} printed {text[:60]!r}, which is no number", where=given[0]
            ) from None

    def _run(self, program: Sequence[str], what: str, timeout_s: float) -> str:
        step = self._step
        names = {
            "board": self._board,
            "key": self._key,
            "vessel": step.vessel if step else "",
            "step": step.name if step else "",
        }
        # The thermometer goes where the probe goes.
        probes = [self._key] if self._key == "temp" else [self._key, "temp"]
        command = [
            filled
            for word in program
            for filled in (probes if word == "{probes}" else [_filled(word, names)])
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PreflightError(f"could not {what}: {error}", where=command[0]) from error
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()
            raise PreflightError(
                f"could not {what}: exit code {done.returncode}" + (f", {last[-1]}" if last else ""),
                where=" ".join(command),
                next_step="the old calibration is in force; see to the bench and start again",
            )
        return done.stdout


def _filled(word: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        word = word.replace(f"{{{name}}}", value)
    return word
