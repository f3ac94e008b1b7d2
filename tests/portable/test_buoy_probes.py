"""A buoy with probes: readings are begun ahead, shared where they must be, and their troubles are told."""

import json

from buoy.probes import ProbeSampler
from buoy.sampler import Sampler
from buoy.schedule import Schedule
from buoy_parts import Bench

from sensors.fakes import make_fake


class SlowReader:
    """A reader of one probe, `ph`, whose reading takes a second; every reading is one higher."""

    def __init__(self, takes_ms=1000):
        self.sensors = {"ph": None}
        self.takes_ms = takes_ms
        self.due_ms = 0
        self.started = []
        self.withheld = False
        self.errors = []
        self._value = 0.0
        self._end_ms = None

    def start(self, now_ms, keys=None):
        self.started.append((now_ms, keys))
        self._end_ms = now_ms + self.takes_ms
        self.due_ms = self._end_ms

    def poll(self, now_ms):
        if now_ms < self._end_ms:
            return False
        self._value += 1.0
        return True

    def value(self, _key):
        return None if self.withheld else self._value

    def take_errors(self):
        errors, self.errors = self.errors, []
        return errors


def probe_bench(reader, fakes=()):
    bench = Bench()
    bench.app.sampler = ProbeSampler(reader, fakes)
    bench.up()
    return bench


def drive(bench, until_ms, step_ms=50):
    """Step as asked for, at least every `step_ms`."""
    now_ms = 0
    while now_ms <= until_ms:
        wake_ms = bench.app.step(now_ms)
        now_ms = min(now_ms + step_ms, wake_ms) if wake_ms > now_ms else now_ms + 1
        bench.link.on_pubacks(bench.transport.ids()[-20:])


def test_a_reading_is_begun_so_that_it_is_done_when_its_message_is_due():
    reader = SlowReader()
    bench = probe_bench(reader)
    bench.app.schedule = Schedule(5000, 10000, 3)
    drive(bench, 26000)
    stamps = [json.loads(text)["timestamp"] - bench.epoch_ms for text in bench.data()]
    assert all(due <= stamp <= due + 60 for due, stamp in zip((5000, 15000, 25000), stamps))
    assert [json.loads(text)["ph"] for text in bench.data()] == [1.0, 2.0, 3.0]
    assert len(reader.started) == 3
    for started, due in zip(reader.started[1:], (15000, 25000)):
        assert due - 1200 <= started[0] <= due - 1000


def test_probes_are_read_once_before_there_is_anything_to_send():
    reader = SlowReader()
    bench = probe_bench(reader)
    assert not bench.app.ready(0)
    drive(bench, 1100)
    assert bench.app.ready(1100)
    bench.app.schedule = Schedule(1200, 100, 1)
    bench.app.step(1200)
    assert len(bench.data()) == 1


def test_messages_faster_than_the_probes_take_the_last_complete_reading():
    reader = SlowReader()
    bench = probe_bench(reader)
    drive(bench, 1100)
    bench.app.schedule = Schedule(1200, 100, 50)
    now_ms = 1200
    while not bench.app.schedule.finished(now_ms):
        bench.app.step(now_ms)
        bench.link.on_pubacks(bench.transport.ids()[-20:])
        now_ms += 20
        assert now_ms < 7000
    values = [json.loads(text)["ph"] for text in bench.data()]
    assert len(values) == 50
    assert values == sorted(values)
    # never older than two and a half readings, and the probes are read all the time
    assert 3 <= len(set(values)) <= 6


def test_a_withheld_value_is_left_out_and_told_on_the_error_topic():
    reader = SlowReader()
    reader.withheld = True
    reader.errors = [("ph", 101, "ph missing: no answer")]
    bench = probe_bench(reader, [("temp", make_fake("temp", "constant", value=12.5).sample)])
    bench.app.schedule = Schedule(2000, 1000, 1)
    drive(bench, 3000)
    assert bench.data() == [b'{"temp":12.50,"timestamp":%d}' % json.loads(bench.data()[0])["timestamp"]]
    body = json.loads(bench.errors()[0])
    assert body["sensor-error"] == {"code": 101, "message": "ph missing: no answer", "sensor": "ph"}


def test_a_disabled_probe_is_neither_read_nor_published():
    reader = SlowReader()
    bench = probe_bench(reader, [("temp", make_fake("temp", "constant", value=1.0).sample)])
    bench.link.on_message(b"aws/0/100/config/sensor/", b'{"ph": {"disable": true}}', True)
    bench.app.schedule = Schedule(2000, 1000, 2)
    drive(bench, 4000)
    assert [sorted(json.loads(text)) for text in bench.data()] == [["temp", "timestamp"]] * 2
    assert all(keys == () for _, keys in reader.started[1:])


def test_an_averaged_probe_publishes_the_mean_of_the_readings_in_its_window():
    reader = SlowReader(500)
    bench = probe_bench(reader)
    bench.link.on_message(
        b"aws/0/100/config/sensor/", b'{"ph": {"average-value": true, "average-time-interval": 4}}', True
    )
    bench.app.schedule = Schedule(10000, 10000, 1)
    drive(bench, 10600, 10)
    value = json.loads(bench.data()[0])["ph"]
    # readings of half a second each in the four seconds before the message: seven or eight of them
    taken = len([1 for started, _ in reader.started if started >= 6000 and started <= 9600])
    assert taken >= 7
    assert 3.5 < value < 8.0


def test_fakes_and_probes_offer_the_application_the_same():
    names = ("every_key", "configure", "needs_steps", "step", "ready", "take", "take_errors", "tell_again")
    for name in names:
        assert hasattr(Sampler([]), name)
        assert hasattr(ProbeSampler(SlowReader(), []), name)
