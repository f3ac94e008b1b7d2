"""Fleets with boards on cables: configured and driven by their console, and given back as they were."""

import json
import re
import signal

import pytest
from cable_bench import ENVIRONMENT, cable_fleet, ledger_rows, listening, once, plugged, settings_on
from run_bench import Run, buoy, only_folder, processes_of, result_of, sending, until

from buoyfleet.model.ledger import Event
from buoyfleet.serial.console import Console

WAIT_S = 300.0
"""A loaded machine starts programs slowly."""
pytestmark = pytest.mark.timeout(2 * WAIT_S)
MESSAGES = 10
"""Of each board of the mixed run."""


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    """Two boards on ports, as if they had been plugged in before."""
    with plugged(tmp_path_factory.mktemp("boards"), [300, 301]) as simulator:
        yield simulator


def board_of(result, buoy_id):
    return next(board for board in result["boards"] if board["buoy_id"] == buoy_id)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A run of virtual boards and of simulated ones that it starts itself, one of them with real drivers."""
    return once(tmp_path_factory, "mixed", run_mixed)


def run_mixed(folder):
    out = folder / "out"
    path = folder / "fleet.yaml"
    fleet = {
        "fleet": "mixed",
        "target": "local",
        "run": {"messages": MESSAGES, "rate": "3/s", "start_spread": "1 s", "late_send": "30 s"},
        "boards": [
            {"kind": "virtual", "ids": "200-203"},
            {"kind": "simulated", "ids": 204, "sensors": {"ph": {"mode": "counter", "base": 3.5}}},
            {"kind": "simulated", "ids": 205, "sensors": "hardware"},
        ],
    }
    path.write_text(json.dumps(fleet))
    run = Run("run", str(path), "--out", str(out))
    assert run.finish(WAIT_S) == 0, run.out + run.err


def test_virtual_and_simulated_boards_pass_together(mixed):
    result = result_of(mixed)
    assert [board["state"] for board in result["boards"]] == ["passed"] * 6
    assert {board["kind"] for board in result["boards"]} == {"virtual", "simulated"}
    assert all(store["found"] == store["expected"] == 6 * MESSAGES * 9 for store in result["stores"])
    assert result["warnings"] == []


def test_what_a_board_published_stands_in_the_ledger_with_times_by_its_own_clock(mixed):
    folder = only_folder(mixed)
    sent = ledger_rows(folder, Event.SENT, 204)
    assert [row["seq"] for row in sent] == list(range(MESSAGES))
    payloads = [json.loads(row["payload"]) for row in sent]
    assert [payload["ph"] for payload in payloads] == [7.0 + n for n in range(MESSAGES)]
    assert all(row["at_ns"] % 1_000_000 == 0 for row in sent), "raw, in whole ms as the board tells them"
    assert all(0 < row["uncertainty_ns"] < 50_000_000 for row in sent)
    # The plan is the host's, of a rate that is no whole number of ms.
    planned = [row["planned_ns"] for row in ledger_rows(folder, Event.PLANNED, 204)]
    assert abs(planned[-1] - planned[0] - (MESSAGES - 1) * 1e9 / 3) < 2
    for row in sent:
        lag_ns = row["at_ns"] + row["offset_ns"] - row["planned_ns"]
        assert -row["uncertainty_ns"] - 2_000_000 <= lag_ns


def test_clocks_are_shown_in_the_result(mixed):
    board = board_of(result_of(mixed), 204)
    assert 0 < board["clock_uncertainty_ms"] < 50
    assert board["clock_offset_ms"] != 0
    assert board_of(result_of(mixed), 200)["clock_uncertainty_ms"] == 0


def test_drivers_of_a_simulated_board_read_its_water(mixed):
    payload = json.loads(ledger_rows(only_folder(mixed), Event.SENT, 205)[-1]["payload"])
    assert set(payload) == {"do", "ec", "ph", "tds", "tbd", "wf", "wp", "liqlev", "temp", "timestamp"}
    assert 0 < payload["temp"] < 30
    assert 6 < payload["ph"] < 9


def test_every_line_of_a_board_is_in_its_log_with_the_time(mixed):
    lines = (only_folder(mixed) / "logs" / "buoy-204.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z .", line) for line in lines)
    assert sum('"what": "sent"' in line for line in lines) == MESSAGES
    assert not any("secret" in line for line in lines)


def test_nothing_of_the_boards_that_a_run_started_is_left(mixed):
    folder = only_folder(mixed)
    assert not (folder / "simulated").exists()
    assert processes_of(folder) == []


def test_a_board_gets_its_settings_back_also_after_ctrl_c(boards, tmp_path):
    path = cable_fleet(tmp_path / "fleet.yaml", boards, "300", run={"messages": 500})
    with Console(boards.path(300)) as console:
        console.wait_until_ready(120)
        console.request("set", settings={"publish_interval_s": 77, "sensors": {"ph": {"mode": "walk"}}})
    before = settings_on(boards, 300)
    out = tmp_path / "out"
    run = Run("run", str(path), "--out", str(out), environment=ENVIRONMENT)
    until(lambda: sending(out, 10), "messages under way", WAIT_S)
    run.process.send_signal(signal.SIGINT)
    assert run.finish(WAIT_S) == 130, run.out + run.err
    assert settings_on(boards, 300) == before
    result = result_of(out)
    board = board_of(result, 300)
    assert 10 <= board["sent"] == board["acknowledged"] < 500
    assert board["sent"] + board["dropped"] == 500
    assert any("board 300 had none before and keeps: id 300" in warning for warning in result["warnings"])
    assert all(store["missing"] == 0 for store in result["stores"])


@pytest.mark.soak
@pytest.mark.parametrize(("interval", "state"), [("50 ms", "passed"), ("30 ms", "unproven")])
def test_events_lost_on_the_line_are_told_again_where_the_board_keeps_them(boards, tmp_path, interval, state):
    # Long enough for the noise to come while it sends, on a busy machine too.
    run = {"messages": 600, "interval": interval, "late_send": "1 min", "drain_timeout": "1 min"}
    path = cable_fleet(tmp_path / "fleet.yaml", boards, "301", run=run)
    out = tmp_path / "out"
    run = Run("run", str(path), "--out", str(out), environment=ENVIRONMENT)
    until(lambda: sending(out, 10), "messages under way", WAIT_S)
    boards.noise(301, 0.004)
    log = only_folder(out) / "logs" / "buoy-301.log"
    try:
        until(lambda: "events lost" in log.read_text(), "loss on a noisy line", WAIT_S)
    finally:
        boards.noise(301, 0.0)
        code = run.finish(WAIT_S)
    assert code == (0 if state == "passed" else 4), run.out + run.err
    board = board_of(result_of(out), 301)
    assert board["state"] == state
    if state == "unproven":
        assert re.search(r"\d+ events of its console were lost", board["errors"][0])
    else:
        assert (board["sent"], board["acknowledged"], board["errors"]) == (600, 600, [])


CUT_OFF = {"messages": 30, "interval": "60 ms", "drain_timeout": "1 s"}


def test_a_board_whose_cable_is_gone_at_the_end_tells_over_mqtt_what_it_sent(boards, tmp_path):
    path = cable_fleet(tmp_path / "fleet.yaml", boards, "301", run=CUT_OFF)
    out = tmp_path / "out"
    run = Run("run", str(path), "--out", str(out), environment=ENVIRONMENT)
    until(lambda: sending(out, 5), "messages under way", WAIT_S)
    # The board has a supply of its own: it goes on, and nothing of the line is to be understood.
    boards.noise(301, 1.0)
    try:
        assert run.finish(WAIT_S) == 0, run.out + run.err
    finally:
        boards.noise(301, 0.0)
    result = result_of(out)
    board = board_of(result, 301)
    assert (board["state"], board["sent"], board["acknowledged"]) == ("passed", 30, 30)
    assert all(store["found"] == store["expected"] == 30 * 9 for store in result["stores"])
    assert any("came over MQTT" in error for error in board["errors"])
    assert any("earlier settings could not be put back" in warning for warning in result["warnings"])


@pytest.mark.soak
def test_a_board_whose_cable_and_network_are_gone_is_unproven_until_it_is_read(boards, tmp_path, free_port):
    target = {"kind": "local", "port": free_port}
    path = cable_fleet(tmp_path / "fleet.yaml", boards, "300", run=CUT_OFF, target=target)
    before = settings_on(boards, 300)
    out = tmp_path / "out"
    with listening(free_port, "aws/0/300/data/") as arrived:
        run = Run("run", str(path), "--out", str(out), environment=ENVIRONMENT)
        until(lambda: len(arrived) >= 5, "messages under way", WAIT_S)
        boards.noise(300, 1.0)
        until(lambda: len(arrived) == 30, "all messages", WAIT_S)
    log = only_folder(out) / "logs" / "buoy-300.log"
    until(lambda: "no answer" in log.read_text(), "a console that is missed", WAIT_S)
    boards.access_point("buoy", None)
    try:
        assert run.finish(WAIT_S) == 4, run.out + run.err
    finally:
        boards.noise(300, 0.0)
        boards.access_point("buoy", "secret")
    board = board_of(result_of(out), 300)
    assert board["state"] == "unproven"
    assert board["sent"] < 30
    assert "not told over MQTT either" in log.read_text()
    fetch = buoy("fetch", str(only_folder(out)))
    assert fetch.process.returncode == 0, fetch.out + fetch.err
    result = result_of(out)
    board = board_of(result, 300)
    assert (board["state"], board["sent"], board["acknowledged"]) == ("passed", 30, 30)
    assert all(store["found"] == store["expected"] == 30 * 9 for store in result["stores"])
    assert "board 300: its ledger was completed later" in result["warnings"]
    assert settings_on(boards, 300) == before
    assert buoy("fetch", str(only_folder(out))).process.returncode == 2, "nothing is unproven any more"


@pytest.mark.soak
def test_a_board_whose_cable_stays_away_is_read_over_mqtt_as_soon_as_its_network_is_back(
    boards, tmp_path, start_mosquitto
):
    broker = start_mosquitto()
    target = {"kind": "broker", "host": "127.0.0.1", "port": broker.port}
    path = cable_fleet(tmp_path / "fleet.yaml", boards, "301", run=CUT_OFF, target=target)
    out = tmp_path / "out"
    with listening(broker.port, "aws/0/301/data/") as arrived:
        run = Run("run", str(path), "--out", str(out), environment=ENVIRONMENT)
        until(lambda: len(arrived) >= 5, "messages under way", WAIT_S)
        boards.noise(301, 1.0)
        until(lambda: len(arrived) == 30, "all messages", WAIT_S)
    log = only_folder(out) / "logs" / "buoy-301.log"
    until(lambda: "no answer" in log.read_text(), "a console that is missed", WAIT_S)
    boards.access_point("buoy", None)
    try:
        code = run.finish(WAIT_S)
        board = board_of(result_of(out), 301)
        assert board["state"] == "unproven"
        # A message without its acknowledgement misses a threshold of runs at a broker; whether there is one
        # depends on the moment.
        assert code == (5 if board["sent"] > board["acknowledged"] else 4), run.out + run.err
        nobody = buoy("fetch", str(only_folder(out)))
        assert nobody.process.returncode == 4, nobody.out + nobody.err
        assert "and over MQTT: " in nobody.err
        # It tells what troubled it as soon as it is back.
        with listening(broker.port, "aws/0/301/error/") as told:
            boards.access_point("buoy", "secret")
            until(lambda: told, "a board that is back at its broker", WAIT_S)
        fetch = buoy("fetch", str(only_folder(out)))
        assert fetch.process.returncode == 0, fetch.out + fetch.err
    finally:
        boards.noise(301, 0.0)
        boards.access_point("buoy", "secret")
    result = result_of(out)
    board = board_of(result, 301)
    assert (board["state"], board["sent"], board["acknowledged"]) == ("passed", 30, 30)
    assert any("until it is fetched at a cable" in warning for warning in result["warnings"])
    assert len(result["run"]["verified_again_ns"]) == 1


def test_a_board_that_is_another_one_is_not_touched(boards, tmp_path):
    boards_before = settings_on(boards, 300)
    with Console(boards.path(300)) as console:
        console.request("id", buoy=300)
    group = {"port": boards.path(300)}
    path = cable_fleet(tmp_path / "fleet.yaml", boards, "555", group=group, run={"messages": 5})
    out = tmp_path / "out"
    run = buoy("run", str(path), "--out", str(out), environment=ENVIRONMENT)
    # The only board could not begin: nothing was sent, so that nothing can be lost.
    assert run.process.returncode == 3, run.out + run.err
    assert "the run did not start, and nothing was sent: board 555" in run.err
    assert "the board there is buoy 300, the fleet file says 555" in run.err
    assert "lost" not in run.out + run.err
    assert settings_on(boards, 300) == boards_before


def test_a_port_that_is_not_there_is_said_before_anything_is_sent(boards, tmp_path):
    group = {"port": str(tmp_path / "ttyUSB7")}
    path = cable_fleet(tmp_path / "fleet.yaml", boards, "300", group=group)
    run = buoy("run", str(path), "--out", str(tmp_path / "out"), environment=ENVIRONMENT)
    assert run.process.returncode == 3
    assert "ttyUSB7" in run.err
    assert "/dev/serial/by-id" in run.err
