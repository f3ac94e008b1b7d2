"""Atlas EZO circuits: both firmware flavours, and every failure signature of the protocol."""

from sensor_doubles import Board
from support import approx, raises

from sensors import flags
from sensors.ezo_line import ANSWER, CODE, JUNK, READING, classify, parse_number
from sensors.power import Rail
from sensors.settings import SettingsError

PH_UART, EC_UART = 1, 2
OK = (300, "*OK")


def new_ph(**changes):
    """A pH circuit of new firmware, calibrated at three points."""
    script = {
        "C,0": [OK],
        "i": [(300, "?I,pH,2.10"), (310, "*OK")],
        "Status": [(300, "?Status,P,5.038"), (310, "*OK")],
        "Slope,?": [(300, "?Slope,99.7,100.3,-0.89"), (310, "*OK")],
        "Cal,?": [(300, "?Cal,3"), (310, "*OK")],
        "RT,10.0": [(900, "7.812"), (910, "*OK")],
        "RT,25.0": [(900, "7.812"), (910, "*OK")],
    }
    script.update(changes)
    return script


def old_ph(**changes):
    """A pH circuit of old firmware: no RT, other spelling, two slope fields."""
    script = new_ph()
    script.update(
        {
            "i": [(300, "?I,pH,1.0")],
            "Slope,?": [(300, "?SLOPE,99.7,100.3")],
            "Cal,?": [(300, "?CAL,2")],
            "RT,10.0": [(300, "*ER")],
            "RT,25.0": [(300, "*ER")],
            "T,10.0": [OK],
            "T,25.0": [OK],
            "R": [(900, "7.812"), (905, "*OK")],
        }
    )
    script.update(changes)
    return script


def new_ec(**changes):
    """An EC circuit of new firmware, fresh from the factory but for its calibration."""
    script = {
        "C,0": [OK],
        "i": [(300, "?I,EC,2.10"), (310, "*OK")],
        "Status": [(300, "?Status,P,5.038"), (310, "*OK")],
        "K,?": [[(300, "?K,1.00"), (310, "*OK")], [(300, "?K,0.10"), (310, "*OK")]],
        "K,0.1": [OK],
        "O,?": [(300, "?O,EC"), (310, "*OK")],
        "Cal,?": [(300, "?Cal,2"), (310, "*OK")],
        "RT,10.0": [(600, "120.4"), (610, "*OK")],
        "RT,25.0": [(600, "120.4"), (610, "*OK")],
    }
    script.update(changes)
    return script


def old_ec(**changes):
    """An EC circuit of old firmware: four fields, a quirk in the answer to O, no RT."""
    script = new_ec()
    script.update(
        {
            "i": [(300, "?I,EC,1.6")],
            "K,?": [(300, "?K,0.10")],
            "O,?": [(300, "?,O,EC,TDS,S,SG")],
            "O,TDS,0": [OK],
            "O,S,0": [OK],
            "O,SG,0": [OK],
            "Cal,?": [(300, "?CAL,1")],
            "RT,10.0": [(300, "*ER")],
            "T,10.0": [OK],
            "R": [(600, "120.4")],
        }
    )
    script.update(changes)
    return script


def read(key, script, temperature_c=10.0, board=None, **settings):
    board = board or Board()
    board.scripts[PH_UART if key == "ph" else EC_UART] = script
    sensor = board.driver(key, **settings)
    board.read(sensor, temperature_c)
    return sensor


# Lines


def test_lines_are_told_by_class():
    for line, kind, text in (
        (b"*OK", CODE, "*OK"),
        (b"*er", CODE, "*ER"),
        (b"?Cal,3", ANSWER, "cal,3"),
        (b"?CAL,3", ANSWER, "cal,3"),
        (b"?,O,EC", ANSWER, "o,ec"),
        (b"7.031", READING, "7.031"),
        (b"-1.600", READING, "-1.600"),
        (b"1413,763,0.71,1.000", READING, "1413,763,0.71,1.000"),
        (b"7.0.1", JUNK, "7.0.1"),
        (b"7,", JUNK, "7,"),
        (b"nan", JUNK, "nan"),
        (b"1e5", JUNK, "1e5"),
        (b"\xf8\x00\x80", JUNK, ""),
        (b"", JUNK, ""),
        (b"0" * 49, JUNK, ""),
    ):
        assert classify(line) == (kind, text), line


def test_numbers_are_plain_decimals():
    assert parse_number("0.00") == 0.0
    assert parse_number("-1.5") == -1.5
    assert parse_number("50000") == 50000
    for text in ("", "-", ".", ".5", "1.2.3", "--1", "1e3", "0x1", " 1", "+1"):
        assert parse_number(text) is None, text


# A working circuit


def test_ph_of_new_firmware_is_read_with_its_temperature_in_one_command():
    board = Board()
    sensor = read("ph", new_ph(), board=board)
    assert sensor.value == approx(7.812)
    assert sensor.flags == flags.OK
    assert sensor.circuit == ("ph", "2.10")
    assert sensor.calibrated == 3
    assert sensor.slope == (99.7, 100.3, -0.89)
    assert sensor.vcc_v == approx(5.038)
    assert board.uarts[PH_UART].commands[:2] == ["", "C,0"]
    assert board.uarts[PH_UART].commands[-1] == "RT,10.0"


def test_ph_of_old_firmware_is_read_with_t_and_r():
    board = Board()
    sensor = read("ph", old_ph(), board=board)
    assert sensor.value == approx(7.812)
    assert sensor.flags == flags.OK
    assert sensor.calibrated == 2
    assert sensor.slope == (99.7, 100.3, None)
    assert board.uarts[PH_UART].commands[-3:] == ["RT,10.0", "T,10.0", "R"]


def test_a_circuit_that_is_ready_takes_no_longer_than_its_reading():
    for key, script, reading_ms in (("ph", new_ph(), 900), ("ec", new_ec(), 600)):
        board = Board()
        sensor = read(key, script, board=board)
        assert board.read(sensor, 10.0) <= reading_ms + 60


def test_old_firmware_hears_the_temperature_only_when_it_changes():
    board = Board()
    sensor = read("ph", old_ph(), board=board)
    board.read(sensor, 10.02)
    assert board.uarts[PH_UART].commands[-1] == "R"
    assert board.uarts[PH_UART].commands[-2] == "R"


def test_ec_gets_its_cell_constant_and_gives_conductivity_alone():
    board = Board()
    sensor = read("ec", old_ec(), board=board)
    assert sensor.value == approx(120.4)
    assert sensor.flags == flags.OK
    commands = board.uarts[EC_UART].commands
    for command in ("O,TDS,0", "O,S,0", "O,SG,0"):
        assert command in commands
    assert "O,EC,1" not in commands
    assert "K,0.1" not in commands


def test_ec_takes_the_first_of_four_fields_where_they_cannot_be_switched_off():
    script = old_ec(R=[(600, "1413,763,0.71,1.000")])
    script["O,?"] = [(300, "*ER")]
    sensor = read("ec", script)
    assert sensor.value == approx(1413)


def test_ec_unit_is_a_setting():
    sensor = read("ec", new_ec(), unit="mS/cm")
    assert sensor.value == approx(0.1204)
    assert sensor.unit == "mS/cm"
    assert sensor.raw == approx(120.4)
    assert read("ec", new_ec()).unit == "µS/cm"
    with raises(SettingsError, "mS/cm"):
        read("ec", new_ec(), unit="S/m")


def test_without_temperature_25_degrees_are_sent_and_uncomp_is_set():
    board = Board()
    sensor = read("ec", new_ec(), None, board)
    assert sensor.flags == flags.UNCOMP
    assert sensor.value == approx(120.4)
    assert board.uarts[EC_UART].commands[-1] == "RT,25.0"


def test_ok_may_be_switched_off():
    script = {}
    for command, answers in new_ph().items():
        script[command] = [answer for answer in answers if answer[1] != "*OK"]
    board = Board()
    sensor = read("ph", script, board=board)
    assert sensor.value == approx(7.812)
    # No wait for what does not come: what an order needs, and a little.
    script["RT,12.0"] = [(300, "*ER")]
    script["R"] = [(900, "7.900")]
    assert board.read(sensor, 12.0) <= 900 + 450 + 900 + 60
    assert sensor.value == approx(7.9)


def test_no_calibration_in_the_circuit_is_uncal():
    script = new_ph()
    script["Cal,?"] = [(300, "?Cal,0")]
    sensor = read("ph", script)
    assert sensor.flags == flags.UNCAL
    assert sensor.value is not None


def test_a_circuit_without_the_slope_command_is_read():
    script = new_ph()
    script["Slope,?"] = [(300, "*ER")]
    sensor = read("ph", script)
    assert sensor.slope is None
    assert sensor.value == approx(7.812)
    assert sensor.flags == flags.OK


def test_a_worn_slope_is_uncal():
    for answer in ("?Slope,85.0,99.0,0.5", "?Slope,99.0,112.0,0.5", "?Slope,99.0,99.0,-42.0"):
        script = new_ph()
        script["Slope,?"] = [(300, answer)]
        sensor = read("ph", script)
        assert sensor.flags == flags.UNCAL, answer
        assert "slope" in sensor.note


# Failure signatures of the protocol


def test_a_silent_circuit_is_missing():
    for key in ("ph", "ec"):
        board = Board()
        sensor = read(key, {}, board=board)
        assert sensor.flags == flags.MISSING
        assert sensor.value is None
        assert board.clock.now_ms < 5000


def test_a_circuit_that_comes_back_is_set_up_and_read():
    board = Board()
    sensor = read("ph", {}, board=board)
    board.scripts[PH_UART].update(new_ph())
    board.read(sensor, 10.0)
    assert sensor.value == approx(7.812)


def test_the_first_command_after_power_up_may_be_refused():
    script = new_ph()
    script["C,0"] = [[(300, "*ER")], [OK]]
    board = Board()
    sensor = read("ph", script, board=board)
    assert sensor.value == approx(7.812)
    assert board.uarts[PH_UART].commands[:3] == ["", "C,0", "C,0"]


def test_junk_in_the_input_buffer_is_taken_by_a_bare_cr():
    script = new_ph()
    script[""] = [(100, "*ER")]
    sensor = read("ph", script)
    assert sensor.value == approx(7.812)
    assert sensor.flags == flags.OK


def continuous(board, uart_number, text, since_ms, until_ms):
    """Readings unasked, one per second."""
    for at_ms in range(since_ms, until_ms, 1000):
        board.uarts[uart_number].arrive(at_ms, text)


def test_continuous_mode_is_ended_and_its_readings_are_not_taken():
    board = Board()
    board.scripts[PH_UART] = new_ph()
    sensor = board.driver("ph")
    continuous(board, PH_UART, "3.333", 50, 1700)
    board.read(sensor, 10.0)
    assert sensor.value == approx(7.812)
    assert sensor.flags == flags.OK


def test_continuous_mode_switched_on_between_readings_is_ended_again():
    board = Board()
    sensor = read("ph", new_ph(), board=board)
    uart = board.uarts[PH_UART]
    before = len(uart.commands)
    continuous(board, PH_UART, "3.333", board.clock.now_ms + 100, board.clock.now_ms + 5200)
    uart.arrive(board.clock.now_ms + 6200, "3.333")  # was under way when the mode ended
    board.clock.now_ms += 5000
    board.read(sensor, 10.0)
    assert uart.commands[before] == "C,0"
    assert sensor.value == approx(7.812)


def test_undervoltage_during_a_reading_rejects_it_and_sets_up_anew():
    board = Board()
    script = new_ph()
    script["RT,10.0"] = [[(400, "*UV"), (900, "7.777"), (910, "*OK")], [(900, "7.812"), (910, "*OK")]]
    sensor = read("ph", script, board=board, settle_ms=0)
    assert sensor.value is None
    assert sensor.flags == flags.WARMING
    assert "*UV" in sensor.note
    before = len(board.uarts[PH_UART].commands)
    board.clock.now_ms += 1000
    board.read(sensor, 10.0)
    assert board.uarts[PH_UART].commands[before : before + 2] == ["", "C,0"]
    assert sensor.value == approx(7.812)


def test_ph_settles_for_a_minute_after_an_undervoltage():
    board = Board()
    script = new_ph()
    script["RT,10.0"] = [[(400, "*UV")], [(900, "7.812"), (910, "*OK")]]
    sensor = read("ph", script, board=board)
    failed_ms = board.clock.now_ms
    board.read(sensor, 10.0)
    assert sensor.flags == flags.WARMING
    assert sensor.measured == approx(7.812)
    board.clock.now_ms = failed_ms + 60000
    board.read(sensor, 10.0)
    assert sensor.flags == flags.OK


def test_overvoltage_is_told():
    script = new_ph()
    script["RT,10.0"] = [(400, "*OV"), (900, "7.777")]
    sensor = read("ph", script)
    assert sensor.value is None
    assert "*OV" in sensor.note


def test_a_restart_between_readings_rejects_the_next_and_resends_every_setting():
    board = Board()
    sensor = read("ec", old_ec(), board=board)
    uart = board.uarts[EC_UART]
    before = len(uart.commands)
    uart.arrive(board.clock.now_ms + 100, "*RS")
    uart.arrive(board.clock.now_ms + 900, "*RE")
    board.clock.now_ms += 10000
    board.read(sensor, 10.0)
    assert sensor.value is None
    assert sensor.flags & flags.WARMING
    for command in ("C,0", "K,?", "O,TDS,0", "T,10.0"):
        assert command in uart.commands[before:], command
    board.clock.now_ms += 10000
    board.read(sensor, 10.0)
    assert sensor.value == approx(120.4)
    assert sensor.flags == flags.OK


def test_ph_settles_for_a_minute_after_a_restart():
    board = Board()
    sensor = read("ph", new_ph(), board=board)
    board.uarts[PH_UART].arrive(board.clock.now_ms + 100, "*RS")
    board.clock.now_ms += 1000
    board.read(sensor, 10.0)
    board.clock.now_ms += 30000
    board.read(sensor, 10.0)
    assert sensor.flags == flags.WARMING
    assert sensor.measured == approx(7.812)
    assert sensor.value is None
    board.clock.now_ms += 30000
    board.read(sensor, 10.0)
    assert sensor.value == approx(7.812)


def test_a_brown_out_in_the_status_rejects_the_first_reading():
    script = new_ph()
    script["Status"] = [(300, "?Status,B,3.102")]
    board = Board()
    sensor = read("ph", script, board=board)
    assert sensor.value is None
    assert "brown-out" in sensor.note
    board.read(sensor, 10.0)
    assert sensor.value == approx(7.812)


def test_after_deep_sleep_an_old_brown_out_is_not_told_again():
    script = new_ph()
    script["Status"] = [(300, "?Status,B,3.302")]
    sensor = read("ph", script, board=Board(reset_cause=4))
    assert sensor.value == approx(7.812)


def test_after_power_on_the_ph_probe_warms_up():
    sensor = read("ph", new_ph(), board=Board(reset_cause=1))
    assert sensor.flags == flags.WARMING
    assert sensor.value is None


def test_four_readings_after_waking_are_discarded():
    board = Board()
    sensor = read("ph", new_ph(), board=board)
    board.uarts[PH_UART].arrive(board.clock.now_ms, "*WA")
    for _ in range(4):
        board.read(sensor, 10.0)
        assert sensor.flags == flags.WARMING
        assert sensor.value is None
    board.read(sensor, 10.0)
    assert sensor.value == approx(7.812)


def test_codes_between_a_command_and_its_answer_change_nothing():
    script = new_ph()
    script["RT,10.0"] = [(100, "*OK"), (200, "*DONE"), (500, "?Name,buoy"), (900, "7.812")]
    assert read("ph", script).value == approx(7.812)


def test_a_late_line_is_waited_for_until_one_and_a_half_seconds():
    script = new_ph()
    script["RT,10.0"] = [(1450, "7.812")]
    board = Board()
    assert read("ph", script, board=board).value == approx(7.812)
    assert board.uarts[PH_UART].commands.count("RT,10.0") == 1


def test_a_reading_that_does_not_come_is_asked_for_twice():
    script = new_ph()
    script["RT,10.0"] = [[], [(900, "7.812"), (910, "*OK")]]
    board = Board()
    sensor = read("ph", script, board=board)
    assert sensor.value == approx(7.812)
    script["RT,10.0"] = []
    assert 3000 <= board.read(sensor, 10.0) <= 3100
    assert sensor.flags == flags.MISSING


def test_garbage_of_a_wrong_baud_rate_is_parse():
    script = {}
    for command in ("", "C,0", "i"):
        script[command] = [(300, b"\x80\xf8\x00\x1c\r\xe6\r")]
    sensor = read("ph", script)
    assert sensor.flags == flags.PARSE
    assert "baud" in sensor.note
    assert sensor.value is None


def test_garbage_that_never_ends_a_line_is_parse_as_well():
    script = {}
    for command in ("", "C,0", "i"):
        script[command] = [(300, b"\x80\xf8\x00")]
    sensor = read("ph", script)
    assert sensor.flags == flags.PARSE
    assert "baud" in sensor.note


def test_a_line_without_end_is_not_kept():
    script = new_ph()
    script["RT,10.0"] = [(100, b"9" * 500 + b"\r"), (900, "7.812")]
    assert read("ph", script).value == approx(7.812)


def test_the_other_circuit_on_these_pins_is_not_read_as_this_one():
    sensor = read("ph", new_ec())
    assert sensor.flags & flags.PARSE
    assert sensor.value is None
    assert "EZO-EC" in sensor.note


# What readings mean


def test_ph_of_exactly_0_or_14_is_an_unplugged_probe():
    for text in ("0.000", "14.000"):
        script = new_ph()
        script["RT,10.0"] = [(900, text), (910, "*OK")]
        sensor = read("ph", script, limits=(0.0, 14.0))
        assert sensor.flags == flags.RANGE
        assert sensor.value is None
        assert "unplugged" in sensor.note


def test_ph_outside_5_to_10_is_not_this_river():
    for text, published in (("4.90", False), ("5.10", True), ("9.90", True), ("10.10", False)):
        script = new_ph()
        script["RT,10.0"] = [(900, text), (910, "*OK")]
        sensor = read("ph", script)
        assert (sensor.value is not None) == published, text
    script["RT,10.0"] = [(900, "4.001"), (910, "*OK")]
    assert read("ph", script, limits=(0.0, 14.0)).value == approx(4.001)


def test_ph_that_wanders_within_ten_seconds_is_an_unplugged_probe():
    script = new_ph()
    script["RT,10.0"] = [[(900, "%.3f" % value), (910, "*OK")] for value in (7.0, 7.3, 6.8, 7.2, 6.9, 7.3)]
    board = Board()
    sensor = read("ph", script, board=board)
    for _ in range(5):
        board.read(sensor, 10.0)
    assert sensor.flags == flags.RANGE
    assert "wanders" in sensor.note


def test_the_limit_of_wandering_is_a_standard_deviation_of_a_tenth():
    # Alternating by ±d about the mean, the deviation of n samples is d · sqrt(n / (n - 1)).
    for half, wanders in ((0.08, False), (0.12, True)):
        script = new_ph()
        script["RT,10.0"] = [
            [(900, "%.3f" % (7 + half * sign)), (910, "*OK")] for sign in (1, -1, 1, -1, 1, -1, 1, -1)
        ]
        board = Board()
        sensor = read("ph", script, board=board)
        for _ in range(7):
            board.read(sensor, 10.0)
        assert (sensor.flags == flags.RANGE) == wanders, half


def test_ph_that_moves_over_hours_does_not_wander():
    script = new_ph()
    script["RT,10.0"] = [[(900, "%.3f" % value), (910, "*OK")] for value in (7.0, 7.3, 6.8, 7.2, 6.9, 7.3)]
    board = Board()
    sensor = read("ph", script, board=board)
    for _ in range(5):
        board.clock.now_ms += 900000
        board.read(sensor, 10.0)
        assert sensor.flags == flags.OK


def test_ph_that_stands_still_for_a_day_is_stale_but_published():
    board = Board()
    sensor = read("ph", new_ph(), board=board)
    board.scripts[PH_UART]["RT,10.0"] = [(900, "7.900"), (910, "*OK")]
    board.clock.now_ms += 20 * 3600 * 1000
    board.read(sensor, 10.0)
    for _ in range(24):
        board.clock.now_ms += 3600 * 1000 - 2000
        board.read(sensor, 10.0)
    assert sensor.flags == flags.OK
    board.clock.now_ms += 3600 * 1000
    board.read(sensor, 10.0)
    assert sensor.flags == flags.STALE
    assert sensor.value == approx(7.9)
    board.scripts[PH_UART]["RT,10.0"] = [(900, "7.930"), (910, "*OK")]
    board.read(sensor, 10.0)
    assert sensor.flags == flags.OK


def test_ph_read_once_a_day_is_not_stale():
    board = Board()
    sensor = read("ph", new_ph(), board=board)
    board.scripts[PH_UART]["RT,10.0"] = [(900, "7.900"), (910, "*OK")]
    for _ in range(5):
        board.clock.now_ms += 24 * 3600 * 1000
        board.read(sensor, 10.0)
        assert sensor.flags == flags.OK


def test_ec_of_zero_is_a_probe_in_air_and_not_published():
    script = new_ec()
    script["RT,10.0"] = [(600, "0.00"), (610, "*OK")]
    sensor = read("ec", script)
    assert sensor.flags == flags.SATURATED_LOW
    assert sensor.value is None
    assert sensor.raw == 0.0


def test_ec_over_50000_is_a_short():
    script = new_ec()
    script["RT,10.0"] = [(600, "50100"), (610, "*OK")]
    sensor = read("ec", script)
    assert sensor.flags == flags.RANGE
    assert "short" in sensor.note
    assert sensor.value is None


def test_a_wrong_cell_constant_is_set_right():
    board = Board()
    sensor = read("ec", new_ec(), board=board)
    assert sensor.value == approx(120.4)
    commands = board.uarts[EC_UART].commands
    assert commands.index("K,?") < commands.index("K,0.1")
    assert commands.count("K,?") == 2


def test_a_cell_constant_that_cannot_be_set_withholds_the_value():
    script = new_ec()
    script["K,?"] = [(300, "?K,1.00"), (310, "*OK")]
    sensor = read("ec", script)
    assert sensor.flags == flags.RANGE
    assert sensor.value is None
    assert "decade" in sensor.note


# Power and the bench


def test_a_switched_circuit_boots_settles_and_is_parked():
    board = Board()
    rail = Rail(board.modules("machine").Pin(18, 1), switched=True)
    board.scripts[PH_UART] = new_ph()
    sensor = board.driver("ph", rail)
    assert board.read(sensor, 10.0) >= 60000
    assert sensor.value == approx(7.812)
    assert sensor.flags == flags.OK
    assert rail.on_ms is None
    # TX driven high would keep the circuit half alive.
    assert board.uarts[PH_UART].closed
    assert board.pins[25].mode == board.pins[25].IN
    assert board.pins[26].mode == board.pins[26].IN
    board.read(sensor, 10.0)
    assert sensor.value == approx(7.812)
    assert board.uarts[PH_UART].commands[:2] == ["", "C,0"]


def command(board, sensor, text, process_ms=300):
    sensor.begin_command(text, board.clock.now_ms, process_ms)
    while not sensor.poll(board.clock.now_ms):
        board.clock.now_ms = max(sensor.due_ms, board.clock.now_ms)
    return sensor.reply


def test_the_bench_sends_any_command_and_gets_the_reply():
    board = Board()
    script = new_ph()
    script["Cal,mid,7.02"] = [(900, "*OK")]
    script["Cal,bad"] = [(300, "*ER")]
    sensor = read("ph", script, board=board)
    before = sensor.value
    assert command(board, sensor, "Cal,mid,7.02", 900) == "*OK"
    assert command(board, sensor, "Cal,bad") == "*ER"
    assert command(board, sensor, "Slope,?") == "slope,99.7,100.3,-0.89"
    assert command(board, sensor, "RT,25.0", 900) == "7.812"
    assert command(board, sensor, "Find") == ""
    assert sensor.value == before


def test_after_a_command_that_changes_the_circuit_is_asked_anew_after_a_query_it_is_not():
    board = Board()
    script = new_ph()
    script["Cal,clear"] = [OK]
    sensor = read("ph", script, board=board)
    uart = board.uarts[PH_UART]
    assert command(board, sensor, "Status") == "status,p,5.038"
    board.read(sensor, 10.0)
    assert uart.commands[-2:] == ["Status", "RT,10.0"]
    assert command(board, sensor, "Cal,clear") == "*OK"
    script["Cal,?"] = [(300, "?Cal,0"), (310, "*OK")]
    board.read(sensor, 10.0)
    assert sensor.flags == flags.UNCAL


def test_a_restart_under_a_command_is_its_reply_once():
    board = Board()
    script = new_ph()
    script["Cal,mid,7.00"] = [(200, "*RS"), (900, "*RE")]
    script["Cal,clear"] = [OK]
    sensor = read("ph", script, board=board)
    assert command(board, sensor, "Cal,mid,7.00", 900) in ("*RS", "*RE")
    assert command(board, sensor, "Cal,clear") == "*OK"
