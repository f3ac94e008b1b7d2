"""The on-board fakes: pattern, plausibility, the same text on every interpreter."""

from sensors.catalog import KEYS
from sensors.fakes import WALK_BANDS, make_fake


def test_counter_is_twice_the_base_plus_the_number_rounded_to_two_decimals():
    for base in (0.0, 7.25, 80.31, 0.001, 1.904, 12.3456, 550.96):
        sensor = make_fake("do", "counter", base=base)
        for n in (0, 1, 99, 1000, 64000):
            assert "%.2f" % sensor.sample(n) == "%.2f" % round(2 * base + n, 2)


def test_counter_of_the_boolean_is_true_for_odd_numbers():
    sensor = make_fake("liqlev", "counter", base=3.0)
    assert [sensor.sample(n) for n in range(4)] == [False, True, False, True]
    assert sensor.sample(1) is True


def test_counter_and_constant_give_floats():
    assert isinstance(make_fake("ph", "counter", base=7).sample(0), float)
    assert isinstance(make_fake("ph", "constant", value=7).sample(0), float)
    assert make_fake("liqlev", "constant", value=True).sample(0) is True


def test_walk_keeps_within_the_plausible_band_and_moves():
    for key in WALK_BANDS:
        low, high = WALK_BANDS[key]
        sensor = make_fake(key, "walk", seed=100)
        values = [sensor.sample(n) for n in range(5000)]
        assert low / 100 <= min(values)
        assert max(values) <= high / 100
        assert max(values) - min(values) > 0.1 * (high - low) / 100, key


def test_walk_steps_are_small():
    sensor = make_fake("temp", "walk", seed=7)
    before = sensor.sample(0)
    for n in range(1, 2000):
        value = sensor.sample(n)
        assert abs(value - before) < 0.1
        before = value


def test_walk_is_the_same_for_the_same_seed_and_different_for_another():
    def values(seed):
        sensor = make_fake("ec", "walk", seed=seed)
        return [sensor.sample(n) for n in range(20)]

    assert values(5) == values(5)
    homes = {"%.2f" % values(seed)[0] for seed in range(100, 130)}
    assert len(homes) > 20


def test_walk_of_two_sensors_of_a_board_is_not_the_same_walk():
    def moves(key):
        sensor = make_fake(key, "walk", seed=100)
        low, high = WALK_BANDS[key]
        values = [(sensor.sample(n) * 100 - low) / (high - low) for n in range(200)]
        return [b - a for a, b in zip(values, values[1:])]

    ec, tbd = moves("ec"), moves("tbd")
    alike = sum(a * b for a, b in zip(ec, tbd))
    assert abs(alike) < 0.3 * (sum(a * a for a in ec) * sum(b * b for b in tbd)) ** 0.5


def test_walk_prints_these_values_on_every_interpreter():
    sensor = make_fake("ec", "walk", seed=3)
    text = " ".join(["%.2f" % sensor.sample(n) for n in range(8)])
    assert text == "162.34 162.52 162.49 162.35 161.86 161.52 161.91 162.53", text


def test_fake_has_the_interface_of_a_driver():
    for key in KEYS:
        sensor = make_fake(key, "counter", base=1.0)
        assert sensor.value is None
        sensor.start(0)
        assert sensor.poll(0) is True
        first = sensor.value
        sensor.start(1000)
        assert sensor.poll(1000)
        assert sensor.value != first
        assert sensor.flags == 0
        assert sensor.raw == sensor.value
        assert isinstance(sensor.unit, str)


def test_unknown_key_and_mode_are_refused_with_what_is_allowed():
    for arguments, word in ((("salt", "walk"), "temp"), (("ph", "sine"), "constant")):
        try:
            make_fake(*arguments)
        except ValueError as error:
            assert word in str(error)
        else:
            raise AssertionError("not refused")
