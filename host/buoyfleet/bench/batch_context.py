"""What the boards of a batch share, and what becomes of each."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from buoyfleet.bench.arrivals import Arrivals
from buoyfleet.bench.identity import Claim, conflicts, refuse
from buoyfleet.bench.plan import Options, Software, Step, StepName
from buoyfleet.bench.records import Book, Record, Records
from buoyfleet.bench.self_test import CONNECT_S
from buoyfleet.bench.session import Patience
from buoyfleet.bench.wanted import Wanted
from buoyfleet.model.board_names import mac_text
from buoyfleet.model.errors import BoardError, BuoyError
from buoyfleet.serial.chips import SUPPORTED, chip_name
from buoyfleet.serial.esp_image import FlashImage
from buoyfleet.serial.probe import Found

NEEDED: dict[str, str] = {
    "busy": "close the program that has it",
    "gone": "plug the board in",
    "silent": "press EN (reset) on the board and try again",
    "stuck": "the same command with --erase: everything on the board is lost, its id, Wi-Fi, keys, settings "
    "and files included",
    "other": "give the right port; a board without power, or on a cable for power only, looks the same",
}


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """What a board's screen line shows."""

    board: str
    kind: Literal["step", "progress", "note", "done", "failed"]
    step: StepName | None = None
    text: str = ""
    share: float = 0.0
    """Of a step under way, 0 to 1."""


@dataclass(slots=True)
class BatchContext:
    """What all boards of a batch share; safe for their threads."""

    records: Records
    software: Software
    image: FlashImage | None
    book: Book
    options: Options
    more_ports: tuple[str, ...] = ()
    baud: int = 460_800
    reassign: bool = False
    dry_run: bool = False
    logs: Path | None = None
    patience: Patience = field(default_factory=Patience)
    topic_prefix: str = "aws/0"
    broker: str = ""
    arrivals: Callable[[], Arrivals | None] = lambda: None
    """Gives the watcher of the broker; starts it when first asked for."""
    connect_s: float = CONNECT_S
    show: Callable[[ProgressEvent], None] = lambda _: None
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _claimed: dict[str, tuple[int, str]] = field(default_factory=dict)

    def claim(self, claim: Claim) -> None:
        """Take a MAC for an id; refused where that clashes with a board of the records or of this batch.

        Raises:
            BoardError: with both sides.
        """
        with self._guard:
            twice = self._claimed.get(claim.mac)
            if twice is not None and twice != (claim.buoy, claim.port):
                raise BoardError(
                    f"{mac_text(claim.mac)} is named twice: as buoy {twice[0]} on {twice[1]} and as "
                    f"{claim.buoy}; nothing was written",
                    where=claim.port,
                    next_step="name each board once",
                )
            refuse(claim, conflicts(claim, self.book, self._claimed, self.reassign))
            self._claimed[claim.mac] = (claim.buoy, claim.port)


class StepFailed(BoardError):
    """A board's failure with the step it was in."""

    def __init__(self, step: StepName, error: BuoyError) -> None:
        super().__init__(error.what, where=error.where, cause=error.cause, next_step=error.next_step)
        self.step = step
        self.__cause__ = error

    def __str__(self) -> str:
        return f"step {self.step}: {super().__str__()}"


@dataclass(slots=True)
class BoardResult:
    """What became of one board."""

    wanted: Wanted
    port: str = ""
    mac: str = ""
    plan: list[Step] = field(default_factory=list)
    done: list[StepName] = field(default_factory=list)
    record: Record | None = None
    seconds: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    """Step → seconds."""


def require_usable(found: Found, erase: bool = False) -> None:
    """Refuse what cannot be commissioned, with what it is.

    Args:
        found: on the port.
        erase: the flash will be erased first, which ends every program.

    Raises:
        BoardError: not a board that answers.
    """
    if found.state in NEEDED and not (erase and found.state == "stuck"):
        raise BoardError(found.runs, where=found.port, next_step=NEEDED[found.state])
    kind = chip_name(found.chip)
    if found.chip and kind != SUPPORTED:
        raise BoardError(
            f"the chip is {kind or found.chip}, not a plain {SUPPORTED}",
            where=found.port,
            cause="the firmware and its image are for the ESP32 alone",
            next_step=f"a board with an {SUPPORTED}; nothing was written",
        )


def refuse_in_the_way(found: Found) -> None:
    """Refuse a board with files that the firmware would import in place of MicroPython's own modules.

    Raises:
        BoardError: naming them.
    """
    if not found.in_the_way:
        return
    files = " ".join(found.in_the_way)
    raise BoardError(
        f"{files.replace(' ', ', ')} on the board would be imported in place of MicroPython's own",
        where=found.port,
        cause="left over from an earlier project",
        next_step=f"buoy files rm {found.port} {files}; or --erase, which takes id, Wi-Fi, keys, settings "
        "and all files, too",
    )
