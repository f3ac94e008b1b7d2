"""What a tenth sensor can do once it is added, in a copy of the tree: `python tenth_program.py TREE`."""

import os
import sys
import tempfile
from pathlib import Path

TREE = Path(sys.argv[1])
sys.path[:0] = [str(TREE / "host"), str(TREE / "tests" / "calibration")]

import buoyfleet  # noqa: E402

assert Path(buoyfleet.__file__).is_relative_to(TREE)
os.chdir(tempfile.mkdtemp(dir=TREE))

from bench_world import SimulatedBoard, calibrate  # noqa: E402

from buoyfleet.boards.firmware_files import firmware_files  # noqa: E402
from buoyfleet.calibration.config import INTERVAL_DAYS  # noqa: E402
from buoyfleet.inventory.loader import load_fleet  # noqa: E402
from sensors.fakes import make_fake  # noqa: E402
from sensors.flags import names  # noqa: E402

board = SimulatedBoard(sensors={"orp": {"mode": "hardware"}, "temp": {"mode": "hardware"}})
result, record = calibrate(board, "orp")
print("calibration", result.outcome, record.key, INTERVAL_DAYS["orp"])  # noqa: T201
board.bench.parts["orp"].medium = board.bench.parts["temp"].medium
reading = board.request("sensors", keys=["temp", "orp"])["orp"]
print("reading", reading["unit"], *names(reading["flags"]))  # noqa: T201
Path("fleet.yaml").write_text(
    "fleet: ten\ntarget: local\nrun: {messages: 3, rate: 2/s}\n"
    "boards:\n  - {kind: virtual, ids: 100-101, sensors: {orp: walk, ph: counter}}\n"
)
board_spec = load_fleet("fleet.yaml").boards[0]
print("fleet", *(sensor.key for sensor in board_spec.sensors if sensor.key in ("orp", "ph")))  # noqa: T201
print("fake", 150 <= make_fake("orp", "walk").sample(0) <= 350)  # noqa: T201
program = next(data for name, data in firmware_files(Path("compiled")).items() if name.endswith(".bin"))
print("firmware", b"EZO-ORP" not in program, len(program) > 50_000)  # noqa: T201
