"""The dialogue at a real pseudo-terminal: what is typed, what is seen, and Ctrl-C at every step of it."""

import json
import re
import sys
from pathlib import Path

import pexpect
import pytest
from bench_world import SimulatedBoard

from buoyfleet.calibration.record import read_record

pytestmark = pytest.mark.timeout(600)

PROGRAM = Path(__file__).resolve().parent / "dialogue_program.py"
READY = "q to give up: "
TIMEOUT_S = 200


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def start():
    """Start a calibration at a pseudo-terminal; all end with the test."""
    children = []

    def spawn(key, **options):
        child = pexpect.spawn(
            sys.executable,
            [str(PROGRAM), key, json.dumps(options)],
            encoding="utf-8",
            dimensions=(50, 110),
            timeout=TIMEOUT_S,
        )
        children.append(child)
        return child

    yield spawn
    for child in children:
        child.close(force=True)


def untouched(tmp_path, monkeypatch):
    """What `WHOLE` says of a board nobody touched."""
    folder = tmp_path / "untouched"
    folder.mkdir()
    monkeypatch.chdir(folder)
    board = SimulatedBoard(calibrated=True)
    settings = board.request("get")
    numbers = {key: board.bench.part(key)._calibration_numbers() for key in ("ph", "ec")}
    own = {key: [float(f"{n:.5g}") for n in found] for key, found in numbers.items()}
    return json.loads(json.dumps([settings["sensors"], settings["calibration"], own]))


def end_of(child):
    """(text without colours, exit code, what the board has)."""
    child.expect(r"WHOLE (\[.*\])\r\n")
    whole = json.loads(child.match.group(1))
    before = child.before
    child.expect(pexpect.EOF)
    child.close()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", before), child.exitstatus, whole


def answer(child, expected, typed):
    child.expect(expected)
    child.sendline(typed)


def test_three_buffers_from_the_first_question_to_the_certificate(start, tmp_path):
    child = start("ph", certificate=True)
    for title in (r"pH 7\.00 buffer \(mid\)", r"pH 4\.00 buffer \(low\)", r"pH 10\.01 buffer \(high\)"):
        child.expect(title)
        answer(child, READY, "")
        child.expect("noise")  # the live view
        child.expect(r"drift [-+]")
        child.expect("stable")
        child.expect(r"taken: [-0-9.]+ mV")
    child.expect("zero offset")
    child.expect("Cal,high,10.0")
    answer(child, r"\[y/n\] ", "y")
    child.expect(r"pH 7\.00 buffer, again")
    answer(child, READY, "")
    text, code, whole = end_of(child)
    assert code == 0
    assert "ph passed: the new calibration is in force" in text
    assert whole[1]["ph"]["record"].endswith("-ph")
    folder = next(tmp_path.glob("calibrations/130/*-ph"))
    assert {"record.jsonl", "certificate.html", "certificate.pdf"} <= {file.name for file in folder.iterdir()}


def test_a_swapped_bottle_is_told_and_the_step_repeated(start):
    child = start("ph", swap={"mid": "ph-4"}, points=["7"])
    answer(child, READY, "")
    child.expect("swapped")
    answer(child, READY, "r")
    child.expect("attempt 2")
    answer(child, READY, "")
    answer(child, r"\[y/n\] ", "y")
    answer(child, READY, "")
    text, code, _ = end_of(child)
    assert code == 0, text


@pytest.mark.soak
def test_a_step_is_skipped_with_a_reason_that_the_certificate_has(start, tmp_path):
    child = start("ph", points=["4", "7", "10"], certificate=True)
    answer(child, READY, "")
    answer(child, "low.*" + READY, "s")
    answer(child, "why", "bottle broken")
    answer(child, "high.*" + READY, "")
    answer(child, r"\[y/n\] ", "y")
    answer(child, READY, "")
    _, code, _ = end_of(child)
    assert code == 0
    page = next(tmp_path.glob("calibrations/130/*/certificate.html")).read_text()
    assert "skipped: bottle broken" in page


def test_the_step_that_everything_hangs_on_cannot_be_skipped(start):
    child = start("ph")
    answer(child, READY, "s")
    answer(child, "why", "no wish")
    child.expect("cannot be skipped")
    answer(child, READY, "q")
    text, code, _ = end_of(child)
    assert code == 130, text


def test_keys_at_the_live_view_begin_anew_and_give_up(start):
    child = start("wp", pace_s=0.05, drifting=["zero"])
    answer(child, READY, "")
    child.expect("drift")
    child.send("r")
    child.expect("attempt 2")
    answer(child, READY, "")
    child.expect("drift")
    child.send(" ")
    child.expect("not stable yet")
    child.send("q")
    text, code, _ = end_of(child)
    assert code == 130, text


def test_a_step_can_be_taken_again_after_it_was_taken(start, tmp_path):
    child = start("ph")
    answer(child, "mid.*" + READY, "")
    answer(child, "low.*" + READY, "")
    answer(child, "high.*" + READY, "b")
    child.expect("low")
    child.expect("attempt 2")
    answer(child, READY, "")
    answer(child, "high.*" + READY, "")
    child.expect("circuit's acid slope")
    answer(child, r"\[y/n\] ", "y")
    answer(child, READY, "")
    text, code, _ = end_of(child)
    assert code == 0, text
    record = read_record(next(tmp_path.glob("calibrations/130/*-ph")))
    assert [(point.name, point.attempt) for point in record.points if point.name == "low"] == [("low", 2)]


@pytest.mark.soak
def test_by_key_a_stable_point_waits_for_enter(start):
    child = start("wp", by_key=True, pace_s=0.01)
    answer(child, READY, "")
    child.expect("stable: Enter takes it")
    child.send("\r")
    answer(child, r"\[y/n\] ", "y")
    answer(child, READY, "")
    child.expect("stable: Enter takes it")
    child.send("\r")
    text, code, _ = end_of(child)
    assert code == 0, text


def test_no_to_the_last_question_writes_nothing(start, tmp_path, monkeypatch):
    child = start("wp")
    answer(child, READY, "")
    answer(child, r"\[y/n\] ", "n")
    text, code, whole = end_of(child)
    assert code == 130
    assert "old calibration is in force" in text
    assert whole == untouched(tmp_path, monkeypatch)


def test_a_number_is_asked_until_it_is_one(start):
    child = start("do")
    answer(child, READY, "")
    answer(child, "hPa: ", "much")
    child.expect("from 600 to 1100")
    answer(child, "hPa: ", "1009,5")
    answer(child, r"\[y/n\] ", "y")
    answer(child, READY, "")
    text, code, _ = end_of(child)
    assert code == 0, text


# where Ctrl-C comes: sensor, options, what is typed before as (seen, typed), what is seen then
MOMENTS = {
    "before the first step": ("ph", {}, [], READY),
    "while a point settles": ("ph", {"drifting": ["mid"], "pace_s": 0.03}, [(READY, "")], "drift"),
    "after a point was refused": ("ph", {"swap": {"mid": "ph-4"}}, [(READY, "")], "r to do it again"),
    "with one point on the chip": ("ph", {}, [(READY, "")], "low.*" + READY),
    "while a reason is typed": ("ph", {}, [(READY, ""), ("low.*" + READY, "s")], "why"),
    "at the question whether to write": ("wp", {}, [(READY, "")], r"\[y/n\] "),
    "after writing": ("wp", {}, [(READY, ""), (r"\[y/n\] ", "y")], "again.*" + READY),
    "while it is measured again": (
        "wp",
        {"drifting": ["check"], "pace_s": 0.03},
        [(READY, ""), (r"\[y/n\] ", "y"), ("again.*" + READY, "")],
        "drift",
    ),
    "after a circuit was written": (
        "ph",
        {"points": ["7"]},
        [(READY, ""), (r"\[y/n\] ", "y")],
        "again.*" + READY,
    ),
    "while a number is typed": ("do", {}, [(READY, "")], "hPa: "),
    "before the bucket": ("wf", {}, [(READY, "")], "Hose into"),
    "while the bucket fills": ("wf", {}, [(READY, ""), ("Hose into", "")], "Stop at"),
    "while litres are typed": ("wf", {}, [(READY, ""), ("Hose into", ""), ("Stop at", "")], "Litres"),
}


IN_MAKE_TEST = {
    "before the first step",
    "with one point on the chip",
    "after writing",
    "while litres are typed",
}


@pytest.mark.parametrize(
    ("key", "options", "typed", "seen"),
    [
        pytest.param(*moment, id=name, marks=[] if name in IN_MAKE_TEST else pytest.mark.soak)
        for name, moment in MOMENTS.items()
    ],
)
def test_ctrl_c_leaves_everything_as_it_was(key, options, typed, seen, start, tmp_path, monkeypatch):
    child = start(key, **options)
    for expected, text in typed:
        answer(child, expected, text)
    child.expect(seen)
    child.sendintr()
    text, code, whole = end_of(child)
    assert code == 130, text
    assert f"{key} aborted: the old calibration is in force" in text
    assert "Traceback" not in text
    assert (
        next(tmp_path.glob("calibrations/130/*/record.jsonl")).read_text().count('"outcome":"aborted"') == 1
    )
    assert whole == untouched(tmp_path, monkeypatch)
