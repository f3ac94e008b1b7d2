"""The Kinesis data stream: shards by partition key, each with its limits on records and bytes per second."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from buoyfleet.cloud.local.faults import StageFaults
from buoyfleet.cloud.local.trace import Trace
from buoyfleet.model.limits import ShardLimits
from buoyfleet.model.stage_count import StageCount

STAGE = "kinesis"
BYTES_PER_MB = 1 << 20
_NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class Record:
    """One record on its way through the stream to S3."""

    message: int
    """Number in the trace."""
    buoy: int | None
    data: bytes
    arrival_ns: int
    """When the stream took it: `approximateArrivalTimestamp`."""
    known: int = 0
    """How many of the nine measures it holds."""
    partition_key: str = ""
    shard: int = 0
    sequence: int = 0
    released: str = ""
    """Stage whose rehearsed delay this record has already served."""


class Bucket:
    """A token bucket that holds one second's worth: a shard takes bursts up to its limit per second."""

    __slots__ = ("_at_ns", "_per_ns", "_size", "_tokens")

    def __init__(self, per_s: float) -> None:
        self._size = per_s
        self._per_ns = per_s / _NS_PER_S
        self._tokens = per_s
        self._at_ns = 0

    def has(self, amount: float, now_ns: int) -> bool:
        """Whether that much may pass now. Time that runs backwards (a delayed record) brings nothing."""
        if now_ns > self._at_ns:
            self._tokens = min(self._size, self._tokens + (now_ns - self._at_ns) * self._per_ns)
            self._at_ns = now_ns
        return self._tokens >= amount

    def take(self, amount: float) -> None:
        """Use what `has` allowed."""
        self._tokens -= amount


class _Shard:
    """Limits and the busiest second of one shard."""

    __slots__ = ("busiest", "busiest_bytes", "bytes", "in_second", "in_second_bytes", "records", "second")

    def __init__(self, records_per_s: float, bytes_per_s: float) -> None:
        self.records = Bucket(records_per_s)
        self.bytes = Bucket(bytes_per_s)
        self.second = 0
        self.in_second = self.in_second_bytes = 0
        self.busiest = self.busiest_bytes = 0

    def note(self, size: int, at_ns: int) -> None:
        second = at_ns // _NS_PER_S
        if second != self.second:
            self.second, self.in_second, self.in_second_bytes = second, 0, 0
        self.in_second += 1
        self.in_second_bytes += size
        if self.in_second > self.busiest:
            self.busiest = self.in_second
        if self.in_second_bytes > self.busiest_bytes:
            self.busiest_bytes = self.in_second_bytes


class Stream:
    """The stream. What it takes goes to `deliver(record, at_ns)`.

    Limits are AWS's quotas per shard; `lifted` keeps count of them without refusing.
    """

    def __init__(
        self,
        trace: Trace,
        deliver: Callable[[Record, int], None],
        *,
        shards: int = 1,
        limits: ShardLimits | None = None,
        faults: StageFaults | None = None,
    ) -> None:
        self._trace = trace
        self._entries = trace.entries(STAGE)
        self._deliver = deliver
        self._faults = faults
        limits = limits or ShardLimits()
        usual = ShardLimits()
        # A lifted limit refuses nothing; the share of it is still told.
        self._records_per_s = limits.shard_records_per_s or usual.shard_records_per_s or 1.0
        self._bytes_per_s = limits.shard_bytes_per_s or usual.shard_bytes_per_s or 1.0
        self._keeps_records = limits.shard_records_per_s is not None
        self._keeps_bytes = limits.shard_bytes_per_s is not None
        self._shards = [_Shard(self._records_per_s, self._bytes_per_s) for _ in range(shards)]
        self._sequence = 0
        self.entered = 0
        self.left = 0
        self.refused = 0
        self._rejected: dict[str, int] = {}
        self._bytes = 0

    @property
    def needs_key(self) -> bool:
        """Whether records are spread over several shards; with one the key changes nothing."""
        return len(self._shards) > 1

    def put(self, record: Record, at_ns: int) -> None:
        """Take one record, or refuse it; rehearsed faults act first."""
        if self._faults is not None:
            parts = self._faults.data(record.buoy, record.data)
            if parts is not None:
                for data, delay_ns in parts:
                    self._put(
                        Record(record.message, record.buoy, data, 0, record.known, record.partition_key),
                        at_ns + delay_ns,
                    )
                return
        self._put(record, at_ns)

    def _put(self, record: Record, at_ns: int) -> None:
        self._entries.numbers.append(record.message)
        self._entries.times.append(at_ns)
        self.entered += 1
        number = shard_of(record.partition_key, len(self._shards)) if len(self._shards) > 1 else 0
        shard = self._shards[number]
        size = len(record.data)
        if self._keeps_records or self._keeps_bytes:
            reason = ""
            if self._keeps_records and not shard.records.has(1, at_ns):
                reason = "records-per-second"
            elif self._keeps_bytes and not shard.bytes.has(size, at_ns):
                reason = "bytes-per-second"
            if reason:
                self._refuse(record, number, reason, at_ns)
                return
            shard.records.take(1)
            shard.bytes.take(size)
        shard.note(size, at_ns)
        self._sequence += 1
        self._bytes += size
        self.left += 1
        record.arrival_ns, record.shard, record.sequence = at_ns, number, self._sequence
        self._deliver(record, at_ns)

    def _refuse(self, record: Record, shard: int, reason: str, at_ns: int) -> None:
        self.refused += 1
        self._rejected[reason] = self._rejected.get(reason, 0) + 1
        limit = (
            f"{self._records_per_s:g} records/s"
            if reason == "records-per-second"
            else f"{self._bytes_per_s / BYTES_PER_MB:g} MB/s"
        )
        detail = f"WriteProvisionedThroughputExceeded: shard {shard} of {len(self._shards)} takes {limit}"
        self._trace.rejected(STAGE, record.message, None, reason, detail, at_ns)

    def restart_gauges(self) -> None:
        """Begin anew what cannot be told by subtracting: the busiest second."""
        for shard in self._shards:
            shard.busiest = shard.busiest_bytes = shard.in_second = shard.in_second_bytes = 0

    def stage_count(self) -> StageCount:
        """Counters so far, a copy."""
        busiest = max(self._shards, key=lambda shard: shard.busiest)
        share = max(
            max(shard.busiest / self._records_per_s, shard.busiest_bytes / self._bytes_per_s)
            for shard in self._shards
        )
        refused = self.refused
        notes = []
        if busiest.busiest:
            notes.append(
                f"busiest second of a shard: {busiest.busiest} records, "
                f"{max(shard.busiest_bytes for shard in self._shards)} bytes; "
                f"{math.ceil(share * 1000) / 10:g} % of its limit"
                + (" (limit lifted)" if share > 1 and not (self._keeps_records and self._keeps_bytes) else "")
            )
        return StageCount(
            STAGE,
            "records",
            self.entered,
            self.left,
            dict(self._rejected),
            metrics={
                "AWS/Kinesis IncomingRecords": self.left,
                "AWS/Kinesis IncomingBytes": self._bytes,
                "AWS/Kinesis WriteProvisionedThroughputExceeded": refused,
                "AWS/Kinesis PutRecord.Success": self.left,
                "twin busiest second of a shard, records": busiest.busiest,
                "twin busiest second of a shard, share of its limit": share,
            },
            notes=notes,
        )


def shard_of(partition_key: str, shards: int) -> int:
    """The shard of a key: MD5 as a 128-bit number; shards share the range evenly (Kinesis API, PutRecord)."""
    number = int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest(), "big")
    return number * shards >> 128
