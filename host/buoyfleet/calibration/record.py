"""The append-only record of a calibration: everything that happened, a JSON line each, chained by hashes.

    {"n": 12, "time": "…Z", "kind": "sample", …, "chain": "…"}

`chain` is the SHA-256 of the line before and this one: a line that was changed or taken out breaks it.
Kinds, in their usual order: begin, before, step, sample…, point (or refused, skipped), fit, written, after,
check, accepting, end; trouble at any time. A next session may add found and another end, where the board's
answer to accepting was lost. A record without `end` is of a calibration that broke off. Whatever stands
elsewhere (certificate, export, status) is made from this file alone.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from buoyfleet.calibration.model import (
    Check,
    Component,
    Fitted,
    Plateau,
    Point,
    Reference,
    Residual,
    Sample,
    Step,
    Verdict,
)
from buoyfleet.model.errors import PreflightError, UsageError

SCHEMA = 1
FILE_NAME = "record.jsonl"
Outcome = Literal["passed", "warned", "failed", "aborted", "interrupted", "undone"]
_FIRST = "0" * 64


class RecordWriter:
    """Appends to one record; every line is on the disk when `event` returns, samples at the latest with the
    next.

    Args:
        folder: of this calibration; made here, and must be new.
        file_name: of the record; a visit has another one.

    Raises:
        PreflightError: it cannot be written.
    """

    def __init__(self, folder: Path, file_name: str = FILE_NAME) -> None:
        self.folder = folder
        self.path = folder / file_name
        self._chain = _FIRST
        self._n = 0
        try:
            folder.mkdir(parents=True)
            self._file: IO[bytes] = self.path.open("xb")
        except OSError as error:
            raise _unwritable(self.path, error) from error

    @classmethod
    def onto(cls, folder: Path, file_name: str = FILE_NAME) -> Self:
        """Go on with a record; a last line that broke off is cut away.

        Raises:
            PreflightError: it cannot be written.
            UsageError: no record.
        """
        path = folder / file_name
        last = json.loads(_lines(path, whole=True)[-1])
        writer = cls.__new__(cls)
        writer.folder, writer.path = folder, path
        writer._chain, writer._n = last["chain"], last["n"]
        try:
            writer._file = path.open("r+b")
            writer._file.truncate(path.read_bytes().rfind(b"\n") + 1)
            writer._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise _unwritable(path, error) from error
        return writer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def event(self, kind: str, time: datetime, **content: Any) -> None:
        """Append one line.

        Raises:
            PreflightError: the disk is full.
        """
        self._n += 1
        body = {
            "n": self._n,
            "time": time.astimezone(UTC).isoformat(timespec="milliseconds"),
            "kind": kind,
            **content,
        }
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        self._chain = _link(self._chain, text)
        try:
            self._file.write(f'{text[:-1]},"chain":"{self._chain}"}}\n'.encode())
            self._file.flush()
            if kind != "sample":
                os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error


@dataclass(slots=True)
class RecordedPoint:
    """A point as the record has it."""

    name: str
    title: str
    verify: bool
    attempt: int
    reference: Reference
    plateau: Plateau
    forced: bool
    objections: list[str]
    extra: dict[str, float]
    samples: list[Sample]
    time: str
    as_found: float | None


@dataclass(slots=True)
class Record:
    """A calibration, read back."""

    path: Path
    begin: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    points: list[RecordedPoint] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """Steps that were refused or skipped, with the reasons."""
    trouble: list[str] = field(default_factory=list)
    fitted: Fitted | None = None
    checks: list[Check] = field(default_factory=list)
    """After writing."""
    written: bool = False
    accepting: bool = False
    """The board was told that it holds, and not to take it back since."""
    outcome: Outcome | None = None
    """None: it broke off."""
    reason: str = ""
    ended: str = ""
    broken: str = ""
    """What is wrong with the chain; empty if it is whole."""

    @property
    def key(self) -> str:
        """Of the sensor."""
        return str(self.begin["key"])

    @property
    def board(self) -> str:
        """Name of the board."""
        return str(self.begin["board"]["name"])

    @property
    def identifier(self) -> str:
        """Name of its folder: date, time, key."""
        return self.path.parent.name

    @property
    def started(self) -> datetime:
        """When it was begun, UTC."""
        return datetime.fromisoformat(self.begin["time"])

    @property
    def in_force(self) -> bool:
        """Whether its coefficients were written and hold."""
        return self.outcome in ("passed", "warned") or (self.outcome == "failed" and self.written)

    @property
    def unsure(self) -> bool:
        """Whether only the board knows if the new coefficients hold."""
        return self.outcome in (None, "interrupted", "aborted") and self.accepting

    @property
    def forced(self) -> bool:
        """Whether `--force` let something through."""
        return any(point.forced for point in self.points) or bool(self.begin.get("forced"))


def point_content(point: Point) -> dict[str, Any]:
    """A point for `RecordWriter.event`."""
    return {
        "step": point.step.name,
        "title": point.step.title,
        "verify": point.step.verify,
        "attempt": point.attempt,
        "reference": asdict(point.reference),
        "plateau": asdict(point.plateau),
        "forced": point.forced,
        "objections": list(point.objections),
        "extra": point.extra,
        "as_found": None if point.step.verify else point.as_found,
    }


def step_content(step: Step, unit: str) -> dict[str, Any]:
    """A step for `RecordWriter.event`."""
    return {"step": step.name, "title": step.title, "vessel": step.vessel, "rule": step.rule.text(unit)}


def read_record(path: Path) -> Record:
    """Read a record; a last line that broke off is left out.

    Args:
        path: the file, or its folder.

    Raises:
        UsageError: no record, or of a version this tool does not know.
    """
    if path.is_dir():
        path = path / FILE_NAME
    reader = _Reader(path)
    for line in chained_lines(path):
        reader.take(line)
    if reader.record is None:
        raise UsageError("the record holds nothing", where=str(path), cause="its first line broke off")
    return reader.record


@dataclass(frozen=True, slots=True)
class ChainedLine:
    """A line of a record."""

    number: int
    body: dict[str, Any] | None
    """None: it broke off."""
    broken: str
    """What is wrong with the chain up to here; empty if it is whole."""


def chained_lines(path: Path) -> Iterator[ChainedLine]:
    """The lines of a record, each held against the chain.

    Raises:
        UsageError: no record.
    """
    chain, broken = _FIRST, ""
    for number, line in enumerate(_lines(path), 1):
        try:
            text = line.decode()
            body = json.loads(text)
            mark = text.rindex(',"chain":"')
        except ValueError:
            broken = broken or f"line {number} is incomplete"
            yield ChainedLine(number, None, broken)
            continue
        chain = _link(chain, text[:mark] + "}")
        if body.get("chain") != chain:
            broken = broken or f"line {number} does not follow from the lines before it"
        yield ChainedLine(number, body, broken)


def _lines(path: Path, *, whole: bool = False) -> list[bytes]:
    """Lines that are not empty; `whole`: without a last one that broke off."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"no record: {error.strerror}",
            where=str(path),
            next_step="buoy calibration status lists the records",
        ) from error
    if whole:
        data = data[: data.rfind(b"\n") + 1]
    return [line for line in data.split(b"\n") if line]


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: Record | None = None
        self._samples: list[Sample] = []

    def take(self, line: ChainedLine) -> None:
        body = line.body
        if body is None:
            if self.record is not None:
                self.record.broken = line.broken
            return
        if self.record is None:
            if body.get("kind") != "begin" or body.get("schema") != SCHEMA:
                raise UsageError(
                    f"no record of version {SCHEMA}",
                    where=f"{self.path}:{line.number}",
                    cause="another program, or a newer one",
                )
            self.record = Record(self.path, body)
        self.record.broken = line.broken
        self._apply(self.record, body)

    def _apply(self, record: Record, body: dict[str, Any]) -> None:
        kind = body["kind"]
        if kind == "before":
            record.before = body["found"]
        elif kind == "after":
            record.after = body["found"]
        elif kind == "step":
            self._samples = []
        elif kind == "sample":
            self._samples.append(Sample(*body["sample"]))
        elif kind == "point":
            record.points.append(_point(body, self._samples))
        elif kind == "withdrawn":
            # It stays in the file; what counts is the point that was taken again.
            record.points = [point for point in record.points if point.name != body["step"]]
        elif kind in ("refused", "skipped"):
            record.rejected.append(body)
        elif kind == "trouble":
            record.trouble.append(str(body["text"]))
        elif kind == "fit":
            record.fitted = _fitted(body["fitted"])
        elif kind == "written":
            record.written = True
        elif kind == "reverted":
            record.written = record.accepting = False
        elif kind == "accepting":
            record.accepting = True
        elif kind == "check":
            record.checks.append(Check(**body["check"]))
        elif kind == "end":
            record.outcome, record.reason, record.ended = (
                body["outcome"],
                body.get("reason", ""),
                body["time"],
            )


def _point(body: dict[str, Any], samples: list[Sample]) -> RecordedPoint:
    return RecordedPoint(
        body["step"], body["title"], body["verify"], body["attempt"], Reference(**body["reference"]),
        Plateau(**body["plateau"]), body["forced"], body["objections"], body["extra"], samples, body["time"],
        body["as_found"],
    )  # fmt: skip


def _fitted(body: dict[str, Any]) -> Fitted:
    body = dict(body)
    body["checks"] = [Check(**check) for check in body["checks"]]
    body["components"] = [Component(**component) for component in body["components"]]
    body["residuals"] = [Residual(**residual) for residual in body["residuals"]]
    body["commands"] = tuple(body["commands"])
    body["valid"] = None if body["valid"] is None else tuple(body["valid"])
    return Fitted(**body)


def verdict_outcome(verdict: Verdict) -> Outcome:
    """What a verdict makes of a calibration that holds."""
    return {"pass": "passed", "warn": "warned", "fail": "failed"}[verdict]  # type: ignore[return-value]


def _link(chain: str, text: str) -> str:
    return hashlib.sha256(f"{chain}\n{text}".encode()).hexdigest()


def _unwritable(path: Path, error: OSError) -> PreflightError:
    return PreflightError(
        f"the record cannot be written: {error.strerror}",
        where=str(path),
        cause="a full disk, a folder you may not write to, or a record of the same second",
        next_step="make room or choose another folder with --records; the board keeps its old calibration",
    )
