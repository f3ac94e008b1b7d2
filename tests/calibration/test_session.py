"""Sessions: what is due, plans without a person, maintenance around it, exit codes."""

import json
import sys
from pathlib import Path

import pytest
from bench_world import Clock, SimulatedBoard, Technician

from buoyfleet.calibration import session as session_module
from buoyfleet.calibration.certificate.write import Files
from buoyfleet.calibration.config import load_config
from buoyfleet.calibration.planned import PlannedDialogue
from buoyfleet.calibration.session import CalibrationRequest, Session, exit_code, parse_points
from buoyfleet.cli.main import invoke
from buoyfleet.model.errors import BoardError, UsageError
from buoyfleet.model.exit_codes import ExitCode
from sensors.catalog import KEYS


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _without_certificates(request, monkeypatch):
    """Drawing them takes longer than all the rest; tests that read one ask for `certificates`."""
    if "certificates" not in request.fixturenames:
        monkeypatch.setattr(session_module, "write_certificate", lambda folder: Files(folder, folder))


@pytest.fixture
def certificates():
    """Certificates are written."""


def session(board, text="", technician=None):
    """A session on a board; a technician follows, or the plan if there is none."""
    Path("calibration.yaml").write_text(text)
    config = load_config(None)
    clock = Clock(board)
    said = []

    def dialogue(name, key):
        if technician is not None:
            return technician
        planned = PlannedDialogue(
            config.plan, key, name, clock, lambda text, _tone: said.append(text), lambda: False
        )
        hand = Technician(board)
        prepare = planned.prepare

        def prepared(step, attempt):
            hand.place(step.vessel)
            return prepare(step, attempt)

        planned.prepare = prepared
        return planned

    made = Session(board, config, clock, dialogue, lambda text, _tone: said.append(text))
    return made, said


PLAN = """
operator: M. Lee
plan:
  sensors:
    temp: {values: {reference: 22.0}}
    do: {values: {barometer: 1009}}
    wf:
      seconds: {flow-3: 200 s, flow-10: 60 s, flow-20: 30 s, check-10: 60 s}
      values: {litres: {flow-3: 10.0, flow-10: 10.0, flow-20: 10.0, check-10: 10.0}}
"""


def test_all_nine_are_calibrated_by_a_plan_and_then_nothing_is_due():
    board = SimulatedBoard()
    first, _ = session(board, PLAN)
    done = first.run(CalibrationRequest([]))
    assert [one.key for one in done] == ["temp", "ph", "ec", "do", "tds", "tbd", "wp", "wf", "liqlev"]
    assert {one.result.outcome for one in done} <= {"passed", "warned"}, [one.result.reason for one in done]
    assert exit_code(done) is ExitCode.OK
    assert sorted(board.request("get")["calibration"]) == sorted(KEYS)
    again, said = session(board, PLAN)
    assert again.run(CalibrationRequest([])) == []
    assert "no calibration is due" in said[0]


def test_a_board_is_in_maintenance_meanwhile_and_a_buoy_afterwards():
    board = SimulatedBoard()

    class Watching(Technician):
        def watch(self, view):
            assert view.samples
            assert self.board.board.maintenance_ms > 0
            assert self.board.board.app is None

    made, _ = session(board, "", Watching(board))
    (done,) = made.run(CalibrationRequest(["wp"]))
    assert done.result.outcome == "passed"
    assert board.board.maintenance_ms == 0


def test_a_failure_does_not_stop_the_others_and_the_exit_code_says_it():
    board = SimulatedBoard(sensors={key: {"mode": "hardware"} for key in ("wp", "liqlev")})
    board.bench.inject("wp", "short")
    made, _ = session(board, "plan: {}\n")
    done = made.run(CalibrationRequest([]))
    assert [(one.key, one.result.outcome) for one in done] == [("wp", "failed"), ("liqlev", "passed")]
    assert exit_code(done) is ExitCode.VERDICT_FAILED


def test_a_plan_tries_as_often_as_it_says():
    board = SimulatedBoard()
    board.bench.inject("wp", "short")
    made, said = session(board, "plan: {attempts: 3}\n")
    made.run(CalibrationRequest(["wp"]))
    assert any("attempt 3" in text for text in said)
    assert not any("attempt 4" in text for text in said)


def test_points_come_from_the_plan():
    board = SimulatedBoard()
    made, _ = session(board, "plan:\n  sensors:\n    ph: {points: [4, 7]}\n")
    (done,) = made.run(CalibrationRequest(["ph"]))
    assert [one.step for one in done.result.fitted.residuals] == ["mid", "low"]


def test_a_program_moves_the_probes_and_reads_the_barometer():
    board = SimulatedBoard()
    Path("log").touch()
    note = "import sys; open('log', 'a').write(' '.join(sys.argv[1:]) + '\\n')"
    move = [sys.executable, "-c", note, "{board}", "{probes}", "{vessel}", "{step}"]
    ask = [sys.executable, "-c", "print('1004.5 hPa')"]
    values = f"values: {{barometer: {json.dumps(ask)}}}"
    text = f"plan:\n  move: {json.dumps(move)}\n  sensors:\n    do: {{{values}}}\n"
    made, _ = session(board, text)
    (done,) = made.run(CalibrationRequest(["do"]))
    assert done.result.outcome == "passed", done.result.reason
    assert Path("log").read_text().splitlines() == ["130 do temp air air", "130 do temp air-saturated check"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plan: {move: [no-such-program]}\n", "could not move the probe"),
        ("plan: {move: ['false']}\n", "exit code 1"),
        ("plan: {}\n", "no value `barometer`"),
        ("plan:\n  sensors:\n    do: {values: {barometer: 3}}\n", "from 600 to 1100"),
        ("plan:\n  sensors:\n    do: {values: {barometer: [echo, wet]}}\n", "no number"),
    ],
)
def test_a_bench_that_does_not_work_interrupts_and_changes_nothing(text, said):
    board = SimulatedBoard(calibrated=True)
    before = board.request("get")["sensors"]["do"]
    made, _ = session(board, text)
    (done,) = made.run(CalibrationRequest(["do"]))
    assert done.result.outcome == "interrupted"
    assert said in str(done.result.error)
    assert exit_code([done]) is ExitCode.BOARDS_FAILED
    assert board.request("get")["sensors"]["do"] == before


EXPIRED = "solutions:\n  - {lot: OLD, kind: ph-7, expires: 2020-01-01}\n"


def test_an_expired_bottle_is_refused_before_anything_is_moved():
    board = SimulatedBoard()
    technician = Technician(board)
    made, _ = session(board, EXPIRED, technician)
    with pytest.raises(UsageError, match=r"OLD .* expired"):
        made.run(CalibrationRequest(["ph"]))
    assert not list(Path().glob("calibrations/*"))


def test_mistakes_of_all_sensors_are_told_at_once():
    board = SimulatedBoard()
    text = EXPIRED + "  - {lot: STALE, kind: ec-84, opened: 2025-01-01}\n"
    made, _ = session(board, text, Technician(board))
    with pytest.raises(UsageError, match=r"OLD .*; .*STALE"):
        made.run(CalibrationRequest([]))


@pytest.mark.usefixtures("certificates")
def test_an_expired_bottle_by_force_is_on_the_certificate():
    board = SimulatedBoard()
    made, said = session(board, EXPIRED, Technician(board))
    (done,) = made.run(CalibrationRequest(["ph"], force=True))
    assert done.result.outcome == "passed"
    assert any("by --force" in text for text in said)
    assert "By --force: lot OLD (ph-7) expired on 2020-01-01" in done.files.html.read_text()


@pytest.mark.parametrize(
    ("key", "points", "said"),
    [
        ("ph", ("4",), "needs the 7 buffer"),
        ("ph", ("4", "9"), "no point 9"),
        ("ph", ("7", "7"), "twice"),
        ("ec", ("dry",), "one or two standards"),
        ("wp", ("1",), "open air"),
        ("wp", ("deep",), "no point deep"),
        ("tbd", ("clear", "100"), "at least 3"),
        ("wf", ("3",), "two or more"),
        ("wf", ("3", "99"), "1 to 30"),
        ("liqlev", ("full",), "no point"),
    ],
)
def test_points_that_cannot_be_meant_are_refused_before_anything_is_moved(key, points, said):
    board = SimulatedBoard()
    made, _ = session(board, "", Technician(board))
    with pytest.raises(UsageError, match=said):
        made.run(CalibrationRequest([key], points))
    assert not list(Path().glob("calibrations/*"))


@pytest.mark.usefixtures("certificates")
def test_a_sensor_that_needs_the_temperature_is_refused_where_nothing_tells_it():
    board = SimulatedBoard(sensors={"ph": {"mode": "hardware"}})
    made, _ = session(board, "", Technician(board))
    with pytest.raises(UsageError, match="needs the temperature"):
        made.run(CalibrationRequest(["ph"]))
    (done,) = made.run(CalibrationRequest(["ph"], temperature_c=21.0, thermometer="TLC 700"))
    assert done.result.outcome == "passed"
    assert "TLC 700" in done.files.html.read_text()


def test_a_board_that_does_not_answer_is_told():
    board = SimulatedBoard()
    board.unplugged = True
    made, _ = session(board, "", Technician(board))
    with pytest.raises(BoardError):
        made.run(CalibrationRequest(["ph"]))


def test_the_command_line_refuses_what_makes_no_sense(capsys):
    assert invoke(["calibrate", "130"]) == 2
    assert "name one sensor" in capsys.readouterr().err
    assert invoke(["calibrate", "130", "ph", "--all"]) == 2
    assert invoke(["calibrate", "130", "hp"]) == 2
    assert "no sensor `hp`" in capsys.readouterr().err
    assert invoke(["calibrate", "130", "ph", "--points", "4,,7", "--yes"]) == 2
    assert invoke(["calibrate", "130", "ph"]) == 3
    assert "no terminal" in capsys.readouterr().err


def test_points_are_given_with_commas():
    assert parse_points("4, 7,10") == ("4", "7", "10")
    with pytest.raises(UsageError):
        parse_points("4,")
