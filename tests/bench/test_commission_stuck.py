"""A board with a program that nothing stops: it is named with the way out, and comes back by that way."""

import pytest
from bench_rig import IMAGE_BYTES, PATIENT, SSID, WIFI_PASSWORD, Rig

from buoyfleet.bench.batch_context import ProgressEvent, StepFailed
from buoyfleet.bench.plan import Options
from buoyfleet.serial.board_files import send_files
from buoyfleet.serial.port import open_port
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.simulation.esp32.child import Child
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import synthetic_image

BUOY = 345
DEAF = b"""
import micropython
micropython.kbd_intr(-1)
while True:
    print("pump controller 2.1")
"""


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_board_that_nothing_stops_is_named_and_comes_back_by_erasing(tmp_path, monkeypatch):
    interrupt = Child._interrupt
    deaf = False

    def too_late(child: Child) -> None:
        """On the chip Ctrl-C counts only while a program runs (shared/runtime/pyexec.c); this one switches it
        off in its first statement."""
        if not deaf:
            interrupt(child)

    monkeypatch.setattr(Child, "_interrupt", too_late)
    with Simulator(tmp_path / "sim", [BUOY], flashed=False, access_points={SSID: WIFI_PASSWORD}) as simulator:
        simulator.with_board(BUOY, lambda board: board.flash.write(0x1000, synthetic_image(size=IMAGE_BYTES)))
        simulator.power(BUOY, True)
        port = simulator.path(BUOY)
        line = open_port(port)
        repl = RawRepl(line, port)
        repl.enter()
        send_files(repl, {"boot.py": DEAF})
        deaf = True
        repl.hard_reset()
        line.close()
        rig = Rig(tmp_path, simulator)
        failed = rig.commission([BUOY], {BUOY: port})[BUOY].error
        assert isinstance(failed, StepFailed)
        assert failed.step == "identify"
        assert "a program runs that cannot be stopped" in str(failed)
        assert "pump controller 2.1" in str(failed)
        assert "the same command with --erase: everything on the board is lost" in str(failed)

        def erased(event: ProgressEvent) -> None:
            nonlocal deaf
            deaf = deaf and event.step != "interpreter"

        rig.on_happening = erased
        back = rig.commission(
            [BUOY], {BUOY: port}, patience=PATIENT, connect_s=60.0, options=Options(erase=True)
        )
        assert back[BUOY].passed, str(back[BUOY].error)
        assert not deaf
