"""The application: schedule, timestamps, configuration topics, error topic."""

import json

from buoy import config
from buoy.app import Topics
from buoy.schedule import Schedule, planned
from buoy_parts import Bench
from support import raises


def counter(n):
    return float(n)


def even(n):
    return n % 2 == 1


def test_with_the_name_of_a_rule_data_alone_go_to_it():
    topics = Topics("aws/0", 100, "buoy_ingest")
    assert topics.data == b"$aws/rules/buoy_ingest/aws/0/100/data/"
    assert (topics.error, topics.config_global) == (b"aws/0/100/error/", b"aws/0/100/config/global/")
    assert topics.console() == (b"aws/0/100/config/console/", b"aws/0/100/error/console/")
    assert Topics("aws/0", 100).data == b"aws/0/100/data/"


def test_messages_are_made_at_their_planned_times_whatever_the_link_does():
    bench = Bench()
    bench.app.schedule = Schedule(100, 50, 4)
    bench.link.connect(0)
    assert bench.app.step(0) == 100
    for now_ms in (100, 150, 200, 250):
        bench.app.step(now_ms)
    assert bench.outbox.count == 4
    assert bench.app.schedule.finished(250)
    bench.link.on_open(False)
    bench.app.step(300)
    assert [json.loads(text)["timestamp"] for text in bench.data()] == [
        bench.epoch_ms + 100,
        bench.epoch_ms + 150,
        bench.epoch_ms + 200,
        bench.epoch_ms + 250,
    ]


def test_slots_that_passed_are_made_up_for():
    bench = Bench()
    bench.up()
    bench.app.schedule = Schedule(0, 10, 100)
    bench.app.step(95)
    assert len(bench.data()) == 10


def test_an_unpaced_schedule_follows_the_window():
    bench = Bench(in_flight=4)
    bench.up()
    bench.app.schedule = Schedule(0, None, 10)
    bench.app.step(0)
    assert len(bench.data()) == 4
    bench.link.on_pubacks(bench.transport.ids())
    bench.app.step(1)
    assert len(bench.data()) == 8
    assert not bench.app.done(1)
    bench.link.on_pubacks(bench.transport.ids())
    bench.app.step(2)
    bench.link.on_pubacks(bench.transport.ids())
    assert bench.app.done(3)


def test_timestamps_grow_strictly_even_within_one_millisecond():
    bench = Bench(in_flight=100)
    bench.up()
    bench.app.schedule = Schedule(0, None, 20)
    bench.app.step(5)
    stamps = [json.loads(text)["timestamp"] for text in bench.data()]
    assert stamps == [bench.epoch_ms + 5 + number for number in range(20)]  # 32 bits hold no such range


def test_values_are_published_with_fixed_decimals_and_true_booleans():
    bench = Bench(sources=[("liqlev", even), ("ph", counter)])
    bench.up()
    bench.app.schedule = Schedule(0, 10, 2)
    bench.app.step(10)
    assert bench.data()[0] == b'{"liqlev":false,"ph":0.00,"timestamp":1700000000010}'
    assert bench.data()[1] == b'{"liqlev":true,"ph":1.00,"timestamp":1700000000011}'


def test_the_original_payload_has_the_nine_keys_alone():
    bench = Bench(sources=[("liqlev", even), ("do", counter)], mode="original")
    bench.up()
    bench.app.schedule = Schedule(0, 10, 1)
    bench.app.step(0)
    assert bench.data() == [b'{"do": 0.0, "liqlev": false}']


def send_global(bench, fields, now_ms=0):
    bench.link.on_message(b"aws/0/100/config/global/", json.dumps(fields).encode(), True)
    bench.app.step(now_ms)


def send_sensor(bench, fields, now_ms=0):
    bench.link.on_message(b"aws/0/100/config/sensor/", json.dumps(fields).encode(), True)
    bench.app.step(now_ms)


def test_a_new_interval_changes_a_running_buoy():
    bench = Bench()
    bench.up()
    bench.app.schedule = Schedule(0, 10000, None)
    bench.app.step(0)
    send_global(bench, {"publish-time-interval": 2}, 1000)
    for now_ms in range(1000, 7001, 500):
        bench.app.step(now_ms)
    stamps = [json.loads(text)["timestamp"] - bench.epoch_ms for text in bench.data()]
    assert stamps == [0, 3000, 5000, 7000]


def test_a_disabled_sensor_leaves_the_messages_and_comes_back():
    bench = Bench(sources=[("ph", counter), ("temp", counter)])
    bench.up()
    bench.app.schedule = Schedule(0, 10, None)
    bench.app.step(0)
    send_sensor(bench, {"ph": {"disable": True}})
    bench.app.step(10)
    send_sensor(bench, {"ph": {"disable": False}}, 11)
    bench.app.step(20)
    assert [sorted(json.loads(text)) for text in bench.data()] == [
        ["ph", "temp", "timestamp"],
        ["temp", "timestamp"],
        ["ph", "temp", "timestamp"],
    ]


def test_a_sensor_with_an_interval_of_its_own_appears_only_when_due():
    bench = Bench(sources=[("ph", counter), ("temp", counter)])
    bench.up()
    send_sensor(bench, {"ph": {"time-interval": 3}})
    bench.app.schedule = Schedule(0, 1000, 7)
    for now_ms in range(0, 7000, 1000):
        bench.app.step(now_ms)
    assert ["ph" in json.loads(text) for text in bench.data()] == [
        True,
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_an_averaged_sensor_publishes_the_mean_of_its_window():
    readings = []

    def rising(_n):
        readings.append(len(readings))
        return float(readings[-1])

    bench = Bench(sources=[("ph", rising)])
    bench.up()
    send_sensor(bench, {"ph": {"average-value": True, "average-time-interval": 4}})
    bench.app.schedule = Schedule(10000, 10000, 2)
    now_ms = 0
    while not bench.app.schedule.finished(now_ms):
        now_ms = max(now_ms + 1, min(bench.app.step(now_ms), now_ms + 500))
        assert now_ms < 30000
    values = [json.loads(text)["ph"] for text in bench.data()]
    # four readings, a second apart, in the four seconds before each message
    assert values == [1.5, 5.5]


def test_a_command_acts_once_per_distinct_message_over_any_number_of_reboots():
    for command in (config.RESET, config.SHUTDOWN):
        first = Bench()
        first.up()
        send_global(first, {command: True})
        assert first.commands == [command]
        for _ in range(10):
            rebooted = Bench(storage=first.storage)
            rebooted.up()
            send_global(rebooted, {command: True})
            assert rebooted.commands == []
        send_global(rebooted, {command: True, "use-low-power-mode": True})
        assert rebooted.commands == [command]


def test_a_command_is_remembered_before_it_acts():
    bench = Bench()
    remembered = []
    bench.app.on_command = lambda command: remembered.append(bench.storage.get(command))
    bench.up()
    send_global(bench, {"reset": True})
    assert remembered[0] is not None


def test_a_bad_configuration_changes_nothing_and_is_reported():
    bad = (
        b"\xff\xfe",
        b"{",
        b"[]",
        b'{"publish-time-interval": "soon"}',
        b'{"publish-time-interval": 0}',
        b'{"publish-time-interval": -5}',
        b'{"publish-time-interval": true}',
        b'{"reset": 1}',
        b'{"publish-time-intervall": 5}',
    )
    for text in bad:
        bench = Bench()
        bench.up()
        bench.app.schedule = Schedule(0, 1000, None)
        bench.link.on_message(b"aws/0/100/config/global/", text, True)
        bench.app.step(0)
        assert bench.app.schedule.interval_ms == 1000
        assert "fatal-error" in json.loads(bench.errors()[0])
        assert bench.commands == []
    for text in (b'{"ph": 1}', b'{"xy": {}}', b'{"ph": {"disable": "no"}}', b'{"ph": {"time-interval": -1}}'):
        bench = Bench()
        bench.up()
        bench.link.on_message(b"aws/0/100/config/sensor/", text, True)
        bench.app.step(0)
        assert "fatal-error" in json.loads(bench.errors()[0])


def test_a_lost_connection_is_reported_on_the_error_topic_once_it_is_back():
    bench = Bench()
    bench.up()
    bench.link.on_closed("connection reset")
    bench.app.step(1)
    bench.app.step(100000)
    bench.link.on_open(False)
    bench.app.step(100001)
    body = json.loads(bench.errors()[0])
    assert body["connectivity-error"]["message"] == "connection reset"
    assert isinstance(body["timestamp"], int)


def test_a_schedule_ends_at_its_count_or_its_time():
    counted = Schedule(0, 10, 2)
    counted.advance()
    assert not counted.finished(1000)
    counted.advance()
    assert counted.finished(0)
    timed = Schedule(0, 10, None, 25)
    for _ in range(3):
        assert not timed.finished(0)
        timed.advance()
    assert timed.finished(0)
    unpaced = Schedule(0, None, None, 25)
    assert not unpaced.finished(24)
    assert unpaced.finished(25)


def test_an_unknown_payload_mode_is_refused():
    from buoy.payload import Payload

    with raises(ValueError):
        Payload("fancy")


def test_a_plan_is_counted_in_whole_microseconds_and_goes_on_in_the_middle():
    whole = planned(1000, 333334, None, 11000)
    times = []
    while not whole.finished(0):
        times.append(whole.due_ms)
        whole.advance()
    assert len(times) == 30
    assert times[:4] == [1000, 1333, 1666, 2000]
    later = planned(1000, 333334, 30, None, 17)
    for number in range(17, 30):
        assert (later.seq, later.due_ms) == (number, times[number])
        later.advance()
    assert later.finished(0)
