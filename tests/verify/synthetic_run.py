"""Small synthetic runs: ledger, stores and evidence as a faultless run leaves them, and ways to spoil them.

A run is changed message by message (`lose`, `duplicate`, `alter` …) before it is written to a folder and
verified. Time passes as follows, per message: planned, sent 1 ms later, received 1 ms after that, stages each
1 ms apart, acknowledged 5 ms after sending, visible 50 ms after sending.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from buoyfleet.model import evidence, ledger, store
from buoyfleet.model.evidence import StageCount
from buoyfleet.model.fleet import BoardKind, BoardSpec, Fleet, LinkSpec, RunSpec, SensorSpec, TargetSpec
from buoyfleet.model.observation import Observation, write_observation
from buoyfleet.model.thresholds import parse_threshold
from buoyfleet.verify.boards import BoardFacts
from buoyfleet.verify.ledger import compact_ledger
from buoyfleet.verify.verdict import Case, Verification, verify
from sensors.catalog import KEYS

MS = 1_000_000
S = 1_000_000_000
START_NS = 1_790_000_000 * S
ROUTES = {
    "timestream": ("broker", "rules", "timestream"),
    "s3": ("broker", "rules", "kinesis", "firehose", "lambda", "s3"),
}
STAGES = ("broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3")
TYPES = {bool: "BOOLEAN", float: "DOUBLE", int: "BIGINT", str: "VARCHAR"}


@dataclass
class Sent:
    """One message of a board as the ledger has it."""

    buoy: int
    seq: int
    ts: int
    planned_ns: int
    values: dict[str, Any]
    attempts: int = 1
    acknowledged: bool = True
    acknowledged_after_ns: int = 5 * MS
    dropped: str | None = None
    sent: bool = True
    sent_ns: int = 0
    offset_ns: int = 0
    uncertainty_ns: int = 0
    raw: bytes | None = None
    """Sent instead of the values."""
    number: int = 0
    """The target's."""

    @property
    def payload(self) -> bytes:
        return json.dumps(self.values).encode() if self.raw is None else self.raw


def counter_value(key: str, index: int, seq: int) -> float | bool:
    """The original test's pattern, with a base per key."""
    return bool(seq % 2) if key == "liqlev" else round(2 * (10 + index) + seq + 0.25, 2)


@dataclass
class SyntheticRun:
    """A faultless run of some boards, until it is spoiled."""

    boards: tuple[int, ...] = (100, 101, 102)
    count: int = 4
    payload: str = "stamped"
    stores: tuple[str, ...] = ("timestream", "s3")
    interval_ms: float | None = 100.0
    thresholds: tuple[str, ...] = ()
    start_ns: int = START_NS
    with_trace: bool = True
    late_after_s: dict[str, float] = field(default_factory=lambda: {"timestream": 60.0, "s3": 900.0})
    facts: dict[int, BoardFacts] = field(default_factory=dict)
    interrupted: bool = False
    qos: int = 1
    sensors: tuple[SensorSpec, ...] = ()
    stages: list[StageCount] | None = None
    unrecorded: str = ""
    unlisted: tuple[int, ...] = ()
    """Boards with a ledger that are not in the fleet."""

    def __post_init__(self) -> None:
        self.kinds: dict[int, BoardKind] = {}
        self.sent: dict[tuple[int, int], Sent] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {store: [] for store in self.stores}
        self.received: list[dict[str, Any]] = []
        self.trace: list[dict[str, Any]] = []
        self.outcomes: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.links: list[dict[str, Any]] = []
        self.witnessed: list[dict[str, Any]] | None = None
        self.observation: Observation | None = None
        for position, buoy in enumerate(self.boards):
            for seq in range(self.count):
                planned_ns = self.start_ns + seq * 100 * MS + position * MS
                values: dict[str, Any] = {key: counter_value(key, i, seq) for i, key in enumerate(KEYS)}
                message = Sent(
                    buoy,
                    seq,
                    planned_ns // MS,
                    planned_ns,
                    values,
                    sent_ns=planned_ns + MS,
                    number=len(self.sent),
                )
                if self.payload == "stamped":
                    values["timestamp"] = message.ts
                self.sent[buoy, seq] = message
                self._arrive(message, message.number)

    def _arrive(self, message: Sent, number: int) -> None:
        self.received.append(
            {
                "message": number,
                "buoy": message.buoy,
                "topic": f"aws/0/{message.buoy}/data/",
                "payload": message.payload,
                "at_ns": message.sent_ns + MS,
                "dup": False,
            }
        )
        for step, stage in enumerate(STAGES):
            self.trace.append({"stage": stage, "message": number, "at_ns": message.sent_ns + (1 + step) * MS})
        for name in self.stores:
            self.rows[name] += [
                self.row(name, message, key, number) for key in message.values if key != "timestamp"
            ]

    def row(self, name: str, message: Sent, key: str, number: int | None = None) -> dict[str, Any]:
        """A store's row of one measure."""
        value = message.values[key]
        # For original payloads Timestream stores its own time of processing, and S3 none.
        timestamp = (
            message.ts
            if self.payload == "stamped"
            else (message.sent_ns // MS if name == "timestream" else None)
        )
        return {
            "buoy": message.buoy,
            "timestamp_ms": timestamp,
            "measure": key,
            "type": TYPES[type(value)],
            "value": None if isinstance(value, str) else float(value),
            "text": value if isinstance(value, str) else None,
            "visible_ns": message.sent_ns + 50 * MS,
            "message": message.number if number is None else number,
        }

    # -- ways to spoil it ---------------------------------------------------------------------------

    def chosen(self, name: str, buoy: int, seq: int, *keys: str) -> list[dict[str, Any]]:
        """Rows of one message in a store; all measures, or the given ones."""
        number = self.sent[buoy, seq].number
        return [
            row
            for row in self.rows[name]
            if row["message"] == number and (not keys or row["measure"] in keys)
        ]

    def remove(self, name: str, buoy: int, seq: int, *keys: str) -> None:
        """Take rows out of a store; the trace stays."""
        gone = self.chosen(name, buoy, seq, *keys)
        self.rows[name] = [row for row in self.rows[name] if not any(row is other for other in gone)]

    def lose(self, buoy: int, seq: int, stage: str) -> None:
        """A message never enters a stage, nor what comes after it."""
        number = self.sent[buoy, seq].number
        for name in self.stores:
            if stage in ROUTES[name]:
                later = ROUTES[name][ROUTES[name].index(stage) :]
                self.trace = [
                    row for row in self.trace if row["message"] != number or row["stage"] not in later
                ]
                self.remove(name, buoy, seq)
        if stage == "broker":
            self.received = [row for row in self.received if row["message"] != number]

    def note(
        self,
        buoy: int,
        seq: int,
        stage: str,
        outcome: str,
        reason: str,
        detail: str,
        measure: str | None = None,
    ) -> None:
        """What a stage says it did with a message."""
        self.outcomes.append(
            {
                "stage": stage,
                "message": self.sent[buoy, seq].number,
                "measure": measure,
                "outcome": outcome,
                "reason": reason,
                "detail": detail,
                "at_ns": self.sent[buoy, seq].sent_ns + 40 * MS,
            }
        )

    def reject(
        self, buoy: int, seq: int, stage: str, reason: str, detail: str, outcome: str = "rejected"
    ) -> None:
        """A stage took a message in and refused it."""
        names = [name for name in self.stores if stage in ROUTES[name]]
        number = self.sent[buoy, seq].number
        for name in names:
            later = ROUTES[name][ROUTES[name].index(stage) + 1 :]
            self.trace = [row for row in self.trace if row["message"] != number or row["stage"] not in later]
            self.remove(name, buoy, seq)
        self.note(buoy, seq, stage, outcome, reason, detail)

    def befall(self, buoy: int, reason: str, detail: str, times: int = 1) -> None:
        """What the target says of a board's connection."""
        at_ns = self.start_ns
        row = {"client": f"buoy{buoy}", "reason": reason, "detail": detail, "at_ns": at_ns}
        self.links += [{**row, "at_ns": at_ns + n} for n in range(times)]

    def duplicate(self, name: str, buoy: int, seq: int, *keys: str, copies: int = 1) -> None:
        """A store holds a message (or some measures) more than once."""
        for row in self.chosen(name, buoy, seq, *keys):
            self.rows[name] += [dict(row) for _ in range(copies)]

    def redeliver(self, buoy: int, seq: int, *names: str) -> None:
        """The board sent a message twice, both arrived; stores in `names` hold both copies."""
        message = self.sent[buoy, seq]
        message.attempts += 1
        number = 1000 + len(self.received)
        self.received.append(
            {
                **next(r for r in self.received if r["message"] == message.number),
                "message": number,
                "dup": True,
            }
        )
        for row in [row for row in self.trace if row["message"] == message.number]:
            self.trace.append({**row, "message": number})
        for name in names or self.stores:
            self.rows[name] += [{**row, "message": number} for row in self.chosen(name, buoy, seq)]

    def alter(self, name: str, buoy: int, seq: int, key: str, value: Any) -> None:
        """A store holds another value (and the type that goes with it)."""
        for row in self.chosen(name, buoy, seq, key):
            row["type"] = TYPES[type(value)]
            row["value"] = None if isinstance(value, str) else float(value)
            row["text"] = value if isinstance(value, str) else None

    def delay(self, name: str, buoy: int, seq: int, seconds: float, *keys: str) -> None:
        """Rows become visible so long after sending."""
        for row in self.chosen(name, buoy, seq, *keys):
            row["visible_ns"] = self.sent[buoy, seq].sent_ns + round(seconds * S)

    def watch(self) -> list[dict[str, Any]]:
        """What a subscriber saw of a faultless run: every message, 2 ms after it was sent."""
        self.witnessed = [
            {"buoy": message.buoy, "payload": message.payload, "at_ns": message.sent_ns + 2 * MS}
            for message in self.sent.values()
            if message.sent
        ]
        return self.witnessed

    def unsee(self, buoy: int, *seqs: int) -> None:
        """The subscriber did not see these messages; without numbers none of the buoy."""
        seen = self.watch() if self.witnessed is None else self.witnessed
        gone = [m.payload for m in self.sent.values() if m.buoy == buoy and (not seqs or m.seq in seqs)]
        self.witnessed = [row for row in seen if row["buoy"] != buoy or row["payload"] not in gone]

    # -- writing and verifying ----------------------------------------------------------------------

    def events(self, buoys: tuple[int, ...] | None = None) -> list[dict[str, Any]]:
        """Ledger rows."""
        rows = []
        for message in self.sent.values():
            if buoys is not None and message.buoy not in buoys:
                continue
            common = {
                "buoy": message.buoy,
                "seq": message.seq,
                "planned_ns": message.planned_ns,
                "offset_ns": message.offset_ns,
                "uncertainty_ns": message.uncertainty_ns,
                "attempt": 0,
                "payload": None,
                "reason": None,
            }
            at_ns = message.sent_ns - message.offset_ns
            rows.append({**common, "event": ledger.Event.PLANNED, "at_ns": message.planned_ns})
            if message.sent:
                for attempt in range(1, message.attempts + 1):
                    payload = message.payload if attempt == 1 else None
                    rows.append(
                        {
                            **common,
                            "event": ledger.Event.SENT,
                            "attempt": attempt,
                            "at_ns": at_ns + (attempt - 1) * 2 * MS,
                            "payload": payload,
                        }
                    )
                if message.acknowledged:
                    rows.append(
                        {
                            **common,
                            "event": ledger.Event.ACKNOWLEDGED,
                            "at_ns": at_ns + message.acknowledged_after_ns,
                        }
                    )
            if message.dropped is not None:
                rows.append(
                    {**common, "event": ledger.Event.DROPPED, "at_ns": at_ns, "reason": message.dropped}
                )
        return rows

    def fleet(self) -> Fleet:
        """The fleet of the run."""
        boards = tuple(
            BoardSpec(
                buoy,
                self.kinds.get(buoy, "virtual"),
                f"buoy{buoy}",
                self.sensors,
                LinkSpec(),
                self.count,
                self.interval_ms,
            )
            for buoy in self.boards
            if buoy not in self.unlisted
        )
        run = RunSpec(qos=self.qos, payload=self.payload, late_after_s=self.late_after_s)  # type: ignore[arg-type]
        thresholds = tuple(parse_threshold(text) for text in self.thresholds)
        return Fleet("synthetic", "boards.yaml", TargetSpec("local"), "aws/0", boards, run, thresholds)

    def write(self, folder: Path) -> None:
        """Ledger streams (one per board), stores and evidence."""
        for buoy in self.boards:
            write_stream(folder / ledger.STREAM_FOLDER / f"pack-{buoy}.arrows", self.events((buoy,)))
        for name, rows in self.rows.items():
            if name == "subscriber":  # verification makes its rows from what it saw
                continue
            write_rows(folder / store.STORE_FOLDER / name / "part-0.parquet", rows, store.SCHEMA)
        proofs = folder / evidence.EVIDENCE_FOLDER
        if self.with_trace:
            write_rows(proofs / evidence.RECEIVED, self.received, evidence.RECEIVED_SCHEMA)
            write_rows(proofs / evidence.TRACE, self.trace, evidence.TRACE_SCHEMA)
            write_rows(proofs / evidence.OUTCOMES, self.outcomes, evidence.OUTCOMES_SCHEMA)
            write_rows(proofs / evidence.REFUSED, self.refused, evidence.REFUSED_SCHEMA)
        if self.links:
            write_rows(proofs / evidence.LINKS, self.links, evidence.LINKS_SCHEMA)
        if "subscriber" in self.stores and self.witnessed is None:
            self.watch()
        if self.observation is not None:
            write_observation(self.observation, proofs)
        if self.witnessed is not None:
            write_rows(proofs / evidence.WITNESS, self.witnessed, evidence.WITNESS_SCHEMA)

    def counters(self) -> list[StageCount]:
        """What the stages counted."""
        if self.stages is not None:
            return self.stages
        entered = {stage: sum(row["stage"] == stage for row in self.trace) for stage in STAGES}
        return [StageCount(stage, "messages", entered[stage], entered[stage]) for stage in STAGES]

    def case(self, folder: Path) -> Case:
        """What `verify` is given, after compaction."""
        return Case(
            run_folder=folder,
            fleet=self.fleet(),
            stores=self.stores,
            stages=self.counters(),
            since_ns=self.start_ns - S,
            until_ns=self.start_ns + (self.count * 100 + 10_000) * MS,
            ledger=compact_ledger(folder),
            boards=self.facts,
            interrupted=self.interrupted,
            unrecorded=self.unrecorded,
        )

    def verify(self, folder: Path) -> Verification:
        """Write, compact, verify."""
        folder.mkdir(parents=True, exist_ok=True)
        self.write(folder)
        return self.verify_written(folder)

    def verify_written(self, folder: Path) -> Verification:
        """Compact and verify what is in a folder."""
        return verify(self.case(folder))


def write_rows(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """A Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path)


def write_stream(
    path: Path, events: list[dict[str, Any]], *, batch: int = 5, close: bool = True
) -> list[int]:
    """A ledger stream in small batches; returns the file's size after the schema and after each batch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = [len(ledger.SCHEMA.serialize())]
    with pa.OSFile(str(path), "wb") as sink:
        writer = pa.ipc.new_stream(sink, ledger.SCHEMA)
        for first in range(0, len(events), batch):
            rows = pa.Table.from_pylist(events[first : first + batch], ledger.SCHEMA)
            writer.write_batch(rows.combine_chunks().to_batches()[0])
            sizes.append(sink.tell())
        if close:
            writer.close()
    return sizes


Found = set[tuple[str, str, int, int, str]]


def found(verification: Verification) -> Found:
    """All losses as (store, kind, buoy, seq, measure)."""
    return {
        (loss.store, loss.kind, loss.buoy_id, -1 if loss.seq is None else loss.seq, measure)
        for loss in verification.losses
        for measure in loss.measures
    }


def all_of(name: str, kind: str, buoy: int, seq: int, keys: tuple[str, ...] = KEYS) -> Found:
    """What `found` gives for one message."""
    return {(name, kind, buoy, seq, key) for key in keys}
