"""Boards that break in the middle of a run: no measure is missing afterwards, and every copy is explained."""

import itertools
import os
import re
import signal
import socket
import time

import pytest
from cable_bench import ENVIRONMENT, cable_fleet, ledger_rows, listening, plugged
from run_bench import Run, only_folder, result_of, sending, until

from buoyfleet.model.ledger import Event

KILLED, CUT, REPLUGGED, TAKEN_OVER = 310, 311, 312, 313

WAIT_S = 300.0
"""A loaded machine starts programs slowly."""
pytestmark = pytest.mark.timeout(2 * WAIT_S)
GONE_S = 60.0


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    with plugged(tmp_path_factory.mktemp("boards"), [KILLED, CUT, REPLUGGED, TAKEN_OVER]) as simulator:
        yield simulator


def connect_as(port, client_id):
    """Connect under a board's client id, which ends its connection; and be gone."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
    with socket.create_connection(("127.0.0.1", port), timeout=10) as other:
        other.sendall(b"\x10" + bytes((len(body),)) + body)
        assert other.recv(4) == b"\x20\x02\x00\x00"


def test_killed_cut_off_and_disconnected_boards_lose_no_measure(boards, tmp_path, free_port):
    path = cable_fleet(
        tmp_path / "fleet.yaml",
        boards,
        f"{KILLED}-{TAKEN_OVER}",
        target={"kind": "local", "port": free_port},
        run={"messages": 60, "interval": "100 ms"},
        group={"link": {"ack_timeout": "1 s", "backoff": {"min": "100 ms", "max": "1 s"}}},
    )
    out = tmp_path / "out"
    run = Run("run", str(path), "--out", str(out), environment=ENVIRONMENT)
    until(lambda: sending(out, 40), "messages under way", WAIT_S)
    # In mid-publish, in mid-write of the file system, by a pulled cable, and by the broker.
    os.kill(boards.child_pid(KILLED), signal.SIGKILL)
    boards.cut_power_after_writes(CUT, 3)
    boards.unplug(REPLUGGED)
    boards.replug(REPLUGGED)
    connect_as(free_port, f"buoy-{TAKEN_OVER}")
    until(lambda: boards.state(CUT) == "off", "a power cut", WAIT_S)
    boards.cut_power_after_writes(CUT, 0)
    boards.power(CUT, True)
    assert run.finish(WAIT_S) == 0, run.out + run.err
    result = result_of(out)
    for store in result["stores"]:
        assert store["found"] == store["expected"] == 4 * 60 * 9
        assert store["missing"] == store["duplicated"] == store["altered"] == store["unexpected"] == 0
    for board in result["boards"]:
        assert (board["state"], board["sent"], board["acknowledged"]) == ("passed", 60, 60)
    for buoy_id in (KILLED, CUT, REPLUGGED):
        (board,) = (board for board in result["boards"] if board["buoy_id"] == buoy_id)
        assert any("was reset in the middle of the run" in error for error in board["errors"])
        seqs = [row["seq"] for row in ledger_rows(only_folder(out), Event.SENT, buoy_id) if row["payload"]]
        assert sorted(seqs) == list(range(60)), "no number was given to two messages"
    (taken_over,) = (board for board in result["boards"] if board["buoy_id"] == TAKEN_OVER)
    assert taken_over["reconnects"] >= 1


def let_pass(seconds):
    """Real time, in which boards publish on: how long the network is away is what these tests are about."""
    over = time.monotonic() + seconds
    until(lambda: time.monotonic() >= over, f"{seconds} s", seconds + 1)


@pytest.mark.soak
def test_what_an_outbox_drops_in_a_minute_without_access_point_is_in_its_own_count(boards, tmp_path):
    path = cable_fleet(
        tmp_path / "fleet.yaml",
        boards,
        str(KILLED),
        run={"messages": 800, "interval": "100 ms", "drain_timeout": "150 s"},
        group={"link": {"outbox": 40}},
    )
    out = tmp_path / "out"
    run = Run("run", str(path), "--out", str(out), environment=ENVIRONMENT)
    until(lambda: sending(out, 40), "messages under way", WAIT_S)
    boards.access_point("buoy", None)
    let_pass(GONE_S)
    boards.access_point("buoy", "secret")
    assert run.finish(2 * WAIT_S) == 5, run.out + run.err
    result = result_of(out)
    (board,) = result["boards"]
    # A minute makes 600 messages; its two segments hold some fifty of them.
    assert 400 <= board["dropped"] <= 620
    assert board["sent"] == 800 - board["dropped"]
    # Those that were out when the network went, and were dropped before they could leave again.
    doubtful = board["sent"] - board["acknowledged"]
    assert doubtful <= 20
    dropped = ledger_rows(only_folder(out), Event.DROPPED, KILLED)
    assert {row["reason"] for row in dropped} == {"outbox full"}
    seqs = [row["seq"] for row in dropped]
    assert seqs == sorted(seqs), "the oldest first"
    log = (only_folder(out) / "logs" / f"buoy-{KILLED}.log").read_text()
    told = sum('"what": "dropped"' in line for line in log.splitlines())
    own_count = max(int(count) for count in re.findall(r'"dropped": (\d+)', log))
    assert told == board["dropped"] + doubtful
    assert told <= own_count <= told + 2, "messages on the error topic count, and have no number"
    for store in result["stores"]:
        assert store["duplicated"] == store["unexpected"] == 0
        assert store["missing"] <= doubtful * 9
        assert store["found"] == board["sent"] * 9 - store["missing"]
    assert board["state"] == "failed"
    assert board["errors"][0] == f"{board['dropped']} messages dropped"
    # The verdict puts each down to the outbox, and to anything else no more than those that were out.
    causes = {diagnosis["cause"]: diagnosis for diagnosis in result["diagnoses"]}
    assert causes["dropped"]["messages"] == board["dropped"]
    assert "dropped by the board (outbox full)" in causes["dropped"]["sentence"]
    lost = [one for name, one in causes.items() if name not in ("dropped", "late-send")]
    assert sum(one["messages"] for one in lost) <= doubtful


@pytest.mark.soak
def test_an_access_point_that_is_gone_for_a_minute_costs_no_measure(boards, tmp_path):
    path = cable_fleet(
        tmp_path / "fleet.yaml",
        boards,
        f"{CUT}-{REPLUGGED}",
        # A board that has failed to join for a minute tries once a minute: so late may its messages leave.
        run={"messages": 800, "interval": "100 ms", "drain_timeout": "150 s", "late_send": "150 s"},
        group={"link": {"outbox": 1200}},
    )
    out = tmp_path / "out"
    run = Run("run", str(path), "--out", str(out), environment=ENVIRONMENT)
    until(lambda: sending(out, 40), "messages under way", WAIT_S)
    boards.access_point("buoy", None)
    let_pass(GONE_S / 2)
    # One of them is killed, with messages in its outbox.
    os.kill(boards.child_pid(CUT), signal.SIGKILL)
    let_pass(GONE_S / 2)
    boards.access_point("buoy", "secret")
    assert run.finish(2 * WAIT_S) == 0, run.out + run.err
    result = result_of(out)
    for board in result["boards"]:
        counts = (board["sent"], board["acknowledged"], board["dropped"])
        assert (board["state"], *counts) == ("passed", 800, 800, 0)
        assert board["reconnects"] >= 1
    for store in result["stores"]:
        assert store["found"] == store["expected"] == 2 * 800 * 9
        assert store["missing"] == store["duplicated"] == store["altered"] == store["unexpected"] == 0
    sent = [row for row in ledger_rows(only_folder(out), Event.SENT, REPLUGGED) if row["attempt"] == 1]
    times_ns = sorted(row["at_ns"] for row in sent)
    gaps_ns = [later - one for one, later in itertools.pairwise(times_ns)]
    assert max(gaps_ns) / 1e9 >= GONE_S - 5, "nothing left while there was no network"


@pytest.mark.soak
def test_a_broker_that_is_restarted_in_mid_run_loses_no_measure(boards, tmp_path, start_mosquitto):
    broker = start_mosquitto()
    path = cable_fleet(
        tmp_path / "fleet.yaml",
        boards,
        f"{KILLED}-{CUT}",
        target={"kind": "broker", "host": "127.0.0.1", "port": broker.port},
        run={"messages": 60, "interval": "100 ms"},
        group={"link": {"backoff": {"min": "5 s", "max": "5 s"}}},
    )
    out = tmp_path / "out"
    subscribed = []
    # It stands for the store: back at the broker long before the boards, which wait for 2.5 s at least.
    with listening(broker.port, "aws/0/+/data/", lambda: subscribed.append(1)) as arrived:
        until(lambda: subscribed, "a subscription", WAIT_S)
        run = Run("run", str(path), "--out", str(out), environment=ENVIRONMENT)
        until(lambda: len(arrived) >= 40, "messages under way", WAIT_S)
        broker.stop()
        broker.start()
        assert run.finish(WAIT_S) == 0, run.out + run.err
    assert len(subscribed) == 2
    for board in result_of(out)["boards"]:
        assert (board["state"], board["sent"], board["acknowledged"]) == ("passed", 60, 60)
        assert board["reconnects"] >= 1
        rows = ledger_rows(only_folder(out), Event.SENT, board["buoy_id"])
        told = [row["payload"] for row in rows if row["payload"]]
        assert len(set(told)) == len(told) == 60
        topic = f"aws/0/{board['buoy_id']}/data/"
        stored = [message.payload for message in arrived if message.topic == topic]
        assert set(stored) == set(told)
        copies = len(stored) - len(set(stored))
        again = sum(row["attempt"] > 1 for row in rows)
        assert copies <= again, "every copy is known to have been sent once more"
