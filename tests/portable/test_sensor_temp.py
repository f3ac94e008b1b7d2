"""DS18B20: every failure signature of its data sheet and of the MicroPython library."""

from sensor_doubles import ABSENT, Board

from sensors import flags
from sensors.transfer import temperature_c

ROM = b"\x28\x01\x02\x03\x04\x05\x06\x9e"
OTHER = b"\x28\xff\x02\x03\x04\x05\x06\xff"
POWER_ON = b"\x50\x05\x4b\x46\x7f\xff\x0c\x10\x1c"


def pad(raw):
    """A scratchpad with this raw value (its CRC is the library's matter)."""
    raw &= 0xFFFF
    return bytes([raw & 0xFF, raw >> 8, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10, 0])


def read(board, pads, **settings):
    board.pads = {ROM: list(pads)}
    sensor = board.driver("temp", **settings)
    board.read(sensor)
    return sensor


def test_data_sheet_vectors_decode():
    vectors = (
        (0x07D0, 125.0),
        (0x0550, 85.0),
        (0x0191, 25.0625),
        (0x00A2, 10.125),
        (0x0008, 0.5),
        (0x0000, 0.0),
        (0xFFF8, -0.5),
        (0xFF5E, -10.125),
        (0xFE6F, -25.0625),
        (0xFC90, -55.0),
    )
    for raw, celsius in vectors:
        assert temperature_c(raw & 0xFF, raw >> 8) == celsius


def test_a_reading_takes_the_conversion_time_and_gives_degrees():
    board = Board()
    board.pads = {ROM: [pad(0x00A2)]}
    sensor = board.driver("temp")
    assert board.read(sensor) == 750
    assert sensor.read() == (10.125, "°C", 0x00A2, flags.OK)


def test_below_zero_is_read():
    sensor = read(Board(), [pad(-8)])
    assert sensor.value == -0.5


def test_no_probe_is_missing():
    board = Board()
    sensor = board.driver("temp")
    board.read(sensor)
    assert sensor.value is None
    assert sensor.flags == flags.MISSING
    assert "no probe" in sensor.note


def test_a_wire_that_opens_later_is_missing_and_the_probe_is_found_again():
    board = Board()
    sensor = read(board, [pad(0x00A2)])
    board.absent = True
    board.read(sensor)
    assert sensor.flags == flags.MISSING
    assert sensor.value is None
    board.absent = False
    board.read(sensor)
    assert sensor.value == 10.125


def test_presence_lost_between_conversion_and_read_is_missing():
    sensor = read(Board(), [ABSENT])
    assert sensor.flags == flags.MISSING


def test_a_shorted_bus_is_not_zero_degrees():
    # Nine zeros carry a CRC of zero, so the library lets them pass.
    sensor = read(Board(), [bytes(9)])
    assert sensor.value is None
    assert sensor.measured is None
    assert sensor.flags == flags.MISSING
    assert "shorted" in sensor.note


def test_true_zero_degrees_is_published():
    sensor = read(Board(), [pad(0)])
    assert sensor.value == 0.0
    assert sensor.flags == flags.OK


def test_a_crc_error_is_tried_again():
    sensor = read(Board(), [None, None, pad(0x00A2)])
    assert sensor.value == 10.125
    assert sensor.flags == flags.OK


def test_three_crc_errors_are_crc():
    sensor = read(Board(), [None, None, None, None])
    assert sensor.value is None
    assert sensor.flags == flags.CRC


def test_a_rom_code_with_a_wrong_bit_is_searched_again_and_never_used():
    for bit in range(64):
        board = Board()
        board.pads = {ROM: [pad(0x00A2)]}
        wrong = bytearray(ROM)
        wrong[bit // 8] ^= 1 << bit % 8
        scans = [[wrong], [bytearray(ROM)]]
        board.scan = lambda scans=scans: scans.pop(0) if len(scans) > 1 else [bytearray(ROM)]
        sensor = board.driver("temp")
        board.read(sensor)
        assert sensor.value == 10.125, bit
        assert sensor.probes == [("280102030405069e", 10.125)]


def test_a_search_that_missed_a_probe_does_not_change_which_one_is_published():
    board = Board()
    board.pads = {ROM: [pad(160)], OTHER: [pad(320)]}
    scans = [[bytearray(OTHER)]]
    board.scan = lambda: scans.pop() if scans else [bytearray(OTHER), bytearray(ROM)]
    sensor = board.driver("temp")
    board.read(sensor)
    assert sensor.value == 10.0
    assert "first of 2 probes by ROM code: 280102030405069e" in sensor.note


def test_an_exchanged_probe_is_found_in_the_same_reading():
    board = Board()
    sensor = read(board, [pad(160)])
    board.pads = {OTHER: [POWER_ON, pad(168)]}
    board.clock.now_ms += 60000
    board.read(sensor)
    assert sensor.value == 10.5
    assert sensor.probes[0][0] == "28ff0203040506ff"


def test_the_chosen_probe_exchanged_for_another_is_missing_with_both_codes():
    board = Board()
    sensor = read(board, [pad(160)], rom="280102030405069e")
    board.pads = {OTHER: [pad(168)]}
    board.read(sensor)
    assert sensor.flags == flags.MISSING
    assert "280102030405069e" in sensor.note
    assert "28ff0203040506ff" in sensor.note


def test_a_scratchpad_of_another_part_is_not_parsed():
    sensor = read(Board(), [b"\xa2\x00\x4b\x46\x00\x00\x0c\x00\x00"])
    assert sensor.flags == flags.PARSE
    assert sensor.value is None


def test_a_clone_without_the_fixed_bytes_but_with_a_valid_configuration_is_read():
    sensor = read(Board(), [b"\xa2\x00\x4b\x46\x3f\x00\x0c\x00\x00"])
    assert sensor.value == 10.125


def test_a_part_with_the_fixed_bytes_and_an_odd_configuration_is_read():
    sensor = read(Board(), [b"\xa2\x00\x4b\x46\x00\xff\x0c\x10\x00"])
    assert sensor.value == 10.125
    for half in (b"\xa2\x00\x4b\x46\x00\xff\x0c\x00\x00", b"\xa2\x00\x4b\x46\x00\x00\x0c\x10\x00"):
        assert read(Board(), [half]).flags == flags.PARSE


def test_power_on_value_is_converted_once_more():
    board = Board()
    sensor = read(board, [POWER_ON, pad(0x00A2)])
    assert sensor.value == 10.125
    assert len(board.converted) == 2
    assert board.converted[1] - board.converted[0] == 750


def test_85_degrees_twice_is_out_of_range():
    sensor = read(Board(), [POWER_ON])
    assert sensor.value is None
    assert sensor.flags == flags.RANGE
    assert sensor.measured == 85.0
    assert "power-on" in sensor.note


def test_outside_minus_2_to_40_is_out_of_range():
    for raw, published in ((40 * 16, True), (41 * 16, False), (-2 * 16, True), (-3 * 16, False)):
        sensor = read(Board(), [pad(raw)])
        assert (sensor.value is not None) == published, raw
        assert (sensor.flags == flags.RANGE) == (not published)
        assert sensor.measured == raw / 16


def test_a_jump_faster_than_2_degrees_a_minute_is_withheld_once():
    board = Board()
    sensor = read(board, [pad(10 * 16), pad(15 * 16), pad(15 * 16)])
    assert sensor.value == 10.0
    board.clock.now_ms += 60000
    board.read(sensor)
    assert sensor.flags == flags.RANGE
    assert sensor.value is None
    board.clock.now_ms += 60000
    board.read(sensor)
    assert sensor.value == 15.0


def test_how_fast_is_too_fast_depends_on_the_time_between_readings():
    for wait_ms, published in ((59250, True), (10000, False), (600000, True)):
        board = Board()
        sensor = read(board, [pad(10 * 16), pad(12 * 16 + 3)])
        board.clock.now_ms += wait_ms
        board.read(sensor)
        assert (sensor.value is not None) == published, wait_ms


def test_a_bench_may_move_a_probe_between_vessels():
    board = Board()
    sensor = read(board, [pad(0), pad(25 * 16)], max_c_per_min=0.0)
    board.read(sensor)
    assert sensor.value == 25.0


def test_several_probes_are_listed_and_the_first_by_rom_is_published():
    board = Board()
    board.pads = {OTHER: [pad(20 * 16)], ROM: [pad(10 * 16)]}
    sensor = board.driver("temp")
    board.read(sensor)
    assert sensor.value == 10.0
    assert sensor.probes == [("280102030405069e", 10.0), ("28ff0203040506ff", 20.0)]


def test_a_probe_is_chosen_by_its_rom():
    board = Board()
    board.pads = {OTHER: [pad(20 * 16)], ROM: [pad(10 * 16)]}
    sensor = board.driver("temp", rom="28FF0203040506FF")
    board.read(sensor)
    assert sensor.value == 20.0


def test_a_chosen_probe_that_is_not_there_is_missing_not_replaced():
    board = Board()
    board.pads = {ROM: [pad(10 * 16)]}
    sensor = board.driver("temp", rom="28ff0203040506ff")
    board.read(sensor)
    assert sensor.flags == flags.MISSING
    assert "280102030405069e" in sensor.note


def test_a_part_of_another_family_is_not_read():
    board = Board()
    board.pads = {b"\x10\x01\x02\x03\x04\x05\x06\x7b": [pad(10 * 16)]}
    sensor = board.driver("temp")
    board.read(sensor)
    assert sensor.flags == flags.MISSING


def test_a_bench_offset_is_applied():
    sensor = read(Board(), [pad(10 * 16)], correction=(1.0, -0.25))
    assert sensor.value == 9.75
