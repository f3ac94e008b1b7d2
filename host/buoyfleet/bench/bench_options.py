"""How boards are flashed and commissioned, and how a batch of them ended."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from buoyfleet.bench.batch import Outcome, Stopped, is_defect
from buoyfleet.bench.batch_context import BoardResult
from buoyfleet.bench.folder import BenchFolder
from buoyfleet.bench.prepare import load_image
from buoyfleet.bench.ui import BenchUi
from buoyfleet.model.bench import BenchSpec
from buoyfleet.model.board_names import BoardName
from buoyfleet.model.errors import UsageError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.serial.esp_image import FlashImage
from buoyfleet.serial.listing import PortInfo, list_ports

FORCEABLE = ("interpreter", "files", "keys", "identity", "all")


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """How to flash and commission; what is left out is as the fleet file says."""

    interpreter: str = ""
    """An image file, or a version of MicroPython."""
    sha256: str = ""
    """Of the image."""
    ports: tuple[str, ...] = ()
    """More ports: paths, `FOLDER/*` or URLs."""
    force: frozenset[str] = frozenset()
    """Steps to do again although nothing is missing, of `FORCEABLE`."""
    erase: bool = False
    """Erase the whole flash first, identity included."""
    test: bool = False
    """Self-test also where nothing is missing."""
    reassign: bool = False
    """Give a board an id that the records give another."""
    connect: bool = True
    """The self-test connects and publishes."""
    dry_run: bool = False
    """Look and plan; change nothing."""
    baud: int = 0
    """Bits per second of flashing; 0: the fleet file's."""
    parallel: int | None = None
    """Boards at once; 0: all; None: the fleet file's."""
    per_hub: int | None = None
    """Boards at once on one USB hub; 0: all; None: the fleet file's."""

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            UsageError: a step that cannot be forced.
        """
        strange = self.force - set(FORCEABLE)
        if strange:
            raise UsageError(
                f"--force {', '.join(sorted(strange))}", next_step=f"one of {', '.join(FORCEABLE)}"
            )

    def over(self, spec: BenchSpec) -> BenchSpec:
        """The fleet file's settings with these."""
        return replace(
            spec,
            interpreter=self.interpreter or spec.interpreter,
            interpreter_sha256=self.sha256 or ("" if self.interpreter else spec.interpreter_sha256),
            ports=(*self.ports, *spec.ports),
            parallel=spec.parallel if self.parallel is None else self.parallel,
            per_hub=spec.per_hub if self.per_hub is None else self.per_hub,
            baud=self.baud or spec.baud,
        )


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a batch of boards ended."""

    boards: tuple[Outcome[BoardResult], ...]
    """One for each board, in the order they were named: `key`, `passed`, `value`, `error`."""

    @property
    def passed(self) -> bool:
        """Whether every board did what was asked."""
        return self.exit_code is ExitCode.OK

    @property
    def exit_code(self) -> ExitCode:
        """As `buoy` ends with it: 0 only if every board passed."""
        errors = [board.error for board in self.boards]
        if any(is_defect(error) for error in errors):
            return ExitCode.INTERNAL_ERROR
        if any(_was_stopped(error) for error in errors):
            return ExitCode.INTERRUPTED
        return ExitCode.OK if all(board.passed for board in self.boards) else ExitCode.BOARDS_FAILED


def fetch_image(spec: BenchSpec, folder: BenchFolder, ui: BenchUi) -> FlashImage | None:
    """The interpreter's image; None if neither file nor options name one.

    Raises:
        BuoyError: it cannot be fetched, or is no image for an ESP32.
    """
    return load_image(spec, folder, lambda done, whole: ui.download(spec.interpreter, done, whole))


def hubs_of(names: Sequence[BoardName], spec: BenchSpec) -> dict[str, str]:
    """Name → USB hub, as far as it is known without asking boards."""
    if not spec.per_hub:
        return {name.text: "" for name in names}
    ports = list_ports(spec.ports)
    hubs: dict[str, str] = {}
    for name in names:
        port = next((port for port in ports if port.answers_to(name)), PortInfo(name.value))
        hubs[name.text] = port.hub
    return hubs


def _was_stopped(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, Stopped):
            return True
        error = error.__cause__
    return False
