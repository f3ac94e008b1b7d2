"""The parts by themselves: responses, transfer functions, converter, probes on one wire."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.simulation.parts.adc import Esp32Adc
from buoyfleet.simulation.parts.analog import Oxygen, Solids, Turbidity
from buoyfleet.simulation.parts.digital import FlowMeter
from buoyfleet.simulation.parts.ezo_ph import PhCircuit
from buoyfleet.simulation.parts.onewire import SEARCH, Probe, TemperatureBus, crc8
from buoyfleet.simulation.parts.part import Lag
from buoyfleet.simulation.parts.solutions import SOLUTIONS, vessel, water


def test_a_lag_covers_63_percent_of_a_step_in_its_time_constant_whatever_the_steps():
    whole, parts = Lag(8.0), Lag(8.0)
    for lag in (whole, parts):
        lag.follow(10.0, 0.0)
    for i in range(1, 81):
        parts.follow(20.0, 0.1 * i)
    assert whole.follow(20.0, 8.0) == pytest.approx(10 + 10 * (1 - math.exp(-1)))
    assert parts.value == pytest.approx(whole.value)


def test_a_rate_limit_makes_a_straight_line_before_the_exponential():
    lag = Lag(5.0, rate_per_s=5.0)
    lag.follow(100.0, 0.0)
    assert lag.follow(0.0, 10.0) == pytest.approx(50.0)
    assert lag.follow(0.0, 15.0) == pytest.approx(25.0)
    assert lag.follow(0.0, 20.0) == pytest.approx(25.0 * math.exp(-1))


# Sensor reference §6 (ECraw → V) and §7 (V → NTU).
@pytest.mark.parametrize(
    ("ec", "volts"),
    [(50, 0.059), (84, 0.101), (100, 0.121), (150, 0.184), (200, 0.249), (500, 0.670), (1000, 1.328),
     (1413, 1.734), (2000, 2.158)],
)  # fmt: skip
def test_the_tds_probe_gives_the_tabulated_voltages(ec, volts):
    assert Solids.volts_of(ec) == pytest.approx(volts, abs=0.0006)


@pytest.mark.parametrize(
    ("volts", "ntu"),
    [
        (2.5626, 3004.7),
        (3.0, 2790),
        (3.5, 2020),
        (3.9, 1001),
        (4.0, 690),
        (4.1, 357),
        (4.15, 182),
        (4.2, 0.9),
    ],
)
def test_the_turbidity_probe_gives_the_tabulated_voltages(volts, ntu):
    assert Turbidity.volts_of(ntu) == pytest.approx(volts, abs=0.007)


def test_the_oxygen_probe_gives_eleven_times_its_millivolts_and_nothing_without_oxygen():
    probe = Oxygen(vessel("air"), "x", spread=0.0)
    assert probe.volts(0.0) == pytest.approx(0.528)
    probe.put(vessel("zero-oxygen"), 0.0)
    assert 0.25 < probe.volts(10.0) < 0.29  # 5 % per second
    assert probe.volts(120.0) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("attenuation", range(4))
def test_the_converter_has_a_dead_zone_a_linear_range_and_a_ceiling(attenuation):
    adc = Esp32Adc("chip", spread=1.0)
    floor = (75, 78, 107, 142)[attenuation]
    top = (950, 1250, 1750, 2450)[attenuation]
    assert adc.code(0.0, attenuation) == adc.code(floor - 5.0, attenuation) == 0.0
    # a grounded pin still reads above zero
    assert adc.microvolts(0, attenuation) == 1000 * floor
    for mv in (floor + 80, (floor + top) / 2, top):
        # eFuse leaves 0.35 % of gain, INL twelve codes
        error = adc.mean_mv(mv, attenuation) - mv
        assert abs(error) < 0.0036 * mv + 12 * adc.millivolts_per_code(attenuation)
    nominal = Esp32Adc(spread=0.0)
    assert nominal.mean_mv(top, attenuation) == pytest.approx(top)
    assert nominal.mean_mv(top * 1.05, attenuation) == pytest.approx(top * (1 + 0.05 * 0.94))
    assert adc.code(9000.0, attenuation) == 4095


def test_a_probe_settles_in_a_vessel_even_if_nobody_looks():
    circuit = PhCircuit(vessel("ph-7", 25.0), "p")
    circuit.put(vessel("ph-4", 25.0), 0.0)
    circuit.put(vessel("ph-10", 25.0), 300.0)
    assert circuit.millivolts(300.1) == pytest.approx(3 * 59.16, abs=15)


def test_without_an_efuse_reference_chips_differ_by_percents():
    errors = [Esp32Adc(str(n), efuse=False).mean_mv(1000.0, 2) / 1000.0 - 1.0 for n in range(40)]
    corrected = [Esp32Adc(str(n)).mean_mv(1000.0, 2) / 1000.0 - 1.0 for n in range(40)]
    assert max(map(abs, errors)) > 0.05
    assert max(map(abs, corrected)) < 0.012


# DS18B20 data sheet, table 1, and CRC vectors computed with the sheet's polynomial.
@pytest.mark.parametrize(
    ("celsius", "word"),
    [(125, 0x07D0), (25.0625, 0x0191), (10.125, 0x00A2), (0.5, 0x0008), (0, 0), (-0.5, 0xFFF8),
     (-10.125, 0xFF5E), (-25.0625, 0xFE6F), (-55, 0xFC90)],
)  # fmt: skip
def test_a_probe_writes_the_data_sheets_words(celsius, word):
    probe = Probe(1)
    probe.convert(0.0)
    probe.finish(celsius, 1.0)
    assert probe.pad[0] | probe.pad[1] << 8 == word


def test_checksums_are_the_published_ones():
    assert crc8(bytes.fromhex("50054b467fff0c10")) == 0x1C
    assert crc8(bytes.fromhex("f4004b467fff0c10")) == 0xFA
    assert crc8(bytes(9)) == 0
    assert crc8(Probe(0x123456).rom) == 0


def temperature_bus(count=1, temp_c=10.0):
    return TemperatureBus(water(temp_c=temp_c), "bus", spread=0.0, probes=count)


def test_a_probe_shows_85_degrees_until_its_first_conversion_has_ended():
    bus = temperature_bus()
    rom = bus.probes[0].rom

    def pad(t_s):
        assert bus.reset(t_s)
        bus.write(b"\x55" + rom + b"\xbe", t_s)
        return bus.read(9, t_s)

    assert pad(0.0)[:2] == bytes((0x50, 0x05))
    bus.reset(1.0)
    bus.write(b"\xcc\x44", 1.0)
    assert bus.read_bit(1.2) == 0  # busy
    assert pad(1.3)[:2] == bytes((0x50, 0x05))
    assert pad(1.75)[:2] == bytes((0xA0, 0x00))
    assert crc8(pad(1.75)) == 0


def test_lower_resolution_converts_faster_and_drops_the_last_bits():
    bus = temperature_bus(temp_c=10.4)
    bus.reset(0.0)
    bus.write(b"\xcc\x4e\x4b\x46\x1f", 0.0)  # 9 bit
    bus.reset(0.0)
    bus.write(b"\xcc\x44", 0.0)
    bus.reset(0.1)
    bus.write(b"\xcc\xbe", 0.1)
    assert bus.read(2, 0.1) == bytes((0xA8, 0x00))  # 10.5


@given(st.integers(1, 6))
def test_the_scan_is_the_bitwise_search_of_all_codes(count):
    bus = temperature_bus(count)

    def search(known, last):
        """One pass of the 1-Wire search: ones first; gives the code and the last fork taken to one."""
        bus.reset(0.0)
        for n in range(8):
            bus.write_bit(SEARCH >> n & 1, 0.0)
        code, fork = 0, 0
        for i in range(64):
            bit, complement = bus.read_bit(0.0), bus.read_bit(0.0)
            assert not (bit and complement)
            if not bit and not complement:
                place = 64 - i
                if last > place or (known >> i & 1 and last != place):
                    bit, fork = 1, place
            bus.write_bit(bit, 0.0)
            code |= bit << i
        return code, fork

    found, code, fork = [], 0, 65
    while fork:
        code, fork = search(code, fork)
        found.append(code.to_bytes(8, "little"))
    assert found == bus.scan(0.0)
    assert sorted(found) == sorted(probe.rom for probe in bus.probes)


def test_probes_that_answer_together_disturb_each_other():
    bus = temperature_bus(2)
    bus.reset(0.0)
    bus.write(b"\x33", 0.0)
    anded = bytes(a & b for a, b in zip(bus.probes[0].rom, bus.probes[1].rom, strict=True))
    assert bus.read(8, 0.0) == anded


def test_bits_and_bytes_read_the_same():
    by_bytes, by_bits = temperature_bus(), temperature_bus()
    for bus in (by_bytes, by_bits):
        bus.reset(0.0)
        bus.write(b"\xcc\xbe", 0.0)
    bits = [by_bits.read_bit(0.0) for _ in range(72)]
    assert by_bytes.read(9, 0.0) == bytes(sum(bits[8 * n + i] << i for i in range(8)) for n in range(9))


def test_the_rotor_gives_450_pulses_a_litre_and_stalls_under_a_litre_a_minute():
    meter = FlowMeter(vessel("flow-10"), "m", spread=0.0)
    first = meter.pulses(0.0)
    assert meter.pulses(60.0) - first == pytest.approx(4500, abs=1)
    slow = FlowMeter(vessel("flow-0.9"), "m", spread=0.0)
    before = slow.pulses(0.0)
    assert slow.pulses(60.0) == before
    weak = FlowMeter(vessel("flow-1.2"), "m", spread=0.0)
    before = weak.pulses(0.0)
    assert 450 < weak.pulses(60.0) - before < 530  # the rotor slips: 540 without


def test_every_named_solution_can_be_had_and_others_are_refused():
    for name in SOLUTIONS:
        assert vessel(name.replace("-N", "-3"), 15.0).sample(0.0).temp_c in (15.0, 0.0)
    with pytest.raises(ValueError, match=r"unknown solution 'ph-8'; one of ph-4, ph-7"):
        vessel("ph-8")
    with pytest.raises(ValueError, match="formazin-lots"):
        vessel("formazin-lots")


@pytest.mark.parametrize(
    ("name", "temp_c", "field", "value"),
    [
        ("ph-4", 30, "ph", 4.01), ("ph-7", 5, "ph", 7.09), ("ph-10", 12.5, "ph", 10.15),
        ("ec-84", 5, "ec_us_cm", 53.0), ("ec-1413", 20, "ec_us_cm", 1278.0),
        ("ec-12880", 25, "ec_us_cm", 12880.0), ("tds-707", 25, "ec25_us_cm", 1413.0),
        ("formazin-400", 20, "ntu", 400.0), ("flow-6", 20, "flow_l_s", 0.1),
        ("zero-oxygen", 20, "do_pct", 0.0), ("air", 20, "wet", False), ("standpipe-2", 20, "kpa", 19.6),
    ],
)  # fmt: skip
def test_solutions_have_the_tabulated_values_at_their_temperature(name, temp_c, field, value):
    assert getattr(vessel(name, temp_c).sample(0.0), field) == pytest.approx(value)
