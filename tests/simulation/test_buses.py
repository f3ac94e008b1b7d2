"""The simulated modules behave as MicroPython's on an ESP32, and boards of one process share nothing."""

import pytest
from rig import Rig

from buoyfleet.simulation.buses.bench import Bench
from buoyfleet.simulation.buses.chip import POWER_ON_UTC_US
from buoyfleet.simulation.buses.modules import Modules
from buoyfleet.simulation.buses.wiring import wiring_of
from buoyfleet.simulation.parts.solutions import vessel, water


@pytest.fixture
def rig():
    return Rig(4, place=water(temp_c=14.0, flow_l_s=0.2, kpa=10.0), switched=True)


@pytest.fixture
def machine(rig):
    return rig.buoy.modules("machine")


def test_boards_of_one_process_share_nothing():
    one, other = (Rig(4, place=water(), buoy_id=n) for n in (100, 101))
    for rig, level in ((one, 1), (other, 0)):
        machine = rig.buoy.modules("machine")
        machine.Pin(32, machine.Pin.OUT).value(level)
    assert one.buoy.modules("machine").Pin(32).value() == 1
    assert other.buoy.modules("machine").Pin(32).value() == 0
    assert one.buoy.modules("machine").unique_id() != other.buoy.modules("machine").unique_id()
    one.wait(5)
    assert other.bench.now_us == 0


def test_equal_boards_give_equal_samples():
    def samples(buoy_id):
        rig = Rig(4, place=water(), buoy_id=buoy_id)
        machine = rig.buoy.modules("machine")
        return [machine.ADC(machine.Pin(36), atten=machine.ADC.ATTN_2_5DB).read_uv() for _ in range(9)]

    assert samples(100) == samples(100)
    assert samples(100) != samples(101)


def test_instances_are_recognised_as_of_their_class(machine):
    pin = machine.Pin(32)
    assert isinstance(pin, machine.Pin)
    assert not isinstance(pin, machine.ADC)
    assert machine.Pin(pin).id == 32


@pytest.mark.parametrize("gpio", [6, 11, 20, 24, 40, -1])
def test_pins_that_are_not_there_are_refused(machine, gpio):
    with pytest.raises(ValueError, match="invalid pin"):
        machine.Pin(gpio)


def test_input_only_pins_cannot_be_outputs(machine):
    with pytest.raises(ValueError, match="can only be input"):
        machine.Pin(36, machine.Pin.OUT)


def test_readings_are_whole_millivolts_scattered_about_the_voltage(rig, machine):
    adc = machine.ADC(machine.Pin(36), atten=machine.ADC.ATTN_2_5DB)
    samples = [adc.read_uv() for _ in range(400)]
    assert all(sample % 1000 == 0 for sample in samples)
    assert 2 < len(set(samples)) < 20
    assert sum(samples) / 400_000 == pytest.approx(rig.bench.pin_mv("do"), abs=5.0)
    assert adc.read() == pytest.approx((rig.bench.pin_mv("do") - 78) / 0.312, rel=0.12)
    assert 0 <= adc.read_u16() <= 65535


def test_the_second_converter_is_not_to_be_had_while_the_radio_is_on(rig, machine):
    adc = machine.ADC(machine.Pin(25))
    adc.read()
    rig.buoy.modules("network").WLAN(0).active(True)
    with pytest.raises(OSError, match="Wi-Fi"):
        adc.read_uv()
    with pytest.raises(ValueError, match="invalid pin"):
        machine.ADC(machine.Pin(23))


def test_a_converter_block_hands_out_its_channels(machine):
    block = machine.ADCBlock(1, bits=12)
    by_pin = block.connect(machine.Pin(35), atten=machine.ADC.ATTN_11DB)
    by_channel = block.connect(7, atten=machine.ADC.ATTN_11DB)
    assert abs(by_pin.read_uv() - by_channel.read_uv()) < 20_000


def test_samples_do_not_outlive_a_change(rig, machine):
    adc = machine.ADC(machine.Pin(36), atten=machine.ADC.ATTN_2_5DB)
    assert adc.read_uv() > 300_000
    rig.bench.inject("do", "unplugged")
    assert adc.read_uv() < 100_000
    rig.bench.clear("do")
    rig.bench.put(vessel("zero-oxygen"), "do")
    rig.wait(60)
    assert adc.read_uv() < 100_000


def test_a_uart_keeps_what_fits_its_buffer_and_returns_none_when_empty(rig, machine):
    uart = machine.UART(1, 9600, tx=25, rx=26, rxbuf=64)
    assert uart.any() == 0
    assert uart.read() is None
    assert uart.write(b"C,1\r") == 4
    rig.wait(60)
    assert uart.any() == 64
    assert len(uart.read(10)) == 10
    buffer = bytearray(100)
    assert uart.readinto(buffer) == 54
    assert uart.readinto(buffer) is None


def test_swapped_uart_pins_hear_nothing(rig, machine):
    uart = machine.UART(1, baudrate=9600, tx=26, rx=25)
    uart.write(b"i\r")
    rig.wait(2)
    assert uart.read() is None


def test_a_pin_interrupt_comes_for_every_pulse(rig, machine):
    seen = []
    machine.Pin(27, machine.Pin.IN).irq(seen.append, machine.Pin.IRQ_RISING)
    before = rig.bench.count(27)
    for _ in range(10):
        rig.wait(1)
    assert len(seen) == rig.bench.count(27) - before
    assert len(seen) == pytest.approx(900, rel=0.05)
    machine.Pin(27).irq(None)
    rig.wait(1)
    assert seen[-1] is seen[0]


def test_counters_count_from_their_start_and_can_be_set(rig, machine):
    counter = machine.Counter(0, machine.Pin(27), filter_ns=12_000)
    assert counter.value() == 0
    rig.wait(10)
    assert counter.value(0) == pytest.approx(900, rel=0.05)
    assert counter.value() == 0
    unit = rig.buoy.modules("esp32").PCNT(1, pin=machine.Pin(27), rising=1, max=500)
    unit.start()
    rig.wait(10)
    assert unit.value() < 500
    unit.stop()
    kept = unit.value()
    rig.wait(3)
    assert unit.value() == kept


def test_an_older_micropython_has_no_counter(rig):
    old = Modules(rig.bench, version=(1, 25))
    assert not hasattr(old("machine"), "Counter")
    assert not hasattr(old("esp32"), "PCNT")
    assert hasattr(Modules(rig.bench)("machine"), "Counter")


def test_ticks_wrap_as_on_a_board(rig):
    time = rig.buoy.modules("time")
    rig.bench.advance_to_us((1 << 30) - 10)
    begin = time.ticks_us()
    rig.bench.advance_to_us((1 << 30) + 15)
    assert time.ticks_us() == 15
    assert time.ticks_diff(time.ticks_us(), begin) == 25
    assert time.ticks_add(begin, 25) == 15


def test_timers_run_on_the_simulated_clock(rig, machine):
    ticks = []
    timer = machine.Timer(0)
    timer.init(mode=machine.Timer.PERIODIC, period=250, callback=ticks.append)
    rig.wait(1)
    assert len(ticks) == 4
    timer.deinit()
    rig.wait(1)
    assert len(ticks) == 4
    machine.Timer(1, mode=machine.Timer.ONE_SHOT, period=100, callback=ticks.append)
    rig.wait(1)
    assert len(ticks) == 5


def test_a_watchdog_that_is_not_fed_bites_once(rig, machine):
    dog = machine.WDT(timeout=2000)
    rig.wait(1.5)
    dog.feed()
    rig.wait(1.5)
    assert not rig.bench.chip.watch(rig.bench.now_us)
    rig.wait(1)
    assert rig.bench.chip.watch(rig.bench.now_us)
    assert not rig.bench.chip.watch(rig.bench.now_us)
    assert [event.kind for event in rig.bench.chip.events] == ["wdt"]


def test_resets_and_sleeps_are_handed_to_whoever_runs_the_board(rig, machine):
    machine.reset()
    machine.deepsleep(5000)
    events = [(event.kind, event.sleep_ms) for event in rig.bench.chip.events]
    assert events == [("reset", 0), ("deepsleep", 5000)]
    rig.bench.chip.boot(4, rig.bench.now_us)
    assert machine.reset_cause() == machine.DEEPSLEEP_RESET
    assert machine.wake_reason() == machine.TIMER_WAKE


def test_nvs_keeps_what_was_committed_and_nothing_else(rig):
    nvs = rig.buoy.modules("esp32").NVS("buoy")
    nvs.set_i32("id", 128)
    nvs.set_blob("name", b"thing-128")
    nvs.commit()
    nvs.set_i32("id", 7)
    assert nvs.get_i32("id") == 7
    rig.bench.chip.boot(2, 0)
    assert nvs.get_i32("id") == 128
    buffer = bytearray(16)
    assert buffer[: nvs.get_blob("name", buffer)] == b"thing-128"
    with pytest.raises(OSError, match="LENGTH"):
        nvs.get_blob("name", bytearray(2))
    nvs.erase_key("id")
    with pytest.raises(OSError, match="NOT_FOUND"):
        nvs.get_i32("id")


def test_the_clock_can_be_set_and_remembers_through_deep_sleep(rig, machine):
    rtc = machine.RTC()
    rtc.datetime((2026, 11, 24, 1, 12, 30, 0, 0))
    rig.wait(90)
    assert rtc.datetime() == (2026, 11, 24, 1, 12, 31, 30, 0)
    assert rig.buoy.modules("time").time() == 1795523490 - 946684800
    rtc.memory(b"seq=5")
    for cause in (2, 3, 4, 5):
        rig.bench.chip.boot(cause, rig.bench.now_us)
        assert rtc.memory() == b"seq=5"
        assert rtc.datetime()[:6] == (2026, 11, 24, 1, 12, 31)
    rig.bench.chip.boot(1, rig.bench.now_us)
    assert rtc.memory() == b""
    assert rtc.datetime() == (2000, 1, 1, 5, 0, 0, 0, 0)
    rig.wait(3661)
    assert rtc.datetime() == (2000, 1, 1, 5, 1, 1, 1, 0)


def test_a_board_that_was_just_powered_on_does_not_know_the_year():
    assert Rig(4, place=water()).buoy.modules("machine").RTC().datetime()[0] == 2000


def test_the_oscillator_of_deep_sleep_is_off_by_a_share_that_every_board_has_of_its_own():
    gains_s = set()
    for buoy_id in range(100, 110):
        rig = Rig(4, place=water(), buoy_id=buoy_id)
        chip = rig.bench.chip
        chip.ask("deepsleep", 0)
        chip.boot(4, 3600 * 10**6)
        gains_s.add((chip.utc_us(0) - POWER_ON_UTC_US) / 1e6)
    assert len(gains_s) == 10
    assert 1.0 < max(map(abs, gains_s)) <= 18.0


def test_wifi_takes_its_time_and_fails_for_the_reason_it_has(rig):
    network = rig.buoy.modules("network")
    station = network.WLAN(network.STA_IF)
    with pytest.raises(OSError, match="Not Started"):
        station.connect("buoy", "secret")
    station.active(True)
    station.connect("buoy", "secret")
    assert station.status() == network.STAT_CONNECTING
    assert not station.isconnected()
    rig.wait(2.5)
    assert station.isconnected()
    assert station.ifconfig()[0] == "127.0.0.1"
    assert len(station.config("mac")) == 6
    rig.bench.chip.radio.inject("out-of-range")
    assert station.status() == network.STAT_BEACON_TIMEOUT
    assert station.scan() == []
    rig.bench.chip.radio.clear()
    for name, password, status in (
        ("buoy", "wrong", network.STAT_WRONG_PASSWORD),
        ("other", "", network.STAT_NO_AP_FOUND),
    ):
        station.connect(name, password)
        rig.wait(4)
        assert station.status() == status


def test_an_absent_one_wire_bus_raises_what_the_library_raises(rig, machine):
    onewire, ds18x20 = rig.buoy.modules("onewire"), rig.buoy.modules("ds18x20")
    bus = ds18x20.DS18X20(onewire.OneWire(machine.Pin(4)))
    rom = bus.scan()[0]
    bus.convert_temp()
    rig.wait(1)
    assert bus.read_temp(rom) == pytest.approx(14.0, abs=0.3)
    rig.bench.inject("temp", "open")
    assert bus.scan() == []
    with pytest.raises(onewire.OneWireError):
        bus.convert_temp()
    rig.bench.clear("temp")
    rig.bench.inject("temp", "short")
    assert bus.scan() == []
    assert bus.read_temp(rom) == 0.0  # the trap that drivers must see
    rig.bench.clear("temp")
    rig.bench.inject("temp", "crc")
    with pytest.raises(Exception, match="CRC"):
        bus.read_temp(rom)


def test_a_leaking_circuit_lives_on_until_its_uart_is_parked(rig, machine):
    power = machine.Pin(18, machine.Pin.OUT, value=1)
    machine.UART(1, 9600, tx=25, rx=26)
    rig.bench.inject("ph", "leak")
    rig.wait(1)
    power.value(0)
    assert rig.bench.part("ph").powered
    assert not rig.bench.part("ec").powered
    machine.Pin(25, machine.Pin.IN)
    assert not rig.bench.part("ph").powered


def test_a_switch_can_be_on_while_its_pin_is_low():
    rig = Rig(4, place=water(), switched=True)
    bench = Bench(rig.bench.parts, wiring_of(active_low=frozenset((19,))))
    machine = Modules(bench)("machine")
    power = machine.Pin(19, machine.Pin.OUT, value=1)
    assert not bench.part("tbd").powered
    power.value(0)
    assert bench.part("tbd").powered


def test_the_clock_of_a_bench_does_not_go_back(rig):
    rig.wait(1)
    with pytest.raises(ValueError, match="cannot go back"):
        rig.bench.advance_to_us(5)


def test_modules_that_are_not_simulated_are_named(rig):
    with pytest.raises(ImportError, match=r"'bluetooth'; there are machine, esp32"):
        rig.buoy.modules("bluetooth")
