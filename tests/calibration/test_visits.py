# ruff: noqa: ARG002 - the technician answers whatever is asked
"""Visits to a simulated buoy: fouled, drifted, cleaned; stopped and gone on with; and what is recorded."""

from datetime import timedelta
from pathlib import Path

import pytest
from bench_world import START, Clock, SimulatedBoard, Technician, vessel, water

from buoyfleet.calibration.config import load_config
from buoyfleet.calibration.dialogue import Aborted, Answer
from buoyfleet.cli.main import invoke
from buoyfleet.model.errors import UsageError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.visits.evaluate import Stage
from buoyfleet.visits.limits import Rating
from buoyfleet.visits.record import read_visit, visits_of
from buoyfleet.visits.request import VisitRequest
from buoyfleet.visits.session import VisitSession
from buoyfleet.visits.wording import visit_lines

RIVER = {"ph": 7.8, "ec25_us_cm": 800.0, "temp_c": 18.0}
WEEK = timedelta(days=7)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Visitor(Technician):
    """Cleans the sensors, moves them, and reads the field meter."""

    def __init__(self, board, foul=(), meters=None, stop_at=None, **more):
        super().__init__(board, **more)
        self.steps = []
        self.meters = meters or {}
        self.stop_at = stop_at
        self.answers = {}
        self.calibrates = False
        for key, share in dict(foul).items():
            board.bench.part(key).fouling = share
        self.place(water(**RIVER))

    def prepare(self, step, attempt):
        self.steps.append(step.name)
        if step.name == self.stop_at:
            raise Aborted("tide")
        if step.name in self.answers:
            return self.answers[step.name].pop(0) if self.answers[step.name] else Answer("go")
        if step.name == Stage.CLEANED:
            for part in self.board.bench.parts.values():
                part.fouling = 0.0
        if step.name in (Stage.CLEANED, Stage.FINAL):
            self.place(water(**RIVER))
        elif step.name != Stage.FOUND:
            known = {"ph-7": "ph-7", "ph-10": "ph-10", "ec-84": "ec-84", "ec-1413": "ec-1413"}
            self.place(vessel(known.get(step.name, "air"), 25.0))
        return Answer("go")

    def confirm(self, question):
        return self.calibrates

    def number(self, name, question, unit, low, high):
        key = name.rsplit("_", 1)[1]
        if name.startswith("meter"):
            return {"ph": 7.8, "ec": 800.0, "temp": 18.0}[key]
        return super().number(name, question, unit, low, high)


def visit(board, hand, **request):
    """One visit; gives (result, what was said)."""
    said = []
    session = VisitSession(
        board,
        load_config(None),
        Clock(board),
        lambda _board, _key: hand,
        lambda text, _tone: said.append(text),
    )
    return session.run(VisitRequest(**request)), said


def test_a_fouled_sensor_is_rated_and_its_data_corrected():
    board = SimulatedBoard(calibrated=True)
    hand = Visitor(board, foul={"ec": 0.3})
    result, _ = visit(board, hand, keys=["ec"], meter="meter 4", operator="M. Lee", since=START - WEEK)
    assert result.exit_code is ExitCode.OK
    (one,) = result.evaluations
    assert one.fouling == pytest.approx(0.09 * 800.0, rel=0.15)
    assert abs(one.drift) < 0.03 * one.reading
    assert one.rating in (Rating.GOOD, Rating.FAIR)
    when = START - WEEK / 2
    half = one.correction.corrected(one.reading, when) - one.reading
    assert half == pytest.approx((one.fouling + one.drift) / 2, rel=0.05)
    assert one.left == pytest.approx(0.0, abs=0.03 * 800)
    kept = result.visit
    assert kept.outcome == "done"
    assert not kept.broken
    assert kept.begin["operator"] == "M. Lee"
    assert kept.evaluated["ec"]["rating"] == one.rating
    assert [slot[1:] for slot in kept.readings] == [
        (Stage.FOUND, ""), (Stage.CLEANED, ""), (Stage.STANDARD, "ec-84"), (Stage.STANDARD, "ec-1413"),
        (Stage.FINAL, ""),
    ]  # fmt: skip
    assert board.board.maintenance_ms == 0


def test_a_visit_stands_beside_calibrations_and_is_none():
    board = SimulatedBoard(calibrated=True)
    result, _ = visit(board, Visitor(board), keys=["ph"])
    assert result.visit.path.parent.parent == Path("calibrations/130")
    from buoyfleet.calibration.history import History

    history = History(Path("calibrations"))
    assert (history.records, history.damaged) == ([], [])
    assert [one.identifier for one in visits_of(Path("calibrations"), "130")] == [result.visit.identifier]
    assert any("ph-7" in line for line in visit_lines(result.visit))


def test_a_pulled_cable_leaves_the_visit_open_and_the_next_one_keeps_its_readings():
    board = SimulatedBoard(calibrated=True)
    hand = Visitor(board)
    prepare = hand.prepare

    def pulled(step, attempt):
        answer = prepare(step, attempt)
        if step.name == "ph-7":
            board.cut_power()
        return answer

    hand.prepare = pulled
    first, said = visit(board, hand, keys=["ph"], meter="meter 4")
    assert first.exit_code is ExitCode.BOARDS_FAILED
    assert first.visit.outcome is None
    assert any("buoy visit 130 goes on" in text for text in said)
    board.power_again()
    again = Visitor(board)
    second, said = visit(board, again)
    assert second.visit.identifier == first.visit.identifier
    assert again.steps == ["ph-7", "ph-10", "final"]
    assert second.exit_code is ExitCode.OK
    assert second.visit.outcome == "done"
    assert second.visit.begin["meter"] == "meter 4"
    assert second.evaluations[0].left is not None
    assert second.visit.pauses
    assert not second.visit.broken


def test_a_line_that_broke_off_is_cut_away_and_the_visit_goes_on():
    board = SimulatedBoard(calibrated=True)
    first, _ = visit(board, Visitor(board, stop_at="cleaned"), keys=["ph"])
    assert first.exit_code is ExitCode.INTERRUPTED
    path = first.visit.path
    with path.open("ab") as file:
        file.write(b'{"n":9,"time":"2026')
    second, _ = visit(board, Visitor(board))
    assert second.visit.path == path
    assert second.visit.outcome == "done"
    assert not second.visit.broken


def test_a_record_that_was_changed_says_so_and_is_not_gone_on_with():
    board = SimulatedBoard(calibrated=True)
    first, _ = visit(board, Visitor(board, stop_at="cleaned"), keys=["ph"])
    path = first.visit.path
    path.write_text(path.read_text().replace('"operator":""', '"operator":"X"'))
    assert read_visit(path).broken
    second, said = visit(board, Visitor(board), keys=["ph"])
    assert second.visit.path != path
    assert any("abandoned" in text for text in said)


def test_an_open_visit_is_closed_where_a_new_one_is_wanted_or_a_day_went_by():
    board = SimulatedBoard(calibrated=True)
    first, _ = visit(board, Visitor(board, stop_at="cleaned"), keys=["ph"])
    second, _ = visit(board, Visitor(board, stop_at="cleaned"), keys=["ph"], new=True)
    assert second.visit.identifier != first.visit.identifier
    assert read_visit(first.visit.path).outcome == "abandoned"
    board.now_ms += 25 * 3600 * 1000
    third, said = visit(board, Visitor(board), keys=["ph"])
    assert third.visit.identifier != second.visit.identifier
    assert any("abandoned" in text for text in said)


def test_a_drifted_sensor_is_calibrated_within_the_visit():
    board = SimulatedBoard(calibrated=True, seed=2)
    hand = Visitor(board)
    hand.calibrates = True
    board.bench.part("ec").probe_k *= 1.15
    prepare = hand.prepare

    def handed(step, attempt):
        if step.vessel in ("air", "ec-84", "ec-1413") and step.name not in ("ec-84", "ec-1413"):
            hand.place(vessel(step.vessel, 25.0))
            return Answer("go")
        return prepare(step, attempt)

    hand.prepare = handed
    result, _ = visit(board, hand, keys=["ec"], meter="meter 4")
    (one,) = result.evaluations
    assert one.calibrate
    assert result.visit.calibrated["ec"].endswith("-ec")
    assert abs(one.left) < 0.04 * 800.0
    assert abs(one.drift) > 0.05 * one.reading


def test_a_sensor_without_signal_is_asked_about_and_skipped_with_a_reason():
    board = SimulatedBoard(calibrated=True)
    board.bench.inject("ph", "silent")
    hand = Visitor(board, refuse=("skip",))
    result, _ = visit(board, hand, keys=["ph"])
    (one,) = result.evaluations
    assert one.rating is Rating.UNRATED
    assert hand.reasons
    assert result.visit.skipped


def test_back_takes_a_standard_again_and_never_the_dirty_water():
    board = SimulatedBoard(calibrated=True)
    hand = Visitor(board)
    hand.answers = {"ph-10": [Answer("back"), Answer("go")], "cleaned": [Answer("back"), Answer("go")]}
    result, _ = visit(board, hand, keys=["ph"])
    assert hand.steps == ["found", "cleaned", "cleaned", "ph-7", "ph-10", "ph-7", "ph-10", "final"]
    assert any("no step before" in text for text in hand.told)
    assert result.visit.outcome == "done"


def test_a_sensor_that_is_not_fitted_is_refused_before_anything_is_begun():
    board = SimulatedBoard(sensors={"ph": {"mode": "hardware"}})
    with pytest.raises(UsageError, match="not fitted"):
        visit(board, Visitor(board), keys=["ec"])
    assert not Path("calibrations").exists()


def test_the_page_has_the_limits_in_force():
    from visit_limits import PAGE, page

    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run: python tests/calibration/visit_limits.py --write"


def test_the_command_shows_the_last_visit_and_refuses_what_cannot_be_meant(capsys):
    board = SimulatedBoard(calibrated=True)
    visit(board, Visitor(board), keys=["ph"], operator="M. Lee")
    assert invoke(["visit", "130", "--show"]) == 0
    shown = capsys.readouterr().out
    assert "M. Lee" in shown
    assert "ph      excellent" in shown or "ph      good" in shown
    assert invoke(["visit", "131", "--show"]) == ExitCode.USAGE
    assert "buoy visit 131" in capsys.readouterr().err
    assert invoke(["visit", "130", "--keys", "salt"]) == ExitCode.USAGE
    assert invoke(["visit", "130", "--since", "yesterday"]) == ExitCode.USAGE
    assert "2026-11-01" in capsys.readouterr().err
