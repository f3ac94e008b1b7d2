"""`buoy visit` at a terminal, on a simulated board in simulated time: for tests that type.

python visit_program.py KEYS
"""

import sys
from datetime import timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent), str(HERE.parent.parent / "firmware")]

from bench_world import START, Clock, SimulatedBoard, Technician, vessel, water  # noqa: E402

from buoyfleet.calibration.config import load_config  # noqa: E402
from buoyfleet.cli import calibrate_terminal  # noqa: E402
from buoyfleet.visits.request import VisitRequest  # noqa: E402
from buoyfleet.visits.visit import visit_on  # noqa: E402


def main(keys):
    board = SimulatedBoard(calibrated=True)
    hand = Technician(board)

    class Handed(calibrate_terminal.TerminalDialogue):
        """At the terminal; the probes follow the steps."""

        def prepare(self, step, attempt):
            river = step.vessel == "river"
            hand.place(water(ph=7.8, ec25_us_cm=800.0, temp_c=18.0) if river else vessel(step.vessel, 25.0))
            return super().prepare(step, attempt)

    calibrate_terminal.TerminalDialogue = Handed
    ui = calibrate_terminal.TerminalCalibration({}, yes=False, quiet=False)
    request = VisitRequest(keys, meter="meter 4", since=START - timedelta(days=7))
    sys.exit(int(visit_on(board, Clock(board), load_config(None), request, ui).exit_code))


if __name__ == "__main__":
    main(sys.argv[1].split(","))
