"""Flash, load-test, verify and calibrate ESP32 water-quality buoys: the library under the command `buoy`.

What this module lists is the public API (docs/library.md); everything else may change with any version.

Importing it makes the two packages of a board, `buoy` and `sensors`, importable by the names that they have
there: the host works with the same files. They come with this package and are never installed beside it.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

from buoyfleet.model.places import FILES

if TYPE_CHECKING:
    from buoyfleet.bench.batch_context import BoardResult, ProgressEvent
    from buoyfleet.bench.bench import Bench
    from buoyfleet.bench.bench_options import BatchResult, BenchOptions
    from buoyfleet.bench.ui import BenchUi
    from buoyfleet.calibration.calibrate import CalibrationResult, calibrate
    from buoyfleet.calibration.session import CalibrationRequest, SensorOutcome
    from buoyfleet.calibration.ui import CalibrationUi, Unattended
    from buoyfleet.inventory.loader import load_fleet
    from buoyfleet.inventory.overrides import Overrides
    from buoyfleet.model.comparison import Comparison
    from buoyfleet.model.errors import BuoyError
    from buoyfleet.model.exit_codes import ExitCode
    from buoyfleet.model.fleet import Fleet
    from buoyfleet.model.result import Result
    from buoyfleet.runs.check_fleet import FleetCheck, check_fleet
    from buoyfleet.runs.compare_runs import compare_runs
    from buoyfleet.runs.finished import FinishedRun
    from buoyfleet.runs.run_fleet import RunOptions, StoppedAtOnce, run_fleet
    from buoyfleet.runs.ui import RunUi, Silent
    from buoyfleet.runs.verify_run import verify_run
    from buoyfleet.simulation.esp32.simulator import Simulator

__all__ = [
    "BatchResult",
    "Bench",
    "BenchOptions",
    "BenchUi",
    "BoardResult",
    "BuoyError",
    "CalibrationRequest",
    "CalibrationResult",
    "CalibrationUi",
    "Comparison",
    "ExitCode",
    "FinishedRun",
    "Fleet",
    "FleetCheck",
    "Overrides",
    "ProgressEvent",
    "Result",
    "RunOptions",
    "RunUi",
    "SensorOutcome",
    "Silent",
    "Simulator",
    "StoppedAtOnce",
    "Unattended",
    "calibrate",
    "check_fleet",
    "compare_runs",
    "load_fleet",
    "run_fleet",
    "verify_run",
]
_MODULES = {
    "BatchResult": "bench.bench_options",
    "Bench": "bench.bench",
    "BenchOptions": "bench.bench_options",
    "BenchUi": "bench.ui",
    "BoardResult": "bench.batch_context",
    "BuoyError": "model.errors",
    "CalibrationRequest": "calibration.session",
    "CalibrationResult": "calibration.calibrate",
    "CalibrationUi": "calibration.ui",
    "Comparison": "model.comparison",
    "ExitCode": "model.exit_codes",
    "FinishedRun": "runs.finished",
    "Fleet": "model.fleet",
    "FleetCheck": "runs.check_fleet",
    "Overrides": "inventory.overrides",
    "ProgressEvent": "bench.batch_context",
    "Result": "model.result",
    "RunOptions": "runs.run_fleet",
    "RunUi": "runs.ui",
    "SensorOutcome": "calibration.session",
    "Silent": "runs.ui",
    "Simulator": "simulation.esp32.simulator",
    "StoppedAtOnce": "runs.run_fleet",
    "Unattended": "calibration.ui",
    "calibrate": "calibration.calibrate",
    "check_fleet": "runs.check_fleet",
    "compare_runs": "runs.compare_runs",
    "load_fleet": "inventory.loader",
    "run_fleet": "runs.run_fleet",
    "verify_run": "runs.verify_run",
}
"""Loaded when they are asked for: a pack of virtual boards has no use for the verdict."""


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


_FOLDERS = {"buoy": FILES / "firmware", "sensors": FILES}


class _BoardPackages:
    """Ahead of the path: a folder `sensors` where a user works is not what a board has.

    No subclass of `importlib.abc.MetaPathFinder`: its import would double the time of `buoy --help`.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path
        folder = _FOLDERS.get(name)
        return None if folder is None else PathFinder.find_spec(name, [str(folder)], target)


def _refuse_others() -> None:
    for name, folder in _FOLDERS.items():
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and not file.startswith(str(folder / name)):
            raise ImportError(
                f"a package `{name}` of another program is loaded ({file}); buoyfleet has one of that name: "
                "import buoyfleet first, or use it in a process of its own"
            )


_refuse_others()
if not any(isinstance(finder, _BoardPackages) for finder in sys.meta_path):
    sys.meta_path.insert(0, _BoardPackages())
