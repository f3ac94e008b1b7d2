"""The Firehose delivery stream: Lambda buffer, invocations with retries, S3 buffer, failed records.

    records ─► buffer (size or time) ─► Lambda, up to 4 attempts ─► buffer (size or time) ─► object in S3
                                            └─► after the last: buffer ─► processing-failed/

Everything happens at times of the agenda (`buoyfleet.cloud.local.agenda`), which follow from arrivals,
settings and the modelled duration of Lambda. Invocations run one after another; a real stream may run several
at once on several shards, so a backlog here is the worst case.
"""

import time
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from buoyfleet.cloud.local.agenda import Agenda
from buoyfleet.cloud.local.faults import StageFaults, stage_faults
from buoyfleet.cloud.local.firehose_events import RECORD_OVERHEAD_BYTES, Failure, Transformed, failed_document
from buoyfleet.cloud.local.kinesis import BYTES_PER_MB, Record
from buoyfleet.cloud.local.lambda_runtime import MAX_PAYLOAD_BYTES, LambdaModel, LambdaRuntime
from buoyfleet.cloud.local.lambda_stage import LambdaStage
from buoyfleet.cloud.local.s3 import Bucket
from buoyfleet.cloud.local.trace import Trace
from buoyfleet.model.fleet import TwinSpec
from buoyfleet.model.stage_count import StageCount

STAGE = "firehose"
S3_STAGE = "s3"
S3_ATTEMPTS = 4
S3_RETRY_S = 10.0
"""Firehose goes on for a day when S3 cannot be written; the twin gives up after a few tries, and says so."""
MAX_NOTES = 20
_NS_PER_S = 1_000_000_000

_Item = TypeVar("_Item")


class _Buffer(Generic[_Item]):
    """Items until their size reaches a limit or the first of them is old enough."""

    def __init__(self, limit_bytes: float, limit_s: float) -> None:
        self.items: list[_Item] = []
        self.size = 0
        self.due_ns = 0
        self.number = 0
        """Goes up with each emptying: a timer of an earlier filling does nothing."""
        self.limit_bytes = limit_bytes
        self.limit_ns = round(limit_s * _NS_PER_S)

    def take(self) -> list[_Item]:
        items, self.items = self.items, []
        self.size = 0
        self.number += 1
        return items


@dataclass(slots=True)
class _Done:
    """A transformed record on its way to an object."""

    record: Record
    data: bytes
    released: bool = False


@dataclass(slots=True)
class _Failed:
    """A record that was not transformed, as its document."""

    record: Record
    data: bytes


@dataclass(frozen=True, slots=True)
class DeliveryFaults:
    """Rehearsed faults of the three stages of the stream."""

    firehose: StageFaults | None = None
    lambda_: StageFaults | None = None
    s3: StageFaults | None = None

    @classmethod
    def of(cls, spec: TwinSpec) -> "DeliveryFaults":
        """From the twin's settings."""
        return cls(*(stage_faults(spec.faults, stage) for stage in (STAGE, "lambda", S3_STAGE)))


class Firehose:
    """The delivery stream from the Kinesis stream to the bucket."""

    def __init__(
        self,
        agenda: Agenda,
        trace: Trace,
        bucket: Bucket,
        runtime: LambdaRuntime,
        spec: TwinSpec,
        faults: DeliveryFaults | None = None,
    ) -> None:
        faults = faults or DeliveryFaults()
        self._agenda = agenda
        self._trace = trace
        self._entries = trace.entries(STAGE)
        self._s3_entries = trace.entries(S3_STAGE)
        self._bucket = bucket
        self._faults = faults
        self._spec = spec
        self._in: _Buffer[Record] = _Buffer(
            spec.firehose_lambda_buffer_mb * BYTES_PER_MB, spec.firehose_lambda_buffer_s
        )
        s3_limits = (spec.firehose_s3_buffer_mb * BYTES_PER_MB, spec.firehose_s3_buffer_s)
        self._out: _Buffer[_Done] = _Buffer(*s3_limits)
        self._out_failed: _Buffer[_Failed] = _Buffer(*s3_limits)
        self.function = LambdaStage(
            agenda,
            trace,
            runtime,
            LambdaModel.of(spec),
            faults.lambda_,
            self._transformed,
            self._not_transformed,
            self._buffer_in,
            spec.kinesis_shards,
            bucket.layout.error_prefix_text,
        )
        self.stored_known = 0
        """Measures of the nine in delivered objects."""
        self._entered = 0
        self._delivered = 0
        self._lost_in_s3 = 0
        self._bytes_in = self._bytes_out = 0
        self._objects = self._failed_objects = self._failed_records = 0
        self._freshness_s = 0.0
        self._batches = self._batches_ok = 0
        self._succeeded = self._succeeded_bytes = 0
        self._notes: list[str] = []
        self._first_ns = self._last_ns = 0
        self._first_wall_s = self._last_wall_s = 0.0

    # -- in -----------------------------------------------------------------------------------------

    def put(self, at_ns: int, record: Record) -> None:
        """One record read from the Kinesis stream; rehearsed faults act first."""
        if self._faults.firehose is not None and record.released != STAGE:
            parts = self._faults.firehose.data(record.buoy, record.data)
            if parts is not None:
                for copy, (data, delay_ns) in enumerate(parts):
                    sequence = record.sequence + copy * (1 << 59)
                    part = replace(record, data=data, sequence=sequence, released=STAGE)
                    if delay_ns:
                        self._agenda.at(at_ns + delay_ns, self.put, part)
                    else:
                        self.put(at_ns, part)
                return
        self._entries.numbers.append(record.message)
        self._entries.times.append(at_ns)
        self._entered += 1
        self._bytes_in += len(record.data)
        if not self._first_ns:
            self._first_ns, self._first_wall_s = at_ns, time.monotonic()
        self._buffer_in(at_ns, record)

    def _buffer_in(self, at_ns: int, record: Record) -> None:
        buffer = self._in
        size = len(record.data)
        request = buffer.size * 4 // 3 + (len(buffer.items) + 2) * RECORD_OVERHEAD_BYTES + size * 4 // 3
        if buffer.items and request > MAX_PAYLOAD_BYTES:
            self._invoke(at_ns)
        if not buffer.items:
            buffer.due_ns = at_ns + buffer.limit_ns
            self._agenda.at(buffer.due_ns, self._in_due, buffer.number)
        buffer.items.append(record)
        buffer.size += size
        if buffer.size >= buffer.limit_bytes:
            self._invoke(at_ns)

    def _in_due(self, at_ns: int, number: int) -> None:
        if number == self._in.number:
            self._invoke(at_ns)

    def _invoke(self, at_ns: int) -> None:
        self._batches += 1
        self.function.submit(at_ns, self._in.take())

    # -- back from Lambda ---------------------------------------------------------------------------

    def _transformed(self, at_ns: int, result: Transformed) -> None:
        self._batches_ok += 1
        self._succeeded += len(result.delivered) + len(result.dropped)
        for record, data in result.delivered:
            self._succeeded_bytes += len(data)
            self._buffer_out(at_ns, _Done(record, data))

    def _buffer_out(self, at_ns: int, done: _Done) -> None:
        buffer = self._out
        if not buffer.items:
            buffer.due_ns = at_ns + buffer.limit_ns
            self._agenda.at(buffer.due_ns, self._out_due, buffer.number)
        buffer.items.append(done)
        buffer.size += len(done.data)
        if buffer.size >= buffer.limit_bytes:
            self._deliver(at_ns, buffer.take(), 1)

    def _out_due(self, at_ns: int, number: int) -> None:
        if number == self._out.number:
            self._deliver(at_ns, self._out.take(), 1)

    def _not_transformed(self, at_ns: int, records: list[Record], failure: Failure, attempts: int) -> None:
        buffer = self._out_failed
        for record in records:
            if not buffer.items:
                buffer.due_ns = at_ns + buffer.limit_ns
                self._agenda.at(buffer.due_ns, self._failed_due, buffer.number)
            document = failed_document(record, failure, attempts, at_ns)
            buffer.items.append(_Failed(record, document))
            buffer.size += len(document)
            if buffer.size >= buffer.limit_bytes:
                self._deliver_failed(at_ns, buffer.take(), 1)

    def _failed_due(self, at_ns: int, number: int) -> None:
        if number == self._out_failed.number:
            self._deliver_failed(at_ns, self._out_failed.take(), 1)

    # -- out ----------------------------------------------------------------------------------------

    def _deliver(self, at_ns: int, items: list[_Done], attempt: int) -> None:
        if self._faults.s3 is not None and attempt == 1:
            items = [part for done in items for part in self._faulted(at_ns, done, self._faults.s3)]
        if not items:
            return
        oldest_ns = min(done.record.arrival_ns for done in items)
        try:
            prefix = self._bucket.layout.data_prefix(oldest_ns)
            self._bucket.put(prefix, [(done.record.message, done.data) for done in items], at_ns)
        except OSError as error:
            messages = [done.record.message for done in items]
            if self._try_again(at_ns, attempt, error, messages):
                self._agenda.at(at_ns + round(S3_RETRY_S * _NS_PER_S), self._deliver, items, attempt + 1)
            return
        self._s3_entries.numbers.extend([done.record.message for done in items])
        self._s3_entries.times.extend([at_ns] * len(items))
        self._objects += 1
        self._delivered += len(items)
        self._bytes_out += sum(len(done.data) for done in items)
        self.stored_known += sum(done.record.known for done in items)
        self._freshness_s = max(self._freshness_s, (at_ns - oldest_ns) / _NS_PER_S)
        self._last_ns, self._last_wall_s = at_ns, time.monotonic()

    def _faulted(self, at_ns: int, done: _Done, faults: StageFaults) -> list[_Done]:
        if done.released:
            return [done]
        parts = faults.data(done.record.buoy, done.data)
        if parts is None:
            return [done]
        now = []
        for data, delay_ns in parts:
            part = _Done(done.record, data, released=True)
            if delay_ns:
                self._agenda.at(at_ns + delay_ns, self._buffer_out, part)
            else:
                now.append(part)
        return now

    def _deliver_failed(self, at_ns: int, items: list[_Failed], attempt: int) -> None:
        oldest_ns = min(failed.record.arrival_ns for failed in items)
        documents = [(failed.record.message, failed.data) for failed in items]
        try:
            prefix = self._bucket.layout.failed_prefix(oldest_ns)
            self._bucket.put(prefix, documents, at_ns, index=False)
        except OSError as error:
            if self._try_again(at_ns, attempt, error, []):
                self._agenda.at(
                    at_ns + round(S3_RETRY_S * _NS_PER_S), self._deliver_failed, items, attempt + 1
                )
            return
        self._failed_objects += 1
        self._failed_records += len(items)
        self._last_ns, self._last_wall_s = at_ns, time.monotonic()

    def _try_again(self, at_ns: int, attempt: int, error: OSError, messages: list[int]) -> bool:
        detail = (
            f"an object could not be written: {error.strerror or error} (attempt {attempt} of {S3_ATTEMPTS})"
        )
        if len(self._notes) < MAX_NOTES:
            self._notes.append(detail)
        if attempt < S3_ATTEMPTS:
            return True
        self._lost_in_s3 += len(messages)
        self._trace.failed(S3_STAGE, messages, "write-failed", detail, at_ns)
        return False

    # -- what is going on ---------------------------------------------------------------------------

    def waiting(self) -> list[tuple[str, int, str]]:
        """(stage, message, sentence) of every record that is still on its way."""
        rows: list[tuple[str, int, str]] = []

        def add(stage: str, messages: list[int], where: str) -> None:
            rows.extend((stage, message, where) for message in messages)

        lambda_limit = (
            f"{self._spec.firehose_lambda_buffer_mb:g} MB or {self._spec.firehose_lambda_buffer_s:g} s"
        )
        s3_limit = f"{self._spec.firehose_s3_buffer_mb:g} MB or {self._spec.firehose_s3_buffer_s:g} s"
        if self._in.items:
            due = _clock(self._in.due_ns)
            words = f"in Firehose's Lambda buffer ({lambda_limit}), due at {due}"
            add(STAGE, [record.message for record in self._in.items], words)
        add("lambda", [record.message for record in self.function.waiting()], "in an invocation of Lambda")
        if self._out.items:
            words = f"in Firehose's S3 buffer ({s3_limit}), due at {_clock(self._out.due_ns)}"
            add(S3_STAGE, [done.record.message for done in self._out.items], words)
        return rows

    def restart_gauges(self) -> None:
        """Begin anew what cannot be told by subtracting."""
        self.function.restart_gauges()
        self._freshness_s = 0.0
        self._batches = self._batches_ok = 0
        self._first_ns = self._last_ns = 0
        self._notes.clear()

    def stage_count(self) -> StageCount:
        """Counters so far, a copy."""
        waiting = len(self._in.items) + len(self.function.waiting()) + len(self._out.items)
        return StageCount(
            STAGE,
            "records",
            self._entered,
            self._delivered,
            waiting=waiting,
            metrics={
                "AWS/Firehose DataReadFromKinesisStream.Records": self._entered,
                "AWS/Firehose DataReadFromKinesisStream.Bytes": self._bytes_in,
                "AWS/Firehose ExecuteProcessing.Success": self._batches_ok / max(1, self._batches),
                "AWS/Firehose SucceedProcessing.Records": self._succeeded,
                "AWS/Firehose SucceedProcessing.Bytes": self._succeeded_bytes,
                "AWS/Firehose DeliveryToS3.Records": self._delivered,
                "AWS/Firehose DeliveryToS3.Bytes": self._bytes_out,
                "AWS/Firehose DeliveryToS3.DataFreshness": self._freshness_s,
                "AWS/Firehose ThrottledGetRecords": 0,
            },
            simulated_s=max(0, self._last_ns - self._first_ns) / _NS_PER_S,
            wall_s=max(0.0, self._last_wall_s - self._first_wall_s),
        )

    def s3_count(self) -> StageCount:
        """Counters of the bucket, a copy."""
        notes = list(self._notes)
        if self._failed_records:
            notes.append(
                f"{self._failed_records} records in {self._failed_objects} objects under "
                f"{self._bucket.layout.error_prefix_text}"
            )
        return StageCount(
            S3_STAGE,
            "records",
            self._delivered + self._lost_in_s3,
            self._delivered,
            {"write-failed": self._lost_in_s3} if self._lost_in_s3 else {},
            metrics={
                "twin objects": self._objects,
                "twin bytes": self._bytes_out,
                "twin objects under processing-failed/": self._failed_objects,
                "twin records under processing-failed/": self._failed_records,
            },
            notes=notes,
        )


def _clock(at_ns: int) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(at_ns / _NS_PER_S))
