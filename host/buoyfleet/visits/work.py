"""Leads through a visit: in the water as found, cleaned, in standards, calibrated if need be, and as left."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from buoyfleet.calibration.board import BenchBoard
from buoyfleet.calibration.dialogue import Aborted, Answer, Dialogue
from buoyfleet.calibration.follow import follow, plateau_of
from buoyfleet.calibration.history import History
from buoyfleet.calibration.model import Sample, Step
from buoyfleet.calibration.procedure import NoSignal
from buoyfleet.calibration.record import RecordWriter
from buoyfleet.calibration.session import CalibrationRequest, Session
from buoyfleet.calibration.solutions import reference_of
from buoyfleet.model.errors import BoardError, UsageError
from buoyfleet.visits.evaluate import Evaluation, Since, Stage, Taken, evaluate
from buoyfleet.visits.limits import LIMITS, Standard, settling
from buoyfleet.visits.record import Outcome, Slot, Visit, visits_of
from buoyfleet.visits.request import VisitBench, VisitRequest
from buoyfleet.visits.wording import evaluation_lines
from sensors.calibration import CalibrationError
from sensors.catalog import BOOLEAN_KEYS, NAMES, UNITS


@dataclass(frozen=True, slots=True)
class _Group:
    """Readings that are taken in one place."""

    stage: Stage
    standard: Standard | None
    keys: tuple[str, ...]

    def slots(self) -> list[Slot]:
        return [(key, self.stage, self.standard.name if self.standard else "") for key in self.keys]


class Work:
    """One visit under way.

    Args:
        bench: what it works with.
        board: in maintenance.
        visit: as far as it was recorded.
        writer: of its record.
        dialogue: whoever follows.
        request: of this session.
    """

    def __init__(
        self,
        bench: VisitBench,
        board: BenchBoard,
        visit: Visit,
        writer: RecordWriter,
        dialogue: Dialogue,
        request: VisitRequest,
    ) -> None:
        self._bench, self._board, self._visit, self._writer = bench, board, visit, writer
        self._dialogue, self._request, self._clock = dialogue, request, bench.clock
        self._keys: list[str] = list(visit.begin["keys"])
        self._meter = request.meter or str(visit.begin["meter"])
        self._metered = request.metered if request.meter else visit.begin["metered"]
        self._thermometer = "temp" in board.settings().get("sensors", {})
        self._celsius: float | None = None
        self.evaluations: list[Evaluation] = []

    def run(self) -> None:
        standards = tuple(
            _Group(Stage.STANDARD, standard, (key,))
            for key in self._keys
            for standard in LIMITS[key].standards
        )
        keys = tuple(self._keys)
        self._groups((_Group(Stage.FOUND, None, keys), _Group(Stage.CLEANED, None, keys), *standards))
        self._calibrate()
        self._groups((_Group(Stage.FINAL, None, keys),))
        self.evaluations = [self._evaluated(key) for key in self._keys]
        for one in self.evaluations:
            self._event("evaluated", key=one.key, evaluation=_plain(asdict(one)))
            for text, tone in evaluation_lines(one):
                self._dialogue.tell(text, tone)
        outcome: Outcome = "done"
        self._event("end", outcome=outcome)

    # Readings

    def _groups(self, groups: tuple[_Group, ...]) -> None:
        number = 0
        while number < len(groups):
            missing = [slot for slot in groups[number].slots() if not self._has(slot)]
            if missing and self._group(groups[number], missing) == "back":
                if number and groups[number].stage is not Stage.CLEANED:
                    number -= 1
                    self._withdraw(groups[number])
                else:
                    self._dialogue.tell("there is no step before that can be taken again", "warning")
                continue
            number += 1

    def _has(self, slot: Slot) -> bool:
        return slot in self._visit.readings or slot in self._visit.skipped

    def _withdraw(self, group: _Group) -> None:
        for key, stage, standard in group.slots():
            self._event("withdrawn", key=key, stage=stage, standard=standard)
            self._visit.readings.pop((key, stage, standard), None)
            self._visit.skipped.pop((key, stage, standard), None)

    def _group(self, group: _Group, missing: list[Slot]) -> str:
        attempt = 0
        while True:
            attempt += 1
            answer = self._dialogue.prepare(_step(group, group.keys[0]), attempt)
            if answer.action == "abort":
                raise Aborted(answer.reason)
            if answer.action == "back":
                return "back"
            if answer.action == "skip":
                for slot in missing:
                    self._skip(slot, answer.reason)
                return ""
            if all([self._slot(group, slot, attempt) for slot in missing if not self._has(slot)]):
                return ""

    def _slot(self, group: _Group, slot: Slot, attempt: int) -> bool:
        """Take one reading; False if the place is to be prepared again."""
        key = slot[0]
        step = _step(group, key)
        try:
            samples, state, answer = self._followed(step, key, attempt)
        except NoSignal as missing:
            answer = self._dialogue.refused(step, [missing.what], may_force=False)
            samples, state = [], None
        if answer.action == "abort":
            raise Aborted(answer.reason)
        if answer.action == "skip":
            self._skip(slot, answer.reason)
            return True
        if answer.action != "go" or state is None:
            return False
        plateau = plateau_of(samples, state, step.rule.window_s)
        value = plateau.raw if key not in BOOLEAN_KEYS else float(samples[-1].raw)
        reference, name = self._reference(group, key, plateau.temperature_c)
        taken = Taken(
            key, slot[1], slot[2], value, reference, name, plateau.temperature_c, plateau.stable,
            self._clock.utc().astimezone(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        self._event("reading", reading=asdict(taken), noise=plateau.noise, samples=plateau.count)
        self._visit.readings[slot] = taken
        beside = "" if reference is None else f", {name}: {reference:.5g}"
        wanders = "" if plateau.stable else "  (not settled)"
        self._dialogue.tell(
            f"  {NAMES[key]}: {value:.5g} {UNITS[key]}{beside}{wanders}",
            "good" if plateau.stable else "warning",
        )
        return True

    def _followed(self, step: Step, key: str, attempt: int) -> tuple[list[Sample], Any, Answer]:
        try:
            return follow(
                step,
                attempt,
                lambda t_s, _now_s: self._look(key, t_s),
                self._clock,
                self._dialogue,
                lambda _sample: None,
                UNITS[key],
                force=True,  # a river does not stand still: it is noted, and not refused
            )
        finally:
            self._dialogue.settled()

    def _look(self, key: str, t_s: float) -> Sample:
        keys = ("temp", key) if self._thermometer and key != "temp" else (key,)
        readings = self._board.read(*keys)
        one = readings[key]
        if one.missing or not isinstance(one.measured, int | float):
            raise NoSignal(
                f"no signal of {key}: {one.note or 'no value comes from the part'}",
                where=self._board.where,
                cause="unplugged, unpowered, or a wire open or shorted",
                next_step=f"check cable and supply, or skip {key} with the reason",
            )
        own = readings.get("temp")
        celsius = float(own.measured) if own and isinstance(own.measured, int | float) else None
        return Sample(t_s, float(one.measured), celsius, float(one.measured), one.flags)

    def _reference(self, group: _Group, key: str, celsius: float | None) -> tuple[float | None, str]:
        """What the sensor should read, and by what."""
        standard = group.standard
        if standard is None:
            has = not self._metered or key in self._metered
            if not self._meter or not has or key in BOOLEAN_KEYS:
                return None, ""
            question = f"{self._meter} shows ({NAMES[key]})"
            return self._number(f"meter_{group.stage}_{key}", question, key), self._meter
        if standard.value is not None:
            return standard.value, standard.title
        if standard.kind and celsius is not None:
            try:
                bottle = reference_of(standard.kind, celsius, "", None)
                return bottle.value, f"{standard.title} at {celsius:.1f} °C"
            except CalibrationError as outside:
                self._dialogue.tell(f"  {outside}", "warning")
        question = f"true value of the {standard.title}"
        return self._number(f"{standard.name}_{key}", question, key), standard.title

    def _number(self, name: str, question: str, key: str) -> float:
        low = -50.0 if key in ("temp", "wp") else 0.0
        return self._dialogue.number(name, question, UNITS[key], low, 1e5)

    def _skip(self, slot: Slot, reason: str) -> None:
        key, stage, standard = slot
        self._event("skipped", key=key, stage=stage, standard=standard, reason=reason)
        self._visit.skipped[slot] = reason

    # What they say

    def _evaluated(self, key: str) -> Evaluation:
        readings = self._visit.of(key)
        found = [one.time for one in readings if one.stage is Stage.FOUND]
        visited = datetime.fromisoformat(found[0]) if found else self._visit.started
        return evaluate(key, readings, self._since(key), visited)

    def _since(self, key: str) -> Since:
        records, board = self._bench.config.records, self._visit.board
        history = History(records)
        calibrated = [
            record.started
            for record in history.of(board, key)
            if record.in_force and not history.undone(record) and record.started < self._visit.started
        ]
        cleaned = [
            when
            for visit in visits_of(records, board)
            if visit.started < self._visit.started and (when := visit.cleaned(key)) is not None
        ]
        stated = str(self._visit.begin["since"])
        known = [datetime.fromisoformat(stated)] if stated else []
        # A calibrated sensor was clean.
        return Since(
            max([*cleaned, *calibrated, *known], default=None),
            max(calibrated, default=max([*known, *cleaned], default=None)),
        )

    def _calibrate(self) -> None:
        """Offer to calibrate what drifted too far; the visit goes on whatever comes of it."""
        for key in self._keys:
            evaluation = self._evaluated(key)
            if not evaluation.calibrate or key in self._visit.calibrated or self._offered(key):
                continue
            question = f"{NAMES[key]} has drifted beyond its limit. Calibrate it now?"
            if not self._dialogue.confirm(question):
                self._event("declined", key=key)
                continue
            bench = self._bench
            made = Session(bench.console, bench.config, bench.clock, bench.dialogue, bench.say)
            operator = str(self._visit.begin["operator"])
            try:
                (done,) = made.run(
                    CalibrationRequest([key], operator=operator, command=self._request.command)
                )
            except UsageError as error:  # no bottle, no thermometer: the visit goes on without
                bench.say(str(error), "bad")
                self._event("declined", key=key, reason=error.what)
                continue
            if done.result.outcome == "aborted":
                raise Aborted(done.result.reason)
            if isinstance(done.result.error, BoardError) and not isinstance(done.result.error, NoSignal):
                raise done.result.error
            if done.result.outcome in ("passed", "warned"):
                self._event("calibrated", key=key, record=done.folder.name)
                self._visit.calibrated[key] = done.folder.name
            self._board.enter()

    def _offered(self, key: str) -> bool:
        """Whether the sensor was left for the last time already."""
        return self._has((key, Stage.FINAL, ""))

    def _event(self, kind: str, **content: object) -> None:
        self._writer.event(kind, self._clock.utc(), **content)


def _step(group: _Group, key: str) -> Step:
    titles = {
        Stage.FOUND: "in the water, as found",
        Stage.CLEANED: "in the water, cleaned",
        Stage.FINAL: "in the water, as it is left",
    }
    prepare = {
        Stage.FOUND: ("Leave everything as it is; do not touch the sensors.", "Field meter beside the buoy."),
        Stage.CLEANED: (
            "Take the sensors out, clean them, and put them back to the same place.",
            "Field meter beside them.",
        ),
        Stage.FINAL: ("Put the sensors back to their place, field meter beside them.",),
    }
    standard = group.standard
    if standard is not None:
        title, lines = f"{NAMES[key]} in {standard.title}", tuple(standard.prepare.split("\n"))
        vessel = standard.kind or standard.name
    else:
        title, lines, vessel = titles[group.stage], prepare[group.stage], "river"
    return Step(
        name=standard.name if standard else group.stage.value,
        title=title,
        vessel=vessel,
        prepare=lines,
        rule=settling(key),
        optional=True,
    )


def _plain(value: Any) -> Any:
    """For JSON: times as text."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value
