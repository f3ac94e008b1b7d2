"""`buoy calibrate` at a terminal, on a simulated board in simulated time: for tests that type.

    python dialogue_program.py KEY OPTIONS_AS_JSON

Options: points, swap (step → vessel), pace_s (real seconds of every wait), drifting (steps in which
nothing stands still), yes and config (a plan), answers, force, by_key, certificate (draw it). When a
step begins, the probes are in its vessel. At the end a line `WHOLE …` tells settings, notes and the
circuits' numbers. The exit code is the command's.
"""

import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent), str(HERE.parent.parent / "firmware")]

from bench_world import Clock, SimulatedBoard, Technician, vessel  # noqa: E402

from buoyfleet.calibration import session  # noqa: E402
from buoyfleet.calibration.calibrate import calibrate_on  # noqa: E402
from buoyfleet.calibration.certificate.write import HTML_NAME, PDF_NAME, Files  # noqa: E402
from buoyfleet.calibration.config import load_config  # noqa: E402
from buoyfleet.calibration.session import CalibrationRequest  # noqa: E402
from buoyfleet.cli import calibrate_terminal  # noqa: E402
from buoyfleet.cli.console import print_error  # noqa: E402
from buoyfleet.model.errors import BuoyError  # noqa: E402


class Drifting:
    """A vessel in which nothing stands still."""

    def __init__(self, name):
        self.inside = vessel(name, 21.0)

    def sample(self, t_s):
        sample = self.inside.sample(t_s)
        more = t_s / 60.0
        return sample._replace(
            ph=sample.ph + 0.3 * more,
            kpa=sample.kpa + 20 * more,
            do_pct=100.0 - 5.0 * more,
            temp_c=sample.temp_c,
        )


class PacedClock(Clock):
    """Every wait also takes real time, so that somebody can type meanwhile."""

    def __init__(self, board, pace_s):
        super().__init__(board)
        self.pace_s = pace_s

    def wait(self, seconds):
        super().wait(seconds)
        time.sleep(self.pace_s)


def main(key, options):
    board = SimulatedBoard(calibrated=True, seed=options.get("seed", 1))
    hand = Technician(board)
    drifting = options.get("drifting", [])
    swap = options.get("swap", {})

    class Handed(calibrate_terminal.TerminalDialogue):
        """At the terminal; the probes follow the steps."""

        def prepare(self, step, attempt):
            name = swap.get(step.name, step.vessel) if attempt == 1 else step.vessel
            hand.place(Drifting(name) if step.name in drifting else name)
            return super().prepare(step, attempt)

        def gate(self, name, question, look=None):
            super().gate(name, question, look)
            if name == "start":  # the bucket fills while nobody types
                board.run(10.0 / hand.flow)

    calibrate_terminal.TerminalDialogue = Handed
    if not options.get("certificate"):  # drawing it takes longer than all the rest
        session.write_certificate = lambda folder: Files(folder / HTML_NAME, folder / PDF_NAME)
    config = load_config(Path(options["config"]) if "config" in options else None)
    request = CalibrationRequest(
        [key] if key != "all" else [], tuple(options.get("points", ())), operator="M. Lee"
    )
    request.force = options.get("force", False)
    request.by_key = options.get("by_key", False)
    clock = PacedClock(board, options.get("pace_s", 0.0))
    try:
        ui = calibrate_terminal.TerminalCalibration(
            options.get("answers", {}), yes=options.get("yes", False), quiet=False
        )
        code = int(calibrate_on(board, clock, config, request, ui).exit_code)
    except BuoyError as error:
        print_error(error)
        code = int(error.exit_code)
    settings = board.request("get")
    numbers = {one: board.bench.part(one)._calibration_numbers() for one in ("ph", "ec")}
    own = {one: [float(f"{n:.5g}") for n in found] for one, found in numbers.items()}
    print("WHOLE", json.dumps([settings["sensors"], settings["calibration"], own]))  # noqa: T201
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
