"""The EZO circuits as their data sheets say: commands, delays, codes, calibration, both firmware flavours."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import Rig

from buoyfleet.simulation.parts.ezo_ec import EcCircuit, four_digits
from buoyfleet.simulation.parts.ezo_ph import PhCircuit, nernst_mv
from buoyfleet.simulation.parts.solutions import PH_BUFFERS, interpolate, vessel, water

BAUD = 9600


class Talk:
    """A terminal at a circuit."""

    def __init__(self, circuit):
        self.circuit = circuit
        self.t_s = 10.0
        self.said = b""

    def __call__(self, command, wait_s=2.0):
        """Send a command; the lines that came until `wait_s` later."""
        self.circuit.receive(command.encode() + b"\r", self.t_s, BAUD)
        return self.listen(wait_s)

    def listen(self, wait_s):
        self.t_s += wait_s
        self.said += self.circuit.send(self.t_s, BAUD)
        *lines, self.said = self.said.split(b"\r")
        return [line.decode() for line in lines]

    def value(self, command="R"):
        return float(next(line for line in self(command) if line[0].isdigit()).split(",")[0])


def ph_circuit(flavour="new", medium=None, **options):
    return Talk(PhCircuit(medium or vessel("ph-7", 25.0), "p", flavour=flavour, **options))


def ec_circuit(flavour="new", medium=None, **options):
    return Talk(EcCircuit(medium or vessel("ec-1413", 25.0), "e", flavour=flavour, **options))


def test_new_firmware_answers_before_ok_and_old_after():
    assert ph_circuit("new")("T,?") == ["?T,25.0", "*OK"]
    assert ph_circuit("old")("T,?") == ["*OK", "?T,25.0"]


@pytest.mark.parametrize(
    ("make", "flavour", "command", "reply"),
    [
        (ph_circuit, "new", "i", "?I,pH,2.14"),
        (ph_circuit, "old", "I", "?I,pH,1.98"),
        (ec_circuit, "new", "i", "?I,EC,2.16"),
        (ph_circuit, "new", "Cal,?", "?Cal,3"),
        (ph_circuit, "old", "cal,?", "?CAL,3"),
        (ph_circuit, "new", "Status", "?Status,P,3.310"),
        (ph_circuit, "new", "*OK,?", "?*OK,1"),
        (ph_circuit, "old", "RESPONSE,?", "?RESPONSE,1"),
        (ph_circuit, "new", "C,?", "?C,0"),
        (ph_circuit, "new", "Baud,?", "?Baud,9600"),
        (ec_circuit, "new", "K,?", "?K,0.1"),
        (ec_circuit, "new", "O,?", "?O,EC"),
        (ec_circuit, "old", "O,?", "?,O,EC,TDS,S,SG"),
    ],
)
def test_queries_are_answered_in_the_spelling_of_the_firmware(make, flavour, command, reply):
    assert reply in make(flavour)(command)


@pytest.mark.parametrize("command", ["RT,19.5", "*OK,1", "Baud,9600", "pHext,1", "C,5"])
def test_old_firmware_refuses_what_only_newer_knows(command):
    assert ph_circuit("old")(command) == ["*ER"]
    assert "*ER" not in ph_circuit("new")(command)


@pytest.mark.parametrize(
    "command", ["", "R,1", "T,hot", "T", "Cal", "Cal,mid,seven", "K,0.1", "C,100", "\x00R", "I2C,200", "Q"]
)
def test_what_is_no_command_is_refused(command):
    assert ph_circuit()(command) == (["*ER"] if command else [])


def test_readings_take_the_sheets_time():
    for talk, needs_s in ((ph_circuit(), 0.9), (ec_circuit(), 0.6)):
        arrives_s = needs_s + 2 * 10 / BAUD + 5 * 10 / BAUD  # the command, the time, the first five bytes
        assert talk("R", arrives_s - 0.01) == []
        assert talk.listen(0.2)[0][0].isdigit()


def test_bytes_come_at_the_pace_of_the_baud_rate():
    talk = ph_circuit()
    talk.circuit.receive(b"i\r", 20.0, BAUD)
    begin = 20.0 + 2 * 10 / BAUD + 0.3
    assert talk.circuit.send(begin + 3.5 * 10 / BAUD, BAUD) == b"?I,"
    assert talk.circuit.send(begin + 5.5 * 10 / BAUD, BAUD) == b"pH"


def test_commands_that_come_while_it_is_busy_wait_their_turn():
    talk = ph_circuit()
    talk.circuit.receive(b"R\r", 10.0, BAUD)
    talk.circuit.receive(b"i\r", 10.1, BAUD)
    talk.t_s = 10.1
    lines = talk.listen(3.0)
    assert lines[1:] == ["*OK", "?I,pH,2.14", "*OK"]


def test_continuous_mode_sends_a_reading_a_second_until_it_is_told_to_stop():
    talk = ph_circuit()
    assert talk("C,1", 0.5) == ["*OK"]
    assert len(talk.listen(10.0)) == 10
    talk("C,0")
    assert talk.listen(10.0) == []


def test_a_long_silence_does_not_flood_the_reader():
    talk = ph_circuit()
    talk("C,1")
    assert 30 < len(talk.listen(30 * 86400.0)) < 60


def test_sleep_ends_with_the_next_character_and_the_first_readings_are_off():
    talk = ec_circuit()
    settled = talk.value()
    assert talk("Sleep") == ["*OK", "*SL"]
    assert talk("R") == ["*WA"]
    readings = [talk.value() for _ in range(5)]
    assert readings[0] < 0.98 * settled
    assert readings[-1] == pytest.approx(settled, rel=0.005)


def test_power_up_says_so_after_a_second_and_forgets_the_temperature():
    talk = ph_circuit()
    talk("T,10.0")
    talk.circuit.power(False, talk.t_s)
    assert talk("T,?") == []
    talk.circuit.power(True, talk.t_s)
    assert talk.listen(0.5) == []
    assert talk.listen(1.0) == ["*RS", "*RE"]
    assert talk("T,?") == ["*ER"]  # junk stood in its buffer
    assert talk("T,?") == ["?T,25.0", "*OK"]
    assert talk("Cal,?") == ["?Cal,3", "*OK"]


def test_a_gap_of_a_few_milliseconds_is_bridged():
    talk = ph_circuit()
    talk("T,10.0")
    talk.circuit.power(False, talk.t_s)
    talk.circuit.power(True, talk.t_s + 0.005)
    assert talk("T,?") == ["?T,10.0", "*OK"]


def test_response_codes_can_be_switched_off_but_for_the_others():
    talk = ph_circuit()
    assert talk("*OK,0") == []
    assert talk("T,?") == ["?T,25.0"]
    assert talk("nonsense") == ["*ER"]


def test_factory_clears_the_calibration_and_turns_continuous_mode_on():
    talk = ph_circuit()
    assert talk("Factory", 1.6) == ["*OK", "*RS", "*RE"]
    assert len(talk.listen(3.0)) >= 2
    talk("C,0")
    assert "?Cal,0" in talk("Cal,?")
    assert "?Slope,100.0,100.0,0.00" in talk("Slope,?")


def test_switched_to_i2c_it_is_silent():
    talk = ph_circuit()
    assert talk("Plock,1") == ["*OK"]
    assert talk("I2C,99") == ["*ER"]
    talk("Plock,0")
    assert talk("I2C,99") == []
    assert talk("R") == []


def test_calibration_travels_by_export_and_import():
    talk, other = ph_circuit(), Talk(PhCircuit(vessel("ph-7", 25.0), "other", calibrated=False))
    announced = next(line for line in talk("Export,?") if line.startswith("?Export"))
    lines = [talk("Export")[0] for _ in range(int(announced.split(",")[1]))]
    assert talk("Export")[0] == "*DONE"
    assert all(len(line) <= 12 for line in lines)
    for line in lines:
        reply = other(f"Import,{line}")
    assert reply[0] == "*DONE"
    assert other("Slope,?")[0] == talk("Slope,?")[0]


# pH


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 30.0), st.integers(0, 1000))
def test_three_buffers_calibrate_a_probe_at_any_temperature(temp_c, seed):
    circuit = PhCircuit(vessel("ph-7", temp_c), str(seed), calibrated=False)
    talk = Talk(circuit)
    talk(f"T,{temp_c:.1f}")
    for name, point in (("ph-7", "mid"), ("ph-4", "low"), ("ph-10", "high")):
        circuit.put(vessel(name, temp_c), talk.t_s)
        talk.listen(150.0)
        assert talk(f"Cal,{point},{interpolate(PH_BUFFERS[name], temp_c):.2f}") == ["*OK"]
    for ph in (4.5, 6.0, 7.7, 9.5):
        circuit.put(water(temp_c=temp_c, ph=ph), talk.t_s)
        talk.listen(150.0)
        assert talk.value() == pytest.approx(ph, abs=0.03)
    acid, base, zero = map(float, talk("Slope,?")[0].split(",")[1:])
    assert 100 * circuit.slope_acid == pytest.approx(acid, abs=1.0)
    assert 100 * circuit.slope_base == pytest.approx(base, abs=1.0)
    assert zero == pytest.approx(circuit.zero_mv, abs=1.5)


def test_the_middle_point_erases_the_others():
    talk = ph_circuit()
    talk("Cal,mid,7.00")
    assert "?Cal,1" in talk("Cal,?")


def test_a_point_in_the_wrong_buffer_is_refused():
    talk = ph_circuit(calibrated=False)
    talk("Cal,mid,7.00")
    assert talk("Cal,low,4.00") == ["*ER"]  # still in pH 7: no slope


def test_a_worn_probe_shows_in_the_slope():
    circuit = PhCircuit(vessel("ph-7", 25.0), "worn", calibrated=False)
    circuit.inject("low-slope", 0.0)
    talk = Talk(circuit)
    for name, point, label in (("ph-7", "mid", 7.0), ("ph-4", "low", 4.0), ("ph-10", "high", 10.01)):
        circuit.put(vessel(name, 25.0), talk.t_s)
        talk.listen(120.0)
        talk(f"Cal,{point},{label}")
    acid, base = map(float, talk("Slope,?")[0].split(",")[1:3])
    assert acid < 85
    assert base < 85


def test_without_its_temperature_the_reading_is_off_by_the_nernst_slope():
    # (pH − 7) · ΔT / 298: at pH 8 and 10 °C about 0.05
    talk = ph_circuit(medium=water(temp_c=10.0, ph=8.0))
    assert talk.value() == pytest.approx(8.0 - 0.05, abs=0.02)
    talk("T,10.0")
    assert talk.value() == pytest.approx(8.0, abs=0.02)
    assert nernst_mv(25.0) == pytest.approx(59.16, abs=0.01)
    assert nernst_mv(0.0) == pytest.approx(54.2, abs=0.01)


def test_a_probe_moved_to_another_buffer_settles_in_a_minute_or_two():
    talk = ph_circuit()
    assert talk.value() == pytest.approx(7.0, abs=0.02)
    talk.circuit.put(vessel("ph-4", 25.0), talk.t_s)
    assert 4.5 < talk.value() < 6.9
    talk.listen(90.0)
    assert talk.value() == pytest.approx(4.0, abs=0.02)


# EC


def test_k_is_one_from_the_factory_and_wrong_by_a_decade():
    talk = ec_circuit(calibrated=False)
    assert "?K,1" in talk("K,?")
    assert talk.value() == pytest.approx(14_130, rel=0.06)
    assert talk("K,0.1") == ["*OK"]
    assert talk.value() == pytest.approx(1413, rel=0.06)


def test_low_and_high_points_calibrate_together():
    talk = ec_circuit(medium=vessel("air"), calibrated=False)
    talk("K,0.1")
    talk("Cal,clear")
    assert talk("Cal,dry") == ["*OK"]
    talk.circuit.put(vessel("ec-84", 25.0), talk.t_s)
    talk.listen(20.0)
    before = talk.value()
    assert talk("Cal,low,84") == ["*OK"]
    assert talk.value() == pytest.approx(before, rel=0.005)  # does not move before `high`
    talk.circuit.put(vessel("ec-1413", 25.0), talk.t_s)
    talk.listen(20.0)
    assert talk("Cal,high,1413") == ["*OK"]
    assert "?Cal,2" in talk("Cal,?")
    assert talk.value() == pytest.approx(1413, rel=0.005)
    talk.circuit.put(water(temp_c=25.0, ec25_us_cm=250.0), talk.t_s)
    talk.listen(20.0)
    assert talk.value() == pytest.approx(250, rel=0.01)


def test_one_point_has_another_name_in_old_firmware():
    old, new = ec_circuit("old", calibrated=False), ec_circuit("new", calibrated=False)
    assert old("Cal,1413") == ["*ER"]
    assert old("Cal,one,1413") == ["*OK"]
    assert new("Cal,1413") == ["*OK"]
    assert old.value() == pytest.approx(1413, rel=0.005)


def test_a_probe_in_air_reads_zero_and_cannot_be_calibrated():
    talk = ec_circuit(medium=vessel("air"))
    assert talk.value() == 0.0
    assert talk("Cal,1413") == ["*ER"]


def test_columns_follow_the_order_of_the_sheet_whatever_the_order_of_the_commands():
    talk = ec_circuit("old")
    assert len(talk("R")[1].split(",")) == 4
    talk("O,TDS,0")
    talk("O,S,0")
    talk("O,EC,0")
    talk("O,EC,1")
    ec, gravity = talk("R")[1].split(",")
    assert float(ec) == pytest.approx(1413, rel=0.02)
    assert float(gravity) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (84.034, "84.03"), (812.34, "812.3"), (1413.4, "1413"), (12884, "12880")],
)
def test_conductivity_has_four_digits_and_then_zeros(value, text):
    assert four_digits(value) == text


# Calibration as the bench does it, through the driver


def test_the_drivers_bench_commands_calibrate_a_circuit():
    rig = Rig(9, place=vessel("ph-7", 20.0), calibrated=False)
    ph = rig.driver("ph", limits=(0.0, 14.0))
    rig.drive(ph, 20.0)
    assert "uncal" in rig.names(ph)
    assert rig.command(ph, "T,20.0") == "*OK"
    for name, point in (("ph-7", "mid"), ("ph-4", "low"), ("ph-10", "high")):
        rig.bench.put(vessel(name, 20.0), "ph")
        rig.wait(120)
        assert rig.command(ph, f"Cal,{point},{interpolate(PH_BUFFERS[name], 20.0):.2f}") == "*OK"
    rig.bench.put(water(temp_c=20.0, ph=8.2), "ph")
    rig.wait(120)
    rig.drive(ph, 20.0)
    assert rig.names(ph) == {"ok"}
    assert ph.value == pytest.approx(8.2, abs=0.03)
