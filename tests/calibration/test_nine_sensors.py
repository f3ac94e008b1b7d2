"""Each calibration brings the reading of an uncalibrated probe within its part's accuracy; true
values are known.
"""

import pytest
from bench_world import ROOM_C, SimulatedBoard, Technician, calibrate, water

from buoyfleet.simulation.parts.solutions import vessel
from sensors import flags
from sensors.parts import part


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def reading(board, key, medium, settle_s=120):
    """What the buoy would publish in a medium, once settled; with its temperature."""
    board.bench.put(medium)
    board.run(settle_s)
    for _ in range(2):  # a temperature that has jumped is withheld once
        answer = board.request("sensors", 60.0, keys=[key, "temp"] if key != "temp" else [key])
    return answer[key]


# key → waters to read afterwards, with the true value in the published unit
WATERS = {
    "temp": [(water(temp_c=c), c) for c in (1.0, 12.0, 24.0)],
    "ph": [(water(temp_c=15.0, ph=ph), ph) for ph in (5.5, 6.5, 7.4, 8.6)],
    "ec": [(water(temp_c=12.0, ec25_us_cm=ec), ec) for ec in (84.0, 250.0, 1300.0)],
    "do": [(water(temp_c=15.0, do_pct=percent), percent) for percent in (50.0, 85.0, 110.0)],
    "tds": [(water(temp_c=18.0, ec25_us_cm=2 * ppm), ppm) for ppm in (80.0, 300.0, 650.0)],
    "tbd": [(water(ntu=ntu), ntu) for ntu in (20.0, 150.0, 600.0)],
    "wp": [(water(kpa=kpa), kpa) for kpa in (5.0, 20.0, 100.0)],
    "wf": [(water(flow_l_s=flow), flow) for flow in (0.05, 0.2, 0.4)],
    "liqlev": [(vessel("clear-water"), True), (vessel("air"), False)],
}
BOARDS = (1, 2, 3, 4)


@pytest.mark.parametrize("seed", BOARDS)
@pytest.mark.parametrize("key", list(WATERS))
def test_a_calibrated_probe_reads_within_its_parts_accuracy(key, seed):
    board = SimulatedBoard(seed=seed)
    if key in ("ec", "tds"):  # they are compensated with the board's own temperature
        calibrate(board, "temp")
    result, record = calibrate(board, key)
    assert result.outcome in ("passed", "warned"), result.reason
    assert not record.broken
    assert record.written
    for medium, true in WATERS[key]:
        found = reading(board, key, medium)
        assert not found["flags"] & flags.UNCAL
        if key == "liqlev":
            assert found["value"] is true
        else:
            assert found["measured"] == pytest.approx(true, abs=part(key).accuracy(true))


@pytest.mark.parametrize("key", ["ph", "ec"])
def test_circuits_with_old_firmware_are_calibrated_too(key):
    board = SimulatedBoard(flavour="old")
    result, record = calibrate(board, key)
    assert result.outcome == "passed", result.reason
    assert len(record.before["circuit"]["export"]) > 1
    for medium, true in WATERS[key]:
        assert reading(board, key, medium)["measured"] == pytest.approx(
            true, abs=2 * part(key).accuracy(true)
        )


OTHER_POINTS = [
    ("ph", ("7",)),
    ("ph", ("4", "7")),
    ("ph", ("7", "10")),
    ("ec", ("dry", "1413")),
    ("ec", ("84", "1413")),
    ("ec", ("dry", "1413", "12880")),
    ("do", ("air", "zero")),
    ("tbd", ("clear", "100", "400", "800")),
    ("wp", ("0", "1", "2")),
    ("wf", ("4", "12")),
    ("temp", ("ice",)),
    ("temp", ("reference",)),
]


@pytest.mark.parametrize(("key", "points"), OTHER_POINTS)
def test_other_points_of_the_same_procedure(key, points):
    board = SimulatedBoard()
    result, record = calibrate(board, key, points=points)
    assert result.outcome in ("passed", "warned"), result.reason
    assert [point.name for point in record.points if not point.verify]
    medium, true = WATERS[key][1]
    assert reading(board, key, medium)["measured"] == pytest.approx(true, abs=part(key).accuracy(true))


def test_a_fit_is_extrapolated_only_with_a_word(tmp_path):
    board = SimulatedBoard()
    one_point, _ = calibrate(board, "ph", points=("7",), folder=tmp_path)
    assert any("slope" in warning for warning in one_point.fitted.warnings)
    two, _ = calibrate(board, "ph", points=("4", "7"), folder=tmp_path)
    assert any("base side" in warning for warning in two.fitted.warnings)
    curve, _ = calibrate(board, "tbd", points=("clear", "100", "400", "800"), folder=tmp_path)
    assert any("extrapolated" in warning for warning in curve.fitted.warnings)


def test_buffers_have_the_value_of_their_own_temperature():
    cold = SimulatedBoard()

    class Cold(Technician):
        def place(self, name):
            self.board.bench.put(vessel(name, 10.0))

    result, record = calibrate(cold, "ph", Cold(cold))
    assert result.outcome == "passed", result.reason
    values = {point.name: point.reference.value for point in record.points}
    assert values["mid"] == pytest.approx(7.06, abs=0.01)
    assert values["high"] == pytest.approx(10.18, abs=0.02)
    assert "Cal,mid,7.06" in result.fitted.commands
    assert record.points[0].reference.thermometer == "the board's own probe (temp)"
    assert record.points[0].reference.temperature_c == pytest.approx(10.0, abs=0.5)


def test_a_typed_temperature_is_used_and_named():
    board = SimulatedBoard()
    board.bench.inject("temp", "open")
    result, record = calibrate(board, "ec", typed_c=ROOM_C)
    assert result.outcome == "passed", result.reason
    assert record.points[1].reference.thermometer == "test thermometer"
    assert record.points[1].reference.temperature_c == ROOM_C


def test_a_level_switch_wired_the_other_way_round_is_found_out():
    board = SimulatedBoard()
    board.bench.part("liqlev").inverted = True
    result, _ = calibrate(board, "liqlev")
    assert result.outcome == "passed"
    assert result.fitted.settings == {"inverted": True}
    assert board.request("get")["sensors"]["liqlev"]["inverted"] is True


def test_clear_water_may_shift_the_volts_instead_of_scaling_them():
    board = SimulatedBoard(sensors={"tbd": {"mode": "hardware", "clear_method": "offset"}})
    result, _ = calibrate(board, "tbd")
    assert result.fitted.settings["clear_method"] == "offset"
    assert "offsets the volts" in result.fitted.model
    board.bench.put(water(ntu=20.0))
    board.run(10.0)
    assert board.request("sensors", 60.0)["tbd"]["value"] == pytest.approx(20.0, abs=30.0)


def test_a_long_standpipe_scale_replaces_the_nominal_one_and_a_short_one_does_not():
    board = SimulatedBoard()
    board.bench.part("wp").kpa_per_v = 415.0
    deep, _ = calibrate(board, "wp", points=("0", "100"))
    assert deep.fitted.settings["kpa_per_v"] == pytest.approx(415.0, rel=0.01)
    board = SimulatedBoard()
    short, _ = calibrate(board, "wp", points=("0", "1"))
    assert "kpa_per_v" not in short.fitted.settings
    assert any("agrees with 400" in warning for warning in short.fitted.warnings)


@pytest.mark.soak
def test_a_board_keeps_two_calibrations_of_all_nine_sensors():
    """All settings of a board together have a largest size (docs/firmware.md, Memory)."""
    board = SimulatedBoard()
    for _ in range(2):
        for key in sorted(WATERS, key="temp".__ne__):
            result, record = calibrate(board, key)
            assert result.outcome == "passed", result.reason
            assert record.written
    kept = board.request("get", 60.0)["calibration"]
    assert all(note["was"]["record"] for note in kept.values())
    assert kept.keys() == WATERS.keys()
