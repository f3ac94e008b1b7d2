"""Power, resets, sleep, Wi-Fi and line faults of a simulated board."""

import pytest
import serial
from esp32_bench import mpremote, wait_for

from buoyfleet.simulation.esp32.simulator import Simulator


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("boards"), [140, 141]) as running:
        yield running


def start(simulator, code, buoy_id=140):
    """Have code run and leave it alone."""
    mpremote(simulator.path(buoy_id), "exec", "--no-follow", code)


def boots(simulator, buoy_id=140):
    return simulator.with_board(buoy_id, lambda board: board.boots)


def cause(simulator):
    return mpremote(simulator.path(140), "resume", "eval", "__import__('machine').reset_cause()").strip()


def test_a_watchdog_that_is_not_fed_resets(simulator):
    before = boots(simulator)
    start(simulator, "import machine, time; machine.WDT(timeout=1000); time.sleep(30)")
    wait_for(lambda: boots(simulator) > before)
    assert cause(simulator) == "3"


def test_deep_sleep_is_silent_and_ends_with_a_boot_of_its_own_cause(simulator):
    mpremote(simulator.path(140), "exec", "import machine; machine.RTC().memory(b'kept')")
    before = boots(simulator)
    start(simulator, "import machine; machine.deepsleep(700)")
    wait_for(lambda: simulator.state(140) == "asleep")
    assert simulator.child_pid(140) is None
    wait_for(lambda: boots(simulator) > before)
    assert cause(simulator) == "4"
    assert mpremote(simulator.path(140), "eval", "__import__('machine').RTC().memory()").strip() == "b'kept'"


def test_nvs_of_the_program_stands_in_the_flash_partition_and_survives_the_power(simulator):
    path = simulator.path(140)
    mpremote(path, "exec", "import esp32; n = esp32.NVS('buoy'); n.set_i32('id', 140); n.commit()")
    simulator.power(140, False)
    assert simulator.with_board(140, lambda board: board.flash.read(0x9000, 0x6000)).strip(b"\xff")
    simulator.power(140, True)
    assert mpremote(path, "eval", "__import__('esp32').NVS('buoy').get_i32('id')").strip() == "140"


@pytest.mark.soak
def test_a_power_cut_in_mid_write_leaves_a_file_system_that_mounts(simulator):
    path = simulator.path(140)
    mpremote(path, "exec", "open('old', 'w').write('old')")
    for count in range(1, 6):
        simulator.cut_power_after_writes(140, count)
        start(simulator, "\nfor n in range(99):\n with open('new', 'w') as f: f.write('x' * 6000)\n")
        wait_for(lambda: simulator.state(140) == "off")
        simulator.cut_power_after_writes(140, 0)
        simulator.power(140, True)
        assert mpremote(path, "eval", "open('old').read()").strip() == "old"


def test_unplugged_is_gone_and_replugged_is_elsewhere(simulator):
    port = serial.Serial(simulator.path(141), 115200, timeout=5)
    simulator.unplug(141)
    with pytest.raises(serial.SerialException):
        port.read(10_000)
    port.close()
    path = simulator.replug(141, "elsewhere")
    assert path.endswith("elsewhere")
    assert mpremote(path, "eval", "6 * 7").strip() == "42"


def test_a_brown_out_says_so(simulator):
    with serial.Serial(simulator.path(140), 115200, timeout=5) as port:
        port.write(b"\r")
        port.read_until(b">>> ")
        simulator.brown_out(140)
        assert b"RTCWDT_BROWN_OUT_RESET" in port.read_until(b"RTCWDT_BROWN_OUT_RESET")


def test_an_erased_board_complains_and_answers_nothing(simulator):
    simulator.with_board(141, lambda board: board.flash.erase(0x1000, 0x1000))
    simulator.power(141, True)
    assert simulator.state(141) == "dead"
    with serial.Serial(simulator.path(141), 115200, timeout=5) as port:
        assert b"invalid header: 0xffffffff" in port.read_until(b"invalid header: 0xffffffff")


def test_wifi_out_of_range_is_seen_by_the_program(simulator):
    path = simulator.path(140)
    simulator.access_point("harbour", "secret")
    code = (
        "import network, time\nw = network.WLAN(0)\nw.active(True)\nw.connect('harbour', 'secret')\n"
        "while w.status() == 1001: time.sleep_ms(50)\nprint(w.status())"
    )
    assert mpremote(path, "exec", code).strip() == "1010"
    simulator.wifi_in_range(140, False)
    assert mpremote(path, "resume", "eval", "w.status()").strip() == "200"
    simulator.wifi_in_range(140, True)
