"""Leads through one calibration: take the points, fit, judge, write, measure again, or leave all as it was.

Nothing is in force before it was verified. However it ends, the record says how, and the board has either
the new calibration or the whole old one; if the board is gone, it brings the old one back itself at its
next start. If it goes while it is told that the new one holds, the next session finds out which it has.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from buoyfleet.calibration.board import Clock
from buoyfleet.calibration.dialogue import Aborted, Answer, Dialogue, Tone
from buoyfleet.calibration.follow import follow, plateau_of
from buoyfleet.calibration.model import Check, Fitted, Point, Sample, Step, worst
from buoyfleet.calibration.procedure import NoSignal, Procedure
from buoyfleet.calibration.record import Outcome, RecordWriter, point_content, step_content, verdict_outcome
from buoyfleet.calibration.stability import State
from buoyfleet.model.errors import BoardError, BuoyError, PreflightError
from sensors.calibration import CalibrationError


class Refused(Exception):
    """The calibration cannot pass; the text says why."""


@dataclass(slots=True)
class Result:
    """How it ended."""

    outcome: Outcome
    reason: str
    fitted: Fitted | None
    checks: list[Check]
    error: BuoyError | None = None
    """What the board or the bench failed with."""
    unsure: bool = False
    """Only the board knows whether the new calibration is in force."""


class Guide:
    """One calibration.

    Args:
        procedure: of the sensor.
        dialogue: whoever follows.
        record: open, with its `begin`.
        clock: of the bench.
        force: unstable points, objections and failed checks may be overridden, which the record shows.
        refuses: sensor settings → why its driver would not take them, or "".
        by_key: a stable point waits until the operator takes it.
    """

    def __init__(
        self,
        procedure: Procedure,
        dialogue: Dialogue,
        record: RecordWriter,
        clock: Clock,
        force: bool,
        refuses: Callable[[str, dict[str, object]], str],
        by_key: bool = False,
    ) -> None:
        self._procedure, self._dialogue, self._record, self._clock = procedure, dialogue, record, clock
        self._force = force
        self._refuses = refuses
        self._by_key = by_key
        self._attempts: dict[str, int] = {}
        self._trouble: list[str] = []
        self._reverted = False
        self._begun = False
        self._written = False
        self._accepting = False
        self._fitted: Fitted | None = None
        self._checks: list[Check] = []

    def run(self) -> Result:
        """From the first step to the end; never raises what the bench or the board may do."""
        error: BuoyError | None = None
        try:
            outcome, reason = self._calibrate(), ""
        except Aborted as abort:
            outcome, reason = "aborted", str(abort) or "by the operator"
        except KeyboardInterrupt:
            outcome, reason = "aborted", "by Ctrl-C"
        except (Refused, CalibrationError) as refusal:
            outcome, reason = "failed", str(refusal)
        except NoSignal as missing:
            outcome, reason, error = "failed", missing.what, missing
        except BuoyError as failure:
            outcome, reason, error = "interrupted", failure.what, failure
        if outcome not in ("passed", "warned") and not (outcome == "failed" and not reason):
            reason = self._take_back(reason)
        try:
            for text in [*([str(error)] if outcome == "interrupted" else []), *self._trouble]:
                self._event("trouble", text=text)
            if self._reverted:
                self._event("reverted")
            self._event("end", outcome=outcome, reason=reason)
        except PreflightError as unwritable:  # a full disk: the board is as it was, which is what matters
            outcome, error = "interrupted", unwritable
        unsure = outcome in ("interrupted", "aborted") and self._accepting and not self._reverted
        return Result(outcome, reason, self._fitted, self._checks, error, unsure)

    def _calibrate(self) -> Outcome:
        procedure, dialogue = self._procedure, self._dialogue
        steps = procedure.steps()
        self._begun = True
        self._event("before", found=procedure.begin())
        points = self._take(steps)
        fitted = self._fitted = procedure.solve(points)
        self._event("fit", fitted=asdict(fitted))
        dialogue.verdict(fitted, [])
        impossible = self._refuses(procedure.key, {**procedure.before, **fitted.settings})
        if impossible:
            raise Refused("; ".join([*_failures(fitted.checks), f"no working part has this: {impossible}"]))
        if fitted.verdict == "fail" and not self._force:
            raise Refused("; ".join(_failures(fitted.checks)))
        if not dialogue.confirm("Write this calibration to the board?"):
            raise Aborted("not written")
        self._written = True
        procedure.write(
            fitted, {"date": self._clock.utc().date().isoformat(), "record": self._record.folder.name}
        )
        self._event("written", settings=fitted.settings, commands=list(fitted.commands))
        self._event("after", found=procedure.after())
        dialogue.tell("Written and read back. Now the same again, as the buoy will measure it.")
        self._verify(points, fitted)
        verdict = worst([check.verdict for check in (*fitted.checks, *self._checks)])
        failures = _failures(self._checks)
        if failures and not self._force:
            raise Refused("; ".join(failures))
        self._accepting = True
        self._event("accepting")
        trouble = procedure.finish()
        if trouble:
            self._event("trouble", text=trouble)
            dialogue.tell(trouble, "warning")
        return verdict_outcome(verdict)

    def _verify(self, points: list[Point], fitted: Fitted) -> None:
        for step in self._procedure.verify_steps():
            taken = self._take([step], points)
            if taken:
                check = self._procedure.verify(step, taken[0], fitted)
            else:
                check = Check(f"verification: {step.title}", 0.0, "", "warn", "", "it was skipped")
            self._checks.append(check)
            self._event("check", check=asdict(check))
        self._dialogue.verdict(fitted, self._checks)

    # Points

    def _take(self, steps: list[Step], earlier: list[Point] | None = None) -> list[Point]:
        taken: list[Point] = []
        number = 0
        while number < len(steps):
            point = self._point(steps[number], [*(earlier or []), *taken])
            if isinstance(point, Answer):  # back to the one before, if there is one that can be taken again
                if taken:
                    number = steps.index(taken[-1].step)
                    self._event("withdrawn", step=taken.pop().step.name)
                continue
            if point is not None:
                taken.append(point)
            number += 1
        return taken

    def _point(self, step: Step, earlier: list[Point]) -> Point | Answer | None:
        """A point; None if it was skipped; the answer if the operator wants the step before again."""
        while True:
            attempt = self._attempts[step.name] = self._attempts.get(step.name, 0) + 1
            answer = self._prepared(step, attempt)
            if answer.action == "back":
                return answer
            if answer.action == "skip":
                self._event("skipped", step=step.name, title=step.title, reason=answer.reason)
                return None
            self._event("step", attempt=attempt, **step_content(step, self._procedure.raw_unit))
            outcome = self._settle(step, attempt, earlier)
            if isinstance(outcome, Point):
                self._procedure.accept(step, outcome)
                self._event("point", **point_content(outcome))
                tone: Tone = "warning" if outcome.forced else "good"
                self._dialogue.tell(f"  taken: {outcome.plateau.raw:.5g} {self._procedure.raw_unit}", tone)
                return outcome
            if outcome.action == "skip" and self._may_skip(step):
                self._event("skipped", step=step.name, title=step.title, reason=outcome.reason)
                return None

    def _prepared(self, step: Step, attempt: int) -> Answer:
        while True:
            answer = self._dialogue.prepare(step, attempt)
            if answer.action == "abort":
                raise Aborted(answer.reason)
            if answer.action != "skip" or self._may_skip(step):
                return answer

    def _may_skip(self, step: Step) -> bool:
        if step.name in self._procedure.needs:
            self._dialogue.tell(
                f"{step.title} cannot be skipped: without it there is no calibration", "warning"
            )
            return False
        return True

    def _settle(self, step: Step, attempt: int, earlier: list[Point]) -> Point | Answer:
        """Follow the signal until the point is taken, refused and given up, or the operator wants
        otherwise.
        """
        try:
            samples, state, answer = self._follow(step, attempt)
        except NoSignal as missing:
            return self._objected(step, [missing.what], forcible=False)
        finally:
            self._dialogue.settled()
        if answer.action != "go":
            if answer.action == "abort":
                raise Aborted(answer.reason)
            return answer
        plateau = plateau_of(samples, state, step.rule.window_s)
        objections: list[str] = []
        if not state.stable:
            hint = self._procedure.hint(state)
            objections.append(
                f"not stable after {state.elapsed_s:.0f} s: it {state.reason} ({state.drift_per_min:+.3g} "
                f"{self._procedure.raw_unit}/min, noise {state.noise:.3g} {self._procedure.raw_unit})"
                + (f"; {hint}" if hint else "")
            )
        objections += self._procedure.early_objections(step, plateau)
        if objections:
            answer = self._objected(step, objections)
            if answer.action != "force":
                return answer
        extra = self._procedure.measure(step, self._dialogue, self._clock.now_s())
        try:
            reference = self._procedure.reference(step, plateau, extra)
        except CalibrationError as error:
            return self._objected(step, [str(error)], forcible=False)
        point = Point(step, attempt, reference, plateau, samples, bool(objections), tuple(objections), extra)
        more = self._procedure.objections(step, point, earlier)
        if more:
            answer = self._objected(step, more)
            if answer.action != "force":
                return answer
            point.forced, point.objections = True, (*objections, *more)
        return point

    def _follow(self, step: Step, attempt: int) -> tuple[list[Sample], State, Answer]:
        return follow(
            step,
            attempt,
            self._procedure.sample,
            self._clock,
            self._dialogue,
            lambda sample: self._event("sample", sample=[*asdict(sample).values()]),
            self._procedure.raw_unit,
            force=self._force,
            by_key=self._by_key,
        )

    def _objected(self, step: Step, reasons: list[str], forcible: bool = True) -> Answer:
        self._event("refused", step=step.name, title=step.title, reasons=reasons)
        answer = self._dialogue.refused(step, reasons, may_force=self._force and forcible)
        if answer.action == "abort":
            raise Refused(f"{step.title}: {'; '.join(reasons)}")
        if answer.action == "force" and not (self._force and forcible):
            return Answer("repeat")
        return answer

    # The end

    def _take_back(self, reason: str) -> str:
        """Put the old calibration back into force; says so, or what will."""
        if not self._begun:
            return reason
        try:
            self._procedure.give_up(self._written)
        except BoardError as error:
            self._trouble.append(str(error))
            if self._accepting:
                return f"{reason}; the board is out of reach and may have accepted the new calibration"
            return (
                f"{reason}; the board is out of reach and brings its old calibration back at its next start"
            )
        self._reverted = True
        return reason

    def _event(self, kind: str, **content: object) -> None:
        self._record.event(kind, self._clock.utc(), **content)


def _failures(checks: list[Check]) -> list[str]:
    return [
        f"{check.name} {check.value:.4g} {check.unit}: {check.reason}"
        for check in checks
        if check.verdict == "fail"
    ]
