"""All nine together: interleaved, temperature handed on, contradictions marked, errors told once."""

from sensor_doubles import Board
from support import approx
from test_sensor_ezo import EC_UART, PH_UART, new_ec, new_ph
from test_sensor_temp import ROM, pad

from sensors import flags
from sensors.build import make_sensors
from sensors.catalog import KEYS
from sensors.parts import PARTS
from sensors.reader import Reader

DO, TDS, TBD, WP, LEVEL = 36, 39, 34, 35, 13

CALIBRATED = {
    "do": {"air_mv": 440.0},
    "tds": {"k": 1.0},
    "tbd": {"clear_v": 4.2},
    "wp": {"zero_v": 0.5},
    "wf": {"pulses_per_l": 450.0},
    "ph": {"settle_ms": 0},
}


def river(temperature_c=10.0):
    """A board in river water of 120 µS/cm: every part calibrated and at work."""
    board = Board()
    board.clock.now_ms = 86400000  # the board has been up for a day
    board.pads = {ROM: [pad(int(temperature_c * 16))]}
    board.signals = {DO: 440, TDS: 182, TBD: 2050, WP: 262}
    board.levels[LEVEL] = 1
    board.pulses = lambda now_ms: int(now_ms * 0.075)
    text = "RT,%.1f" % temperature_c
    board.scripts[PH_UART] = new_ph()
    board.scripts[EC_UART] = new_ec()
    board.scripts[PH_UART][text] = [(900, "7.812"), (910, "*OK")]
    # ECraw of 0.182 V at 10 °C is 147.8 µS/cm: 105.5 ppm, so about 185 µS/cm at 25 °C
    board.scripts[EC_UART][text] = [(600, "185.0"), (610, "*OK")]
    return board


def reader_of(board, **changes):
    sensors = {}
    for key in KEYS:
        sensors[key] = dict(CALIBRATED.get(key, {}))
        sensors[key]["mode"] = "hardware"
    for key in changes:
        if changes[key] is None:
            del sensors[key]
        else:
            sensors[key].update(changes[key])
    return Reader(make_sensors({"sensors": sensors}, board.modules))


def read(board, reader, keys=None):
    begin_ms = board.clock.now_ms
    reader.start(begin_ms, keys)
    while not reader.poll(board.clock.now_ms):
        assert board.clock.now_ms - begin_ms < 120000, "the reading does not end"
        board.clock.now_ms = max(reader.due_ms, board.clock.now_ms)
    return board.clock.now_ms - begin_ms


def test_nine_sensors_are_read_in_the_order_of_publication():
    board = river()
    reader = reader_of(board)
    read(board, reader)
    values = reader.values()
    assert [key for key, _ in values] == list(KEYS)
    found = dict(values)
    assert found["do"] == approx(100)
    assert found["ec"] == approx(185)
    assert found["liqlev"] is True
    assert found["ph"] == approx(7.812)
    assert found["tds"] == approx(105.5, rel=0.01)
    assert found["tbd"] == approx(357, abs=1)
    assert found["wf"] == approx(1 / 6, rel=0.01)
    assert found["wp"] == approx(9.6, abs=0.1)
    assert found["temp"] == 10.0
    assert reader.take_errors() == []


def test_a_full_reading_takes_no_longer_than_the_slowest_sensor():
    board = river()
    reader = reader_of(board)
    read(board, reader)  # sets the circuits up
    alone = {}
    for key in KEYS:
        alone[key] = read(board, reader, (key,))
    together = read(board, reader)
    assert together <= max(alone.values()) + 20, (together, alone)
    assert sum(alone.values()) > 2 * together


def test_every_sensor_takes_the_time_its_part_is_listed_with():
    board = river()
    reader = reader_of(board)
    read(board, reader)
    for item in PARTS:
        took_ms = read(board, reader, (item.key,))
        assert item.reading_ms <= took_ms <= item.reading_ms + 110, (item.key, took_ms)


def test_without_flow_the_slowest_chain_is_temperature_tds_and_conductivity():
    board = river()
    reader = reader_of(board, wf=None)
    read(board, reader)
    assert read(board, reader) <= 1160 + 700


def test_the_temperature_of_the_same_reading_compensates_all_three():
    board = river(15.0)
    reader = reader_of(board)
    read(board, reader)
    for key in ("ph", "ec", "tds"):
        sensor = reader.sensors[key]
        assert sensor.temperature_c == 15.0
        assert not sensor.flags & flags.UNCOMP
    assert board.uarts[PH_UART].commands[-1] == "RT,15.0"
    assert board.uarts[EC_UART].commands[-1] == "RT,15.0"


def test_conductivity_is_not_excited_while_tds_is_sampled():
    board = river()
    reader = reader_of(board)
    read(board, reader)
    sampled = []
    signal = board.signals[TDS]
    board.signals[TDS] = lambda now_ms, _attenuation: sampled.append(now_ms) or signal
    uart = board.uarts[EC_UART]
    asked = []
    write = uart.write
    uart.write = lambda data: asked.append(board.clock.now_ms) or write(data)
    read(board, reader)
    assert asked[0] >= sampled[-1]


def test_a_failed_temperature_leaves_the_others_uncompensated_not_wrong():
    board = river()
    board.scripts[PH_UART]["RT,25.0"] = [(900, "7.8"), (910, "*OK")]
    board.absent = True
    reader = reader_of(board)
    read(board, reader)
    assert reader.value("temp") is None
    for key in ("ph", "ec", "tds"):
        assert reader.sensors[key].flags & flags.UNCOMP, key
        assert reader.value(key) is not None


def test_a_recent_temperature_serves_a_reading_without_one_an_old_does_not():
    board = river()
    reader = reader_of(board)
    read(board, reader)
    board.clock.now_ms += 590000
    read(board, reader, ("ec",))
    assert not reader.sensors["ec"].flags & flags.UNCOMP
    assert [key for key, _ in reader.values()] == ["ec"]
    board.clock.now_ms += 20000
    read(board, reader, ("ec",))
    assert reader.sensors["ec"].flags & flags.UNCOMP


def test_a_fake_temperature_compensates_nothing():
    board = river()
    sensors = {"temp": {"mode": "constant", "value": 10.0}, "tds": {"mode": "hardware", "k": 1.0}}
    reader = Reader(make_sensors({"sensors": sensors}, board.modules))
    read(board, reader)
    assert reader.value("temp") == 10.0
    assert reader.sensors["tds"].flags == flags.UNCOMP


def test_one_missing_part_does_not_hold_up_or_spoil_the_others():
    board = river()
    board.scripts[PH_UART].clear()
    board.signals[WP] = 100
    reader = reader_of(board)
    read(board, reader)
    keys = [key for key, _ in reader.values()]
    assert "ph" not in keys
    assert "wp" not in keys
    assert len(keys) == 7


def test_every_flag_is_told_once_and_again_after_it_was_gone():
    board = river()
    board.signals[WP] = 100
    reader = reader_of(board)
    read(board, reader)
    assert [(key, code) for key, code, _ in reader.take_errors()] == [("wp", 101)]
    read(board, reader)
    assert reader.take_errors() == []
    board.signals[WP] = 262
    read(board, reader)
    assert reader.take_errors() == []
    board.signals[WP] = 100
    read(board, reader)
    errors = reader.take_errors()
    assert len(errors) == 1
    assert errors[0][2].startswith("wp missing: ")
    assert "open or unpowered" in errors[0][2]


def test_what_was_told_is_told_again_on_request():
    board = river()
    board.signals[WP] = 100
    reader = reader_of(board)
    read(board, reader)
    told = reader.take_errors()
    reader.told.clear()
    read(board, reader)
    assert reader.take_errors() == told != []


def test_no_step_polls_a_sensor_before_it_is_due():
    board = river()
    reader = reader_of(board)
    read(board, reader)
    reader.start(board.clock.now_ms)
    conversions = board.conversions
    reader.poll(board.clock.now_ms)
    # First step of four analog parts: at most one burst each.
    assert board.conversions - conversions <= 20
    again = board.conversions
    assert reader.poll(board.clock.now_ms) is False
    assert board.conversions == again


def test_ph_is_warming_for_a_minute_after_its_rail_was_switched_on():
    board = river()
    reader = reader_of(board, ph={"settle_ms": 60000})
    read(board, reader)
    assert reader.value("ph") is None
    assert [(key, code) for key, code, _ in reader.take_errors()] == [("ph", 109)]
    board.clock.now_ms += 60000
    read(board, reader)
    assert reader.value("ph") == approx(7.812)


# Contradictions


def test_a_beached_buoy_is_consistent_and_its_turbidity_is_withheld():
    board = river()
    board.levels[LEVEL] = 0
    board.signals.update({TDS: 75, WP: 250})
    board.scripts[EC_UART]["RT,10.0"] = [(600, "0.00"), (610, "*OK")]
    reader = reader_of(board)
    read(board, reader)
    assert reader.value("liqlev") is False
    assert reader.sensors["liqlev"].flags == flags.OK
    assert reader.value("do") == approx(100)
    assert reader.value("ec") is None
    assert reader.value("tds") is None
    assert reader.value("wp") == approx(0, abs=0.01)
    assert reader.value("tbd") is None
    assert "air" in reader.sensors["tbd"].note


def test_a_dry_level_in_salty_water_is_contradictory_but_published():
    board = river()
    board.levels[LEVEL] = 0
    reader = reader_of(board)
    read(board, reader)
    assert reader.sensors["liqlev"].flags == flags.CONTRADICTORY
    assert reader.value("liqlev") is False


def test_a_wet_level_with_everything_else_in_air_is_contradictory():
    for signal in ({WP: 250, DO: 300}, {WP: 262, DO: 440}):
        board = river()
        board.signals.update({TDS: 75})
        board.signals.update(signal)
        board.scripts[EC_UART]["RT,10.0"] = [(600, "0.00"), (610, "*OK")]
        reader = reader_of(board)
        read(board, reader)
        assert reader.sensors["liqlev"].flags == flags.CONTRADICTORY
        assert reader.value("liqlev") is True


def test_a_wet_level_with_one_probe_in_air_is_believed():
    board = river()
    board.signals.update({DO: 300})
    board.scripts[EC_UART]["RT,10.0"] = [(600, "0.00"), (610, "*OK")]
    reader = reader_of(board)
    read(board, reader)
    assert reader.sensors["liqlev"].flags == flags.OK


def test_a_decade_between_tds_and_conductivity_names_the_cell_constant():
    for text, contradictory, k in (
        ("185.0", False, False),
        ("18.5", True, True),
        ("1850", True, True),
        ("400.0", True, False),
        ("250.0", False, False),
    ):
        board = river()
        board.scripts[EC_UART]["RT,10.0"] = [(600, text), (610, "*OK")]
        reader = reader_of(board)
        read(board, reader)
        for key in ("ec", "tds"):
            sensor = reader.sensors[key]
            assert (sensor.flags == flags.CONTRADICTORY) == contradictory, text
            assert ("K" in sensor.note) == k, sensor.note
            assert sensor.value is not None


def test_a_pressure_that_stays_at_zero_under_water_is_stale():
    board = river()
    board.signals[WP] = 250.2
    reader = reader_of(board)
    for expected in (flags.OK, flags.OK, flags.STALE):
        read(board, reader)
        assert reader.sensors["wp"].flags == expected
    board.signals[WP] = 262
    read(board, reader)
    assert reader.sensors["wp"].flags == flags.OK


def test_waves_about_the_zero_are_not_stale():
    board = river()
    reader = reader_of(board)
    for pin_mv in (250.0, 250.5, 249.6, 250.4, 249.8):
        board.signals[WP] = pin_mv
        read(board, reader)
        assert reader.sensors["wp"].flags == flags.OK


def test_what_the_others_tell_is_added_to_what_a_driver_knows():
    board = river()
    board.scripts[PH_UART]["Slope,?"] = [(300, "?Slope,85.0,99.0"), (310, "*OK")]
    reader = reader_of(board)
    read(board, reader)
    sensor = reader.sensors["ph"]
    before = sensor.note
    assert "slope" in before
    sensor.mark(flags.CONTRADICTORY, "so say the others")
    sensor.mark(flags.CONTRADICTORY, "told only once")
    assert sensor.note == before + "; so say the others"
    assert sensor.value is not None
    sensor.mark(flags.RANGE, "withheld now")
    assert sensor.value is None


def test_a_pressure_that_drifts_slowly_about_its_zero_is_not_stuck():
    board = river()
    reader = reader_of(board)
    # All near the zero, but the port is open.
    for kpa in (0.0, 0.3, 0.0, 0.3, 0.0, 0.15, 0.3, 0.15, 0.0):
        board.signals[WP] = (0.5 + kpa / 400) / 2 * 1000
        read(board, reader)
        assert reader.sensors["wp"].flags == flags.OK


def test_no_flow_in_a_known_current_is_stale_unless_the_buoy_is_dry():
    for wet, expect, stale in ((1, True, True), (1, False, False), (0, True, False)):
        board = river()
        board.pulses = 0
        board.levels[LEVEL] = wet
        reader = reader_of(board, wf={"expect_flow": expect})
        read(board, reader)
        assert (reader.sensors["wf"].flags == flags.STALE) == stale
        assert reader.value("wf") == 0.0
