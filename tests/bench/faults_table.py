"""The table of faults: what befalls a board at which step, and how that run ends."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bench_rig import Rig, later

from buoyfleet.bench.batch_context import ProgressEvent
from buoyfleet.bench.plan import StepName

Action = Callable[[Rig, int], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to a board."""

    name: str
    strike: Action
    """Called in the moment of the fault; must not wait."""
    mend: Action = lambda _rig, _buoy: None
    """What a person does before the second run."""
    survivable: bool = True
    """Whether the same run gets through by itself."""
    sentence: str = ""
    """Part of the message where it does not."""


def _cycle_power(rig: Rig, buoy: int) -> None:
    rig.simulator.power(buoy, True)


def _unplug(rig: Rig, buoy: int) -> None:
    rig.simulator.unplug(buoy)


def _replug(rig: Rig, buoy: int) -> None:
    rig.simulator.replug(buoy)


def _replug_elsewhere(rig: Rig, buoy: int) -> None:
    rig.simulator.unplug(buoy)
    later(0.8, lambda: rig.simulator.replug(buoy, f"elsewhere-{buoy}"))


def _power_off(rig: Rig, buoy: int) -> None:
    rig.simulator.power(buoy, False)


def _hang(rig: Rig, buoy: int) -> None:
    rig.simulator.hang(buoy)


def _hang_for_a_while(rig: Rig, buoy: int) -> None:
    rig.simulator.hang(buoy)
    later(2.0, lambda: rig.simulator.hang(buoy, False))


def _noise_for_a_while(rig: Rig, buoy: int) -> None:
    rig.simulator.noise(buoy, 0.003)
    later(1.0, lambda: rig.simulator.noise(buoy, 0.0))


def _noise(rig: Rig, buoy: int) -> None:
    rig.simulator.noise(buoy, 0.2)


def _silence(rig: Rig, buoy: int) -> None:
    rig.simulator.noise(buoy, 0.0)


def _brown_out(rig: Rig, buoy: int) -> None:
    rig.simulator.brown_out(buoy)


def _cut_in_write(rig: Rig, buoy: int) -> None:
    rig.simulator.cut_power_after_writes(buoy, 5)

    def restore() -> None:
        rig.simulator.cut_power_after_writes(buoy, 0)
        rig.simulator.power(buoy, True)

    later(2.5, restore)


def _out_of_range(rig: Rig, buoy: int) -> None:
    rig.simulator.wifi_in_range(buoy, False)


def _in_range(rig: Rig, buoy: int) -> None:
    rig.simulator.wifi_in_range(buoy, True)


RESET = Fault("reset", _cycle_power)
BROWN_OUT = Fault("brown-out", _brown_out)
ELSEWHERE = Fault("comes back on another port", _replug_elsewhere)
UNPLUGGED = Fault("unplugged for good", _unplug, _replug, False, "did not come back within")
NO_POWER = Fault("no power", _power_off, _cycle_power, False, "")
HANG = Fault("hangs", _hang)
PAUSE = Fault("hangs for two seconds", _hang_for_a_while)
NOISE = Fault("noise for a second", _noise_for_a_while)
BAD_LINE = Fault("a line that spoils every fifth byte", _noise, _silence, False, "")
CUT = Fault("power cut in a write", _cut_in_write)
NO_WIFI = Fault("out of reach of the Wi-Fi", _out_of_range, _in_range, False, "the Wi-Fi is not joined")

EVERYWHERE = (RESET, BROWN_OUT, ELSEWHERE, UNPLUGGED, NO_POWER, HANG, PAUSE, NOISE, BAD_LINE)
WORKING: tuple[StepName, ...] = (
    "identify",
    "maintenance",
    "interpreter",
    "files",
    "identity",
    "restart",
    "self-test",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    step: StepName
    fault: Fault
    midway: bool = False
    """Strike when half of the step is done, not at its beginning."""
    survives: bool | None = None
    """Differs from the fault's own; None: as it says."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.step}{' midway' if self.midway else ''}: {self.fault.name}"

    @property
    def passes(self) -> bool:
        """Whether the first run gets through."""
        return self.fault.survivable if self.survives is None else self.survives


@dataclass(slots=True)
class Striker:
    """Lets each board's fault happen once, at its step."""

    rig: Rig
    rows: dict[int, Row]
    struck: set[int] = field(default_factory=set)

    def __call__(self, event: ProgressEvent) -> None:
        buoy = int(event.board)
        row = self.rows.get(buoy)
        if row is None or buoy in self.struck or event.step != row.step:
            return
        if event.kind == ("progress" if row.midway else "step") and (not row.midway or event.share > 0.3):
            self.struck.add(buoy)
            with contextlib.suppress(ProcessLookupError):
                row.fault.strike(self.rig, buoy)


def whole_table() -> list[Row]:
    """Every fault at every step, at its beginning and where it takes long in its middle."""
    rows = [Row(step, fault) for step in WORKING for fault in EVERYWHERE]
    rows += [Row("interpreter", fault, True) for fault in EVERYWHERE]
    rows += [Row("files", fault, True) for fault in (*EVERYWHERE, CUT)]
    rows.append(Row("self-test", NO_WIFI))
    # Before its MAC is known a board that was named by its port cannot be found on another.
    return [replace(row, survives=False) if row == Row("identify", ELSEWHERE) else row for row in rows]


def short_table() -> list[Row]:
    """A choice for `make test`; `make soak` has every fault at each step."""
    return [
        Row("identify", NOISE),
        Row("interpreter", RESET),
        Row("files", CUT, True),
        Row("files", UNPLUGGED, True),
        Row("restart", PAUSE),
        Row("self-test", NO_WIFI),
    ]


def hold_port(port: str) -> "subprocess.Popen[str]":
    """Another process that has a port locked until its input ends."""
    code = (
        "import sys\nfrom buoyfleet.serial.lock import PortLock\n"
        f"lock = PortLock({port!r}, 'somebody else')\nprint('held', flush=True)\nsys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process
