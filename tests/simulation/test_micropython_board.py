"""The drivers on MicroPython against simulated parts, over the wire."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import Rig

from buoyfleet.simulation.buses.bench import OPERATIONS
from buoyfleet.simulation.buses.server import SHIMS, answer, serving
from buoyfleet.simulation.parts.solutions import water
from sensors import flags

HERE = Path(__file__).resolve().parent
RIVER = {
    "temp_c": 12.0, "ph": 7.6, "ec25_us_cm": 300.0, "do_pct": 95.0, "ntu": 40.0, "kpa": 12.0, "flow_l_s": 0.2,
}  # fmt: skip


@pytest.fixture
def on_micropython(micropython, project_root, tmp_path):
    """Run a board's program on MicroPython with an ESP32's heap; gives the lines it printed."""

    def run(rig, script, *arguments, heap="128wk"):
        path = ":".join(map(str, (SHIMS, project_root, project_root / "firmware")))
        with serving(rig.bench) as descriptor:
            done = subprocess.run(
                [micropython, "-X", f"heapsize={heap}", script, str(descriptor), *arguments],
                cwd=tmp_path,
                env={**os.environ, "BUOY_PATH": path},
                pass_fds=(descriptor,),
                capture_output=True,
                text=True,
                timeout=60,
            )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


@pytest.fixture
def read_all(on_micropython, tmp_path):
    def run(rig, readings=2):
        file = tmp_path / "settings.json"
        file.write_text(json.dumps(rig.buoy.settings))
        return [
            json.loads(line) for line in on_micropython(rig, HERE / "board_main.py", str(file), str(readings))
        ]

    return run


def test_nine_drivers_read_on_micropython_what_they_read_on_cpython(read_all):
    reports = read_all(Rig(3, place=water(**RIVER)))
    twin = Rig(3, place=water(**RIVER))
    reader = twin.reader()
    for report in reports:
        twin.drive(reader)
        assert report["now_ms"] == twin.now_ms
        for key, sensor in reader.sensors.items():
            value, flag = report["sensors"][key]
            assert flag == sensor.flags == 0, key
            # The same samples on both: equal but for the last bits of floating point.
            assert value == pytest.approx(sensor.value, rel=1e-6), key


def test_the_modules_and_nine_drivers_leave_half_of_an_esp32s_heap(read_all):
    # 128 kwords are 256 KB here, 128 KB on the ESP32's 32-bit words.
    assert read_all(Rig(3, place=water(**RIVER)), 1)[0]["heap"] < 140_000


@pytest.mark.parametrize(
    ("key", "fault", "flag"),
    [
        ("temp", "short", "missing"),
        ("ph", "silent", "missing"),
        ("do", "unplugged", "saturated-low"),
        ("wf", "noise", "range"),
    ],
)
def test_faults_reach_the_drivers_on_micropython(read_all, key, fault, flag):
    rig = Rig(3, place=water(**RIVER))
    rig.bench.inject(key, fault)
    value, bits = read_all(rig, 1)[0]["sensors"][key]
    assert value is None
    assert flag in flags.names(bits)


def test_interrupts_timers_nvs_and_errors_pass_the_wire(on_micropython, tmp_path):
    script = tmp_path / "board.py"
    script.write_text(
        """
import os, sys
sys.path[:] = os.getenv("BUOY_PATH").split(":")
import buoy_wire
wire = buoy_wire.connect_fd(int(sys.argv[1]), simulated=True)
import esp32, machine, network, simulated_time
pulses = []
ticks = []
machine.Pin(27, machine.Pin.IN).irq(lambda pin: pulses.append(pin.id), machine.Pin.IRQ_RISING)
machine.Timer(0, mode=machine.Timer.PERIODIC, period=500, callback=lambda timer: ticks.append(1))
for second in range(1, 6):
    wire.now_us = second * 1000000
print(len(pulses), set(pulses), len(ticks), simulated_time.ticks_ms())
nvs = esp32.NVS("buoy")
nvs.set_blob("x", b"\\x00\\xff text")
nvs.set_i32("n", -5)
buffer = bytearray(20)
print(nvs.get_i32("n"), bytes(buffer[:nvs.get_blob("x", buffer)]))
for attempt in (lambda: nvs.get_i32("none"), lambda: machine.Pin(7), lambda: machine.ADC(machine.Pin(23))):
    try:
        attempt()
    except (OSError, ValueError) as error:
        print(type(error).__name__, error.args[-1])
station = network.WLAN(0)
station.active(True)
station.connect("buoy", "secret")
wire.now_us = 9000000
print(station.isconnected(), station.ifconfig()[0], machine.unique_id(), type(machine.Pin(4)) is machine.Pin)
uart = machine.UART(1, 9600, tx=25, rx=26)
uart.write(b"i\\r")
wire.now_us = 11000000
print(uart.any(), uart.read())
machine.reset()
"""
    )
    rig = Rig(3, place=water(**RIVER))
    lines = on_micropython(rig, script)
    count = int(lines[0].split()[0])
    assert count == pytest.approx(5 * 0.2 * 450, rel=0.05)
    assert lines[0].split()[1:] == ["{27}", "10", "5000"]
    assert lines[1:5] == [
        "-5 b'\\x00\\xff text'",
        "OSError ESP_ERR_NVS_NOT_FOUND",
        "ValueError invalid pin",
        "ValueError invalid pin",
    ]
    assert lines[5] == f"True 127.0.0.1 {rig.bench.chip.mac!r} True"
    assert lines[6] == "15 b'?I,pH,2.14\\r*OK\\r'"
    assert [event.kind for event in rig.bench.chip.events] == ["reset"]


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"{}", b"[]", b"[1]", b'[0,"os_system"]', b'[0,"pin_get","s:x",9,9]',
     b'[5,"pin_init",77]', b'["later","pin_get",4]', b"[null,null]", b'[0,"ow_read",4,"b:zz"]',
     b'[0,"uart_in",1]'],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_answered_with_an_error(line):
    reply = answer(Rig(3).bench, line)
    assert int(reply[:6]) == len(reply) - 6
    assert json.loads(reply[6:])[0] == "!"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["s:buoy", "b:00ff", "b:zz"]),
    lambda inner: st.lists(inner, max_size=9),
    max_leaves=9,
)  # fmt: skip


@pytest.mark.soak
@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*OPERATIONS, "edges"]), st.lists(ANYTHING, max_size=4), ANYTHING)
def test_no_arguments_of_a_program_under_test_upset_the_server(operation, arguments, now_us):
    bench = Rig(3).bench
    for time_us in (now_us, None):
        reply = answer(bench, json.dumps([time_us, operation, *arguments]).encode())
        assert int(reply[:6]) == len(reply) - 6
    assert answer(bench, b'[null,"pin_get",4]')[6:8] == b"[0"


def test_serving_ends_when_the_board_is_gone():
    with serving(Rig(3).bench) as descriptor:
        os.write(descriptor, b'[0,"pin_get",13]\n')
        assert os.read(descriptor, 100) == b"000005[1,0]"
