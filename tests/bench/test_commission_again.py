"""Boards with the real drivers: what a self-test asks of nine probes, and what counts as passed later."""

import pytest
from bench_rig import PATIENT, SSID, WIFI_PASSWORD, Rig
from buoy.identity import NAMESPACE, keys

from buoyfleet.bench.batch_context import StepFailed
from buoyfleet.bench.plan import Options
from buoyfleet.bench.session import Session
from buoyfleet.bench.single import held_repl, wipe
from buoyfleet.model.board_names import parse_name
from buoyfleet.serial.board_files import list_files, send_files
from buoyfleet.serial.console import Console
from buoyfleet.simulation.esp32.simulator import Simulator

FIRST, SECOND = 320, 321
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    folder = tmp_path_factory.mktemp("again")
    boards = [FIRST, SECOND]
    with Simulator(folder / "sim", boards, access_points={SSID: WIFI_PASSWORD}) as simulator:
        yield Rig(folder, simulator, sensors="hardware")


def commission(rig: Rig, port_of: int, buoy: int, **more: object):
    """What became of it, on however busy a computer."""
    ports = {buoy: rig.simulator.path(port_of)}
    return rig.commission([buoy], ports, patience=PATIENT, connect_s=60.0, **more)[buoy]


def last_record(rig: Rig):
    return rig.bench_folder.records.read()[0][-1]


@pytest.mark.soak
def test_a_silent_probe_fails_the_board_until_it_is_mended_and_nobody_else_becomes_that_board(rig):
    rig.simulator.with_board(FIRST, lambda board: board.buoy.bench.inject("ph", "silent"))
    outcome = commission(rig, FIRST, FIRST)
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.step == "self-test"
    assert "1 of 9 sensors give no reading: ph (missing: circuit silent" in outcome.error.what
    record = last_record(rig)
    assert (record.buoy, record.passed) == (FIRST, False)
    assert record.self_test["failed"]["step"] == "self-test"
    assert record.settings["sensors"]["ph"]["mode"] == "hardware"
    refused = commission(rig, SECOND, FIRST)
    assert refused.error.step == "check"
    assert "nothing was written" in refused.error.what
    rig.simulator.with_board(FIRST, lambda board: board.buoy.bench.clear("ph"))
    mended = commission(rig, FIRST, FIRST)
    assert mended.passed, str(mended.error)
    assert mended.value.done == ["self-test", "record"]
    assert last_record(rig).passed


def test_a_board_that_passed_once_and_fails_now_has_not_passed(rig):
    rig.simulator.with_board(FIRST, lambda board: board.buoy.bench.inject("ec", "silent"))
    assert commission(rig, FIRST, FIRST, options=Options(test=True)).error.step == "self-test"
    rig.simulator.with_board(FIRST, lambda board: board.buoy.bench.clear("ec"))
    mended = commission(rig, FIRST, FIRST)
    assert mended.passed, str(mended.error)
    assert mended.value.done == ["self-test", "record"]


def test_a_probe_that_still_settles_is_there(rig):
    """For a minute after power a pH reading is withheld; a bench does not wait for that."""
    rig.simulator.power(SECOND, False)
    rig.simulator.power(SECOND, True)
    outcome = commission(rig, SECOND, SECOND)
    assert outcome.passed, str(outcome.error)
    record = last_record(rig)
    assert len(record.self_test["sensors"]) == 9
    assert record.self_test["flags"]["ph"] == "warming"
    assert 5 < record.self_test["sensors"]["ph"] < 10
    assert record.self_test["flags"]["tds"] == "uncal"


def test_what_was_changed_since_the_last_self_test_is_tested_again(rig):
    assert commission(rig, SECOND, SECOND).value.done == []
    port = rig.simulator.path(SECOND)
    with Console(port) as console:
        console.wait_until_ready(120)
        console.request("set", tries=3, settings={"log_level": "debug"})
    assert commission(rig, SECOND, SECOND).value.done == ["self-test", "record"]
    assert commission(rig, SECOND, SECOND).value.done == []


def test_a_wiped_board_keeps_its_program_and_nothing_of_the_buoy(rig):
    """Last of its file: the board is nobody afterwards."""
    files = (
        "outbox/500000.out", "outbox/new", "events/1.evt", "events/65.evt", "certs/key.der",
        "settings.last.json", "settings.new.json", "ezo-ph.open", "ezo-ec.open", "ezo-ph.last", "ezo.new",
    )  # fmt: skip

    def everything(board):
        for key in keys():
            board.nvs.set(NAMESPACE, key, 1 if key in ("id", "maint_s") else b"x")
        board.nvs.set("other", "key", 7)
        board.nvs.commit()

    with Session(parse_name(rig.simulator.path(FIRST))) as session:
        with held_repl(session) as repl:
            send_files(repl, dict.fromkeys(files, b"{}"))
            before = set(list_files(repl, ("/",)).files)
        assert set(files) <= before
        rig.simulator.with_board(FIRST, everything)
        wipe(session, rig.bench_folder.records, flash=False)
        # Before the board is held again, which may put it into maintenance.
        left = rig.simulator.with_board(FIRST, lambda board: set(board.nvs.committed))
        with held_repl(session) as repl:
            after = set(list_files(repl, ("/",)).files)
    assert {key for space, key in left if space == NAMESPACE} == set()
    assert ("other", "key") in left, "the port's own keys, and others', are not the buoy's"
    assert not [
        path for path in after if path.startswith(("/outbox", "/events", "/certs", "/settings", "/ezo"))
    ]
    assert {path for path in after if path.startswith(("main.py", "boot.py", "buoy"))}, "the program stays"
