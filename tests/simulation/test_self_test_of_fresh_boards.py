"""What the bench's self-test says of boards as they come: nothing calibrated, parts missing or shorted."""

import pytest
from rig import Rig

from buoyfleet.bench.self_test import prove
from buoyfleet.simulation.buoy import simulated_buoy
from sensors.catalog import KEYS
from sensors.reader import Reader

SEEDS = range(30)
# Key, fault: the part is missing, or its cable is.
MISSING = [
    ("do", "unplugged"), ("ec", "silent"), ("ec", "open"), ("liqlev", "unplugged"), ("ph", "silent"),
    ("ph", "unplugged"), ("tds", "unplugged"), ("tbd", "unplugged"), ("wf", "unplugged"), ("wp", "open"),
    ("temp", "open"),
]  # fmt: skip
BROKEN = [
    ("tds", "short"), ("tbd", "covered"), ("wp", "short"), ("temp", "short"), ("ec", "short"), ("ph", "rail"),
    ("wf", "noise"), ("wf", "stuck"), ("liqlev", "flicker"), ("do", "torn"),
    *((key, "floating") for key in ("do", "tds", "tbd", "wp")),
]  # fmt: skip


class Fresh(Rig):
    """A board in the river that nobody has calibrated, read as the console's `sensors` reads it."""

    def __init__(self, seed):
        super().__init__()
        self.buoy = simulated_buoy(100 + seed, seed, calibrated=False)
        self.bench = self.buoy.bench
        self.sensors = self.reader()

    def read(self, *keys):
        reader: Reader = self.sensors
        reader.start(self.now_ms, keys or None)
        while not reader.poll(self.now_ms):
            self.now_ms = max(self.now_ms + 1, int(reader.due_ms))
            self.buoy.advance_to_ms(self.now_ms)
        return {
            key: {name: getattr(reader.sensors[key], name) for name in ("raw", "flags", "measured", "note")}
            for key in keys or KEYS
        }

    def self_test(self):
        """Key → fault, as the bench finds it."""
        return prove(self.read, KEYS, KEYS)[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fresh_board_in_the_river_passes(seed):
    assert Fresh(seed).self_test() == {}


def test_the_note_of_a_part_that_is_not_calibrated_says_so():
    answer = Fresh(0).read()
    assert {key for key in KEYS if "uncal" in Rig.names(None, type("", (), answer[key]))} >= {
        "do", "ec", "ph", "tds", "tbd", "wf", "wp",
    }  # fmt: skip


@pytest.mark.parametrize(("key", "fault"), MISSING + BROKEN)
def test_a_missing_or_broken_part_of_a_fresh_board_fails_alone(key, fault):
    for seed in range(3):
        board = Fresh(seed)
        board.bench.inject(key, fault)
        found = board.self_test()
        # Without a temperature or beside a short the others may suffer; the part itself is named.
        assert key in found, seed


@pytest.mark.parametrize("zero_v", [0.41, 0.5, 0.59])
def test_any_normal_zero_of_a_pressure_sensor_passes_until_it_is_calibrated(zero_v):
    board = Fresh(0)
    board.bench.part("wp").zero_v = zero_v
    assert "wp" not in board.self_test()
    calibrated = Rig(4)
    calibrated.bench.part("wp").zero_v = 0.41
    sensor = calibrated.driver("wp", zero_v=0.5)
    calibrated.drive(sensor)
    assert calibrated.names(sensor) == {"range"}, "after calibration the limits are those of the settings"


@pytest.mark.parametrize("clear_v", [3.95, 4.2, 4.45])
def test_any_normal_turbidity_sensor_passes_until_it_is_calibrated(clear_v):
    board = Fresh(0)
    board.bench.part("tbd").scale = clear_v / 4.2
    assert "tbd" not in board.self_test()


@pytest.mark.parametrize("air_mv", [300.0, 440.0, 880.0])
def test_any_normal_oxygen_probe_passes_until_it_is_calibrated(air_mv):
    board = Fresh(0)
    board.bench.part("do").air_mv = air_mv
    assert "do" not in board.self_test()
