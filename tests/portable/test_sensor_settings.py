"""Flags table, pin map, rails, settings and the making of sensors."""

from sensor_doubles import Board
from support import raises

from sensors import flags, pins
from sensors.build import make_driver, make_sensors
from sensors.catalog import KEYS
from sensors.checks import make_pins
from sensors.power import Rail
from sensors.settings import SettingsError, merged

# Flags


def test_every_flag_is_one_bit_with_its_own_name_and_code():
    bits = [row[0] for row in flags.TABLE]
    assert bits == [0] + [1 << n for n in range(len(bits) - 1)]
    assert len({row[1] for row in flags.TABLE}) == len(bits)
    assert len({row[2] for row in flags.TABLE}) == len(bits)


def test_the_flags_are_those_a_driver_must_be_able_to_raise():
    names = [row[1] for row in flags.TABLE]
    for name in [
        "ok",
        "missing",
        "range",
        "saturated",
        "saturated-low",
        "crc",
        "stale",
        "uncal",
        "uncomp",
        "warming",
        "parse",
        "contradictory",
    ]:
        assert name in names


def test_what_each_flag_does_is_what_the_table_says():
    withheld = ["missing", "range", "saturated", "saturated-low", "crc", "warming", "parse"]
    for flag, name, _, text in flags.TABLE:
        assert flags.publishable(flag) == (name not in withheld)
        assert (flags.effect(flag) == flags.WITHHELD) == (name in withheld)
        assert (flags.effect(flag) == flags.PUBLISHED) == (name == "ok")
        assert bool(text) == (name != "ok")


def test_one_withholding_flag_among_others_withholds():
    assert flags.publishable(flags.UNCAL | flags.UNCOMP)
    assert not flags.publishable(flags.UNCAL | flags.CRC)


def test_flags_have_names_and_error_texts():
    assert flags.names(0) == ("ok",)
    assert flags.names(flags.UNCAL | flags.MISSING) == ("missing", "uncal")
    assert flags.errors("ph", 0, "") == []
    (first, second) = flags.errors("ph", flags.CRC | flags.UNCOMP, "3 tries")
    assert first == (flags.CRC, 105, "ph crc: checksum wrong in every try; 3 tries")
    assert second[1] == 108


# Pins


def test_the_default_pin_map_can_be_wired():
    assert pins.problems(pins.DEFAULT) == []


def test_the_default_keeps_clear_of_strapping_flash_and_console_pins_and_adc2():
    used = list(pins.DEFAULT.values())
    assert len(set(used)) == len(used)
    for gpio in used:
        assert gpio not in (0, 2, 5, 12, 15, 6, 7, 8, 9, 10, 11, 1, 3)
    for name in ("do", "tds", "tbd", "wp"):
        assert 32 <= pins.DEFAULT[name] <= 39


def test_every_kind_of_wrong_pin_is_told():
    for name, gpio, words in (
        ("temp", 0, "strapping"),
        ("temp", 12, "strapping"),
        ("wf", 6, "flash"),
        ("wf", 1, "console"),
        ("do", 25, "ADC1"),
        ("wp", 4, "ADC1"),
        ("temp", 36, "inputs only"),
        ("ph_tx", 39, "inputs only"),
        ("power_ezo", 34, "inputs only"),
        ("liqlev", 37, "pull-down"),
        ("wf", 24, "no such"),
        ("wf", 40, "no such"),
        ("salt", 4, "unknown"),
    ):
        found = pins.problems({name: gpio})
        assert len(found) >= 1, name
        assert any([words in text for text in found]), (name, gpio, found)


def test_a_pin_used_twice_is_told_with_both_users():
    assert pins.problems({"wf": 27, "liqlev": 27}) == ["GPIO 27 is used by liqlev and wf"]


def test_all_problems_of_a_pin_map_come_at_once():
    with raises(SettingsError) as caught:
        make_pins({"do": 4, "wf": 12})
    text = str(caught.value)
    for words in ("ADC1", "strapping", "used by do and temp"):
        assert words in text


def test_a_pin_that_is_not_fitted_is_left_out():
    assert "power_wf" not in make_pins({"power_wf": None})


# Rails


def test_a_shared_switched_rail_goes_off_with_its_last_user():
    board = Board()
    pin = board.modules("machine").Pin(18, 1)
    rail = Rail(pin, switched=True)
    assert pin.value() == 0
    assert rail.require("ph", 100) == 100
    assert rail.require("ec", 300) == 100
    assert pin.value() == 1
    rail.release("ph")
    assert pin.value() == 1
    rail.release("ec")
    assert pin.value() == 0
    assert rail.on_ms is None


def test_a_rail_that_is_not_switched_is_on_from_the_beginning_and_stays():
    board = Board()
    pin = board.modules("machine").Pin(18, 1)
    rail = Rail(pin, active_high=False)
    assert pin.value() == 0  # on
    rail.require("ph", 100)
    rail.release("ph")
    assert pin.value() == 0
    rail.off()
    assert pin.value() == 1


def test_without_a_switch_a_part_is_always_powered():
    rail = Rail()
    assert rail.require("ph", 100) == 0
    assert rail.on_ms is None
    rail.release("ph")
    rail.off()


# Settings


def test_settings_take_the_type_of_their_default():
    defaults = {"a": 1.0, "b": True, "c": "x", "d": None, "e": (1, 2), "f": 3}
    assert merged("ph", defaults, {"a": 2, "e": [3, 4]})["e"] == [3, 4]
    for given in ({"a": "2"}, {"a": True}, {"b": 1}, {"c": 1}, {"e": 5}, {"f": 1.5}):
        with raises(SettingsError, "of ph"):
            merged("ph", defaults, given)
    with raises(SettingsError, "'z'"):
        merged("ph", defaults, {"z": 1})


def test_sensors_are_made_in_the_order_of_publication_and_off_is_left_out():
    sensors = {key: {"mode": "counter", "base": 1.0} for key in KEYS}
    sensors["tbd"] = {"mode": "off"}
    made = make_sensors({"sensors": sensors})
    assert [sensor.key for sensor in made] == [key for key in KEYS if key != "tbd"]


def test_drivers_and_fakes_stand_side_by_side():
    board = Board()
    sensors = {"wp": {"mode": "hardware", "zero_v": 0.45}, "ph": {"mode": "walk"}}
    ph, wp = make_sensors({"sensors": sensors}, board.modules, seed=5)
    assert ph.sample(0) > 0
    assert wp.settings["zero_v"] == 0.45


def test_rails_are_shared_and_made_only_where_a_pin_is():
    board = Board()
    every = {key: {"mode": "hardware"} for key in ("ph", "ec", "tbd", "wp", "temp")}
    board.scripts = {1: {}, 2: {}}
    settings = {
        "sensors": every,
        "pins": {"power_wp": None},
        "power": {"ezo": {"switched": True, "active_high": False}},
    }
    ec, ph, tbd, wp, temp = make_sensors(settings, board.modules)
    assert ph._rail is ec._rail
    assert ph._rail.switched
    assert board.levels[18] == 1  # off
    assert tbd._rail.switched
    assert not wp._rail.switched
    assert temp._rail is not wp._rail


def test_pins_of_the_settings_reach_the_drivers():
    board = Board()
    settings = {"sensors": {"wf": {"mode": "hardware"}}, "pins": {"wf": 33}}
    (wf,) = make_sensors(settings, board.modules)
    assert wf.settings["pin"] == 33


def test_wrong_settings_are_refused_with_what_is_allowed():
    for settings, words in (
        ({"sensor": {}}, "pins, power or sensors"),
        ({"sensors": {"salt": {}}}, "liqlev"),
        ({"sensors": {"ph": {"mode": "sine"}}}, "counter, walk or constant"),
        ({"sensors": {"ph": {"mode": "walk", "bas": 1}}}, "base"),
        ({"sensors": {"tbd": {"mode": "hardware"}}, "power": {"lamp": {}}}, "turbidity"),
        ({"sensors": {"tbd": {"mode": "hardware"}}, "power": {"turbidity": {"on": True}}}, "active_high"),
        ({"sensors": {"tbd": {"mode": "hardware"}}, "pins": {"tbd": None}}, "no pin"),
    ):
        with raises(SettingsError, words):
            make_sensors(settings, Board().modules)


def test_every_driver_says_its_key_unit_and_raw_unit():
    board = Board()
    board.scripts = {1: {}, 2: {}}
    for key in KEYS:
        driver = make_driver(key, {}, board.modules)
        assert driver.key == key
        assert driver.value is None
        assert driver.raw_unit
        assert driver.unit or key in ("liqlev",)
