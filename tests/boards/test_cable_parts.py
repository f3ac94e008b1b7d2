"""The parts that a board on a cable is run with: clock, settings, ledger, log."""

import json
import re

import pyarrow as pa
import pytest
from buoy import settings as firmware_settings
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.boards.board_log import BoardLog
from buoyfleet.boards.board_settings import RunSettings, changes_between, settings_for
from buoyfleet.boards.cable_ledger import CableLedger
from buoyfleet.boards.clock_track import RESOLUTION_NS, ClockTrack, Ping
from buoyfleet.cloud.aws.endpoint import account_endpoint
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import BoardError
from buoyfleet.model.fleet import BoardSpec, LinkSpec, SensorSpec
from buoyfleet.model.ledger import STREAM_FOLDER, Event
from buoyfleet.model.plan import BoardPlan
from sensors.catalog import BOOLEAN_KEYS, KEYS

RUN = RunSettings("aws/0", "stamped", 1, 100.0)
PLAN = BoardPlan(128, 10, 100_000, 5, None)
T0_NS = 1_790_000_000_000_000_000


# Clock


@given(
    st.integers(-(10**12), 10**12),
    st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**8)), min_size=1, max_size=8),
)
def test_the_true_offset_is_never_further_off_than_the_uncertainty(offset_ns, ways):
    pings = []
    for number, (there_ns, back_ns) in enumerate(ways):
        sent_ns = T0_NS + number * 10**9
        board_ns = sent_ns + there_ns - offset_ns
        pings.append(Ping(sent_ns, sent_ns + there_ns + back_ns, board_ns // 1_000_000))
    track = ClockTrack()
    track.add(pings)
    # Half a ns is lost in whole numbers.
    assert abs(track.offset_ns() - offset_ns) <= track.uncertainty_ns(pings[-1].received_ns) + 1


def ping_at(host_ns, offset_ns, round_trip_ns=2_000_000):
    board_ms = (host_ns + round_trip_ns // 2 - offset_ns) // 1_000_000
    return Ping(host_ns, host_ns + round_trip_ns, board_ms)


def test_drift_is_told_where_it_is_more_than_the_pings_leave_open():
    track = ClockTrack()
    track.add([ping_at(T0_NS, 0)])
    track.add([ping_at(T0_NS + 10 * 10**9, 100_000)])
    assert track.drift_ppm() == 0.0
    track.add([ping_at(T0_NS + 3600 * 10**9, 36_000_000)])
    assert track.drift_ppm() == pytest.approx(10.0, abs=1.0)
    track.restart()
    assert not track.known


def test_uncertainty_grows_with_the_age_of_the_ping():
    track = ClockTrack()
    track.add([ping_at(T0_NS, 0), ping_at(T0_NS, 0, 50_000_000)])
    assert track.uncertainty_ns(T0_NS) == 1_000_000 + RESOLUTION_NS // 2
    assert track.uncertainty_ns(T0_NS + 60 * 10**9) > track.uncertainty_ns(T0_NS) + 2_000_000


# Settings


def spec(mode="counter", **link):
    sensors = tuple(SensorSpec(key, mode, 2.5, key in BOOLEAN_KEYS or 2.5) for key in KEYS)
    return BoardSpec(128, "simulated", "buoy-128", sensors, LinkSpec(**link), 5, 100.0)


@given(
    st.builds(
        LinkSpec,
        keep_alive_s=st.integers(1, 100_000),
        in_flight=st.integers(1, 1000),
        connect_timeout_s=st.floats(0.01, 1000),
        ack_timeout_s=st.floats(0.01, 1000),
        backoff_min_s=st.floats(0.001, 1000),
        backoff_max_s=st.floats(0.001, 100_000),
        outbox=st.integers(1, 1_000_000),
    ),
    st.sampled_from(["counter", "walk", "constant", "hardware", "off"]),
)
def test_whatever_a_fleet_file_says_the_firmware_takes_it(link, mode):
    sensors = tuple(SensorSpec(key, mode, 0.0, key in BOOLEAN_KEYS or 2.5) for key in KEYS)
    board = BoardSpec(128, "esp32", "buoy-128", sensors, link, 5, 100.0)
    wanted = settings_for(board, RUN, Endpoint("broker.test", 1883), firmware_settings.defaults())
    merged = firmware_settings.merge(firmware_settings.defaults(), wanted)
    assert merged["publish_interval_s"] == 0
    for request in changes_between(firmware_settings.defaults(), wanted):
        assert len(json.dumps({"id": 10**6, "do": "set", "settings": request})) < 2000


@pytest.mark.parametrize("port", [443, 8883])
def test_boards_of_an_account_connect_to_8883_whatever_port_clients_here_take(port):
    # MicroPython cannot choose MQTT by ALPN, which 443 needs (tls.SSLContext has no method for it).
    endpoint = account_endpoint(AwsSpec(endpoint="iot.test", port=port, certificates="certs", ca="ca.pem"))
    assert (endpoint.port, endpoint.tls.alpn) == (port, "x-amzn-mqtt-ca" if port == 443 else "")
    wanted = settings_for(spec(), RUN, endpoint, {})
    assert (wanted["broker_host"], wanted["broker_port"], wanted["broker_tls"]) == ("iot.test", 8883, True)


def test_drivers_keep_what_the_board_knows_of_them():
    own = {"sensors": {"ph": {"mode": "hardware", "limits": [5, 10]}, "ec": {"mode": "walk"}}}
    wanted = settings_for(spec("hardware"), RUN, Endpoint("b", 1883), own)
    assert wanted["sensors"]["ph"] == {"mode": "hardware", "limits": [5, 10]}


def test_a_broker_that_wants_a_password_is_refused_with_the_reason():
    with pytest.raises(BoardError, match="cannot log in with a user name"):
        settings_for(spec(), RUN, Endpoint("b", 1883, username="bob"), {})


def test_only_what_differs_is_changed_and_sections_go_one_by_one():
    now = {"qos": 1, "sensors": {"ph": {}}, "pins": {}, "payload": "stamped"}
    wanted = {"qos": 0, "sensors": {"ec": {}}, "pins": {"do": 33}, "payload": "stamped"}
    assert changes_between(now, wanted) == [{"qos": 0}, {"sensors": {"ec": {}}}, {"pins": {"do": 33}}]
    assert changes_between(now, now) == []


# Ledger


def event(what, seq, attempt=1, **more):
    return {"what": what, "seq": seq, "attempt": attempt, "time": T0_NS // 1_000_000 + seq, **more}


@pytest.fixture
def ledger(tmp_path):
    made = CableLedger(tmp_path, "buoy-128", PLAN, ClockTrack())
    made.begin(T0_NS)
    yield made
    made.close()


def rows_of(ledger, tmp_path):
    ledger.close()
    with pa.OSFile(str(tmp_path / STREAM_FOLDER / "buoy-128.arrows")) as source:
        rows = pa.ipc.open_stream(source).read_all().to_pylist()
    return [row for row in rows if row["event"] != Event.PLANNED]


def test_a_message_told_first_as_a_copy_has_its_payload_and_a_second_copy_has_none(ledger, tmp_path):
    ledger.event(event("sent", 0, 2, payload="{}"))
    ledger.event(event("sent", 0, 3, payload="{}"))
    first, second = rows_of(ledger, tmp_path)
    assert (first["attempt"], first["payload"], second["attempt"], second["payload"]) == (2, b"{}", 3, None)
    assert first["planned_ns"] == T0_NS + 10_000_000


def test_what_was_dropped_after_it_left_is_no_drop(ledger, tmp_path):
    ledger.event(event("sent", 0, payload="{}"))
    assert ledger.on_their_way()
    ledger.event(event("dropped", 0, reason="outbox full"))
    ledger.event(event("dropped", 1, 0, reason="outbox full"))
    assert not ledger.on_their_way()
    assert [(row["event"], row["seq"]) for row in rows_of(ledger, tmp_path)] == [(1, 0), (3, 1)]


def test_messages_that_will_not_be_made_are_dropped_once(ledger, tmp_path):
    ledger.event(event("sent", 0, payload="{}"))
    ledger.drop_rest(1, "interrupted", T0_NS)
    ledger.drop_rest(0, "interrupted", T0_NS)
    assert [row["seq"] for row in rows_of(ledger, tmp_path) if row["event"] == Event.DROPPED] == [1, 2, 3, 4]


def test_after_a_reset_what_the_board_holds_no_more_was_acknowledged(ledger, tmp_path):
    for seq in (0, 1, 2):
        ledger.event(event("sent", seq, payload="{}"))
    ledger.event(event("acknowledged", 0))
    ledger.settle_before(2, T0_NS)
    assert ledger.acknowledged == {0, 1}
    assert [row["reason"] for row in rows_of(ledger, tmp_path) if row["event"] == Event.ACKNOWLEDGED] == [
        None,
        "told by its outbox after a reset",
    ]


def test_an_event_that_stands_in_the_ledger_is_not_taken_again(ledger, tmp_path):
    ledger.event(event("sent", 0, payload="{}"))
    ledger.event(event("acknowledged", 0))
    rows = rows_of(ledger, tmp_path)
    later = CableLedger(tmp_path, "buoy-128", PLAN, ClockTrack())
    later.take_up(rows, T0_NS)
    for body in (event("sent", 0, payload="{}"), event("acknowledged", 0), event("sent", 1, payload="{}")):
        later.event_once(body)
    assert [(row["event"], row["seq"]) for row in rows_of(later, tmp_path)] == [(1, 1)]


def test_events_that_make_no_sense_are_kept_as_such(ledger):
    for body in ({}, event("sent", 0), event("flown", 1), {**event("sent", 2, payload="{}"), "seq": "2"}):
        ledger.event(body)
    assert len(ledger.odd_events) == 4
    assert not ledger.sent


# Log


def test_a_log_has_whole_lines_with_the_time_and_control_bytes_visible(tmp_path):
    log = BoardLog(tmp_path / "logs" / "b.log")
    log.line(T0_NS + 7_000_000, b"\x1b[31mred\x00 \xff tab\there")
    log.note("port gone")
    log.close()
    log.note("after the end")
    first, second = (tmp_path / "logs" / "b.log").read_text().splitlines()
    assert first == "2026-09-21T14:13:20.007Z \\x1b[31mred\\x00 \\xff tab\there"
    assert re.fullmatch(r"\S+Z → port gone", second)


def test_a_board_that_says_qos_0_was_acknowledged_is_not_believed(tmp_path):
    ledger = CableLedger(tmp_path, "buoy-128", PLAN, ClockTrack(), qos=0)
    ledger.event({"what": "sent", "seq": 0, "attempt": 1, "time": 1, "payload": "{}"})
    assert not ledger.on_their_way()
    ledger.event({"what": "acknowledged", "seq": 0, "attempt": 1, "time": 2})
    ledger.settle_before(1, 3)
    assert ledger.acknowledged == set()


def test_a_board_on_a_cable_is_told_the_rule_of_basic_ingest():
    run = RunSettings("aws/0", "stamped", 1, 100.0, ingest_rule="buoy_ingest")
    settings = settings_for(spec(), run, Endpoint("h", 1), {})
    assert settings["ingest_rule"] == "buoy_ingest"
    assert not firmware_settings.problems({**firmware_settings.defaults(), **settings})
