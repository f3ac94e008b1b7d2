"""All records of a bench: what was calibrated when, what holds, what is due."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from buoyfleet.calibration.procedures import PROCEDURES
from buoyfleet.calibration.record import FILE_NAME, Record, read_record
from buoyfleet.model.errors import UsageError


@dataclass(slots=True)
class Damaged:
    """A record that cannot be read."""

    path: Path
    reason: str


class History:
    """The records under one folder, oldest first.

    Args:
        folder: `<folder>/<board>/<time>-<key>/record.jsonl`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[Damaged] = []
        self.records: list[Record] = []
        for path in sorted(folder.glob(f"*/*/{FILE_NAME}")):
            try:
                self.records.append(read_record(path))
            except UsageError as error:
                self.damaged.append(Damaged(path, error.what))
        self.records.sort(key=lambda record: record.begin["time"])

    def of(self, board: str = "", key: str = "") -> Iterator[Record]:
        """Records of a board (name, buoy id or MAC) and a sensor; empty means all."""
        for record in self.records:
            if board and not _is_board(record, board):
                continue
            if not key or record.key == key:
                yield record

    def boards(self) -> list[str]:
        """Names of the boards there are records of."""
        return sorted({record.board for record in self.records}, key=_natural)

    def undone(self, record: Record) -> bool:
        """Whether a later record took this calibration back."""
        return any(
            later.begin.get("undoes") == record.identifier for later in self.of(record.board, record.key)
        )

    def in_force(self, board: str, key: str) -> Record | None:
        """The last calibration that holds; None if there is none."""
        held = [record for record in self.of(board, key) if record.in_force and not self.undone(record)]
        return held[-1] if held else None

    def find(self, name: str) -> Record:
        """A record by path, by name or beginning of its folder's name, or `BOARD/KEY` for the last of those.

        Raises:
            UsageError: none, or several.
        """
        path = Path(name)
        if path.exists():
            return read_record(path)
        board, _, key = name.partition("/")
        found = [record for record in self.records if record.identifier.startswith(name)]
        if not found and key:
            found = [*self.of(board, key)][-1:]
        if len(found) != 1:
            what = "no calibration" if not found else f"{len(found)} calibrations"
            raise UsageError(
                f"{what} `{name}` in {self.folder}",
                next_step="buoy calibration status lists them; give BOARD/KEY "
                "for the last one, or the whole name",
            )
        return found[0]


def _is_board(record: Record, board: str) -> bool:
    known = record.begin["board"]
    return board in (str(known.get("name")), str(known.get("buoy")), str(known.get("mac")))


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (1 << 31, name)


def new_folder(records: Path, board: str, key: str, now: datetime) -> Path:
    """A folder for a new record, which nothing has yet."""
    base = records / board / f"{now:%Y%m%dT%H%M%SZ}-{key}"
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


@dataclass(frozen=True, slots=True)
class Due:
    """Where one sensor of one board stands."""

    board: str
    key: str
    last: Record | None
    due: datetime | None
    """None: never calibrated, so now."""
    overdue: bool


def due_of(
    history: History, board: str, keys: list[str], intervals: dict[str, float], now: datetime
) -> list[Due]:
    """What is due on a board, in the order in which it is best done."""
    found = []
    for key in PROCEDURES:
        if key not in keys:
            continue
        last = history.in_force(board, key)
        due = None if last is None else last.started + timedelta(days=intervals[key])
        found.append(Due(board, key, last, due, due is None or due <= now))
    return found
