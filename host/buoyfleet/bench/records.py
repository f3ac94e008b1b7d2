"""Records of what was done to boards: append-only JSON lines, one per board and commissioning.

    {"schema": 1, "kind": "commissioned", "time": "2026-11-26T02:40:00Z", "mac": "240ac4000080", …}

Writers hold a lock; a line is whole or, after a crash, the last and told as damaged. Nothing secret is in it.
"""

import contextlib
import fcntl
import getpass
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import PreflightError, UsageError
from buoyfleet.model.spreadsheet import csv_text

SCHEMA = 1
FILE = "records.jsonl"
RecordKind = Literal["commissioned", "identity", "wiped"]
_LOCK_S = 10.0
_LOCK_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a board after something was done to it."""

    kind: RecordKind
    mac: str
    """Twelve hex digits."""
    buoy: int | None
    thing: str
    passed: bool = True
    time: str = ""
    """UTC, ISO 8601."""
    operator: str = ""
    tool: str = ""
    port: str = ""
    micropython: str = ""
    image: str = ""
    """SHA-256 of the image that was flashed; empty if the interpreter was there."""
    firmware: str = ""
    files: dict[str, str] = field(default_factory=dict)
    """Path on the board → SHA-256."""
    certificate: str = ""
    """SHA-256 of the certificate's DER, which is AWS's certificate id."""
    broker: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the board, sensors included; no identity, no secret."""
    self_test: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


class Records:
    """The records of one folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def append(self, record: Record) -> Record:
        """Add one; it is on disk when this returns.

        Returns:
            The record with time, operator and tool filled in.

        Raises:
            PreflightError: the file cannot be written, or another process keeps it locked.
        """
        filled = {
            **asdict(record),
            "time": record.time or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "operator": record.operator or operator(),
            "tool": record.tool or tool_version(),
        }
        line = json.dumps(filled, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                _lock(descriptor, self.path)
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line  # the last writer died in the middle of its line
                written = 0
                while written < len(line):
                    written += os.write(descriptor, line[written:])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise PreflightError(
                f"the record cannot be written: {error.strerror}",
                where=str(self.path),
                next_step="make room or rights there, and run the same command again: the board is complete",
            ) from None
        return Record(**filled)

    def read(self) -> tuple[list[Record], list[str]]:
        """All records in order, and a sentence for every damaged line.

        Raises:
            PreflightError: the file cannot be read.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return [], []
        except OSError as error:
            raise PreflightError(f"cannot be read: {error.strerror}", where=str(self.path)) from None
        records: list[Record] = []
        damaged: list[str] = []
        known = {entry.name for entry in fields(Record)}
        for number, line in enumerate(data.split(b"\n"), 1):
            if not line:
                continue
            try:
                document = json.loads(line)
                # A newer version may know more; what this one does not know stays in the file.
                records.append(Record(**{name: document[name] for name in document if name in known}))
            except (ValueError, TypeError):
                damaged.append(f"{self.path}:{number}: not a record; a crash in mid-write leaves such a line")
        return records, damaged

    def book(self) -> "Book":
        """Who is who by the records."""
        return Book(self.read()[0])


class Book:
    """What the records say of boards and ids; of each MAC the last word counts."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.last: dict[str, Record] = {}
        self._order: list[str] = []
        """MACs by their last record, oldest first."""
        self._certificates: dict[str, str] = {}
        self.installed: dict[str, Record] = {}
        """MAC → its last commissioning that passed."""
        self.failed: set[str] = set()
        """MACs whose last commissioning did not pass."""
        for record in records:
            self.last[record.mac] = record
            if record.mac in self._order:
                self._order.remove(record.mac)
            self._order.append(record.mac)
            if record.certificate:
                self._certificates[record.certificate] = record.mac
            if record.kind == "commissioned":
                if record.passed:
                    self.installed[record.mac] = record
                    self.failed.discard(record.mac)
                else:
                    self.failed.add(record.mac)
            elif record.kind == "wiped":
                self.installed.pop(record.mac, None)

    def of_mac(self, mac: str) -> Record | None:
        """The last word on a board; None if it has no id by now."""
        record = self.last.get(mac)
        return record if record is not None and record.buoy is not None else None

    def of_id(self, buoy: int) -> Record | None:
        """The board that has an id; the last that was given it."""
        for mac in reversed(self._order):
            if self.last[mac].buoy == buoy:
                return self.last[mac]
        return None

    def of_certificate(self, certificate: str) -> str:
        """MAC of the board that last had a certificate; empty if none."""
        return self._certificates.get(certificate, "")


def matching(records: Iterable[Record], words: Iterable[str]) -> Iterator[Record]:
    """Records that every word fits: `131`, `mac:…`, `thing=…`, `failed`, `since=2026-11-01`, …

    Raises:
        UsageError: a word is none of these.
    """
    tests = [_test(word) for word in words]
    for record in records:
        if all(test(record) for test in tests):
            yield record


def _test(word: str) -> Any:
    from buoyfleet.model.board_names import parse_name

    if word in ("passed", "failed"):
        return lambda record: record.passed == (word == "passed")
    if word in ("commissioned", "identity", "wiped"):
        return lambda record: record.kind == word
    name, mark, value = word.partition("=")
    if mark and name == "since":
        return lambda record: record.time >= value
    if mark and name == "until":
        return lambda record: record.time <= value
    if mark and name in ("thing", "operator", "firmware", "micropython", "port", "certificate"):
        return lambda record: str(getattr(record, name)) == value
    parsed = parse_name(word)
    if parsed.kind == "id" and not mark:
        return lambda record: record.buoy == int(parsed.value)
    if parsed.kind == "mac":
        return lambda record: record.mac == parsed.value
    raise UsageError(
        f"`{word}` filters nothing",
        next_step="an id, mac:…, passed, failed, commissioned, identity, wiped, since=2026-11-01, until=…, "
        "thing=…, operator=…, firmware=…, micropython=…, port=…, certificate=…",
    )


COLUMNS = (
    "time", "kind", "passed", "buoy", "mac", "thing", "micropython", "firmware", "image", "certificate",
    "broker", "port", "operator", "tool",
)  # fmt: skip


def as_csv(records: Iterable[Record]) -> str:
    """The records as a table, self-test figures last, one column each."""
    rows = list(records)
    figures = sorted({name for row in rows for name in _flat(row.self_test)})
    table: list[list[object]] = [[*COLUMNS, "files", *figures]]
    for row in rows:
        flat = _flat(row.self_test)
        values = [getattr(row, name) for name in COLUMNS]
        table.append([*values, len(row.files), *(flat.get(name, "") for name in figures)])
    return csv_text(table)


def operator() -> str:
    """Who is at the bench: `BUOY_OPERATOR`, else the user's name."""
    with contextlib.suppress(OSError, KeyError):
        return os.environ.get("BUOY_OPERATOR") or getpass.getuser()
    return "unknown"


def tool_version() -> str:
    """Name and version of this program."""
    try:
        return f"buoyfleet {version('buoyfleet')}"
    except PackageNotFoundError:
        return "buoyfleet"


def _flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def _lock(descriptor: int, path: Path) -> None:
    deadline = Deadline(_LOCK_S)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if deadline.expired:
                raise PreflightError(
                    f"another process keeps it locked for more than {_LOCK_S:g} s", where=str(path)
                ) from None
            time.sleep(_LOCK_POLL_S)
