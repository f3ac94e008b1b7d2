"""The rule action InfluxDB: points go to an InfluxDB that exists, many in one write, noted when taken.

As AWS describes the action, it makes no time of its own: a result without an integer `timestamp` fails. The
attribute `timestamp` is the point's time and `buoy_id` its tag; every other attribute is a field.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoyfleet.cloud.influxdb import TAG, InfluxClient, InfluxError, PartialWrite, line
from buoyfleet.cloud.local.segments import ColumnRows, SegmentLog
from buoyfleet.cloud.local.trace import Trace
from buoyfleet.model.clock import HostClock
from buoyfleet.model.stage_count import StageCount
from sensors.catalog import KEYS

if TYPE_CHECKING:
    import pyarrow as pa

STAGE = "influxdb"
INDEX_FOLDER = "influxdb-index"
"""In the twin's folder: which message became which point, and when it was taken."""
POINTS_PER_WRITE = 5000
"""As InfluxDB's guide on writes advises."""
MAX_WAITING = 500_000
"""Points that wait while InfluxDB is slow or away; what comes beyond fails, so that memory stays bounded."""
_KNOWN = frozenset(KEYS)
_TIME = "timestamp"


def index_schema() -> "pa.Schema":
    """Rows of the index."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("buoy", pa.int32(), nullable=False),
            pa.field("timestamp_ms", pa.int64(), nullable=False),
            pa.field("message", pa.int64(), nullable=False),
            pa.field("at_ns", pa.int64(), nullable=False),
        ]
    )


class _Point:
    """One message on its way."""

    __slots__ = ("buoy", "known", "message", "text", "time_ms")

    def __init__(self, message: int, buoy: int | None, time_ms: int, known: int, text: str) -> None:
        self.message = message
        self.buoy = buoy
        self.time_ms = time_ms
        self.known = known
        self.text = text


class InfluxStage:
    """Points in the order they came. `start` begins to write them."""

    def __init__(self, folder: Path, trace: Trace, client: InfluxClient, clock: HostClock) -> None:
        self._client = client
        self._clock = clock
        self._trace = trace
        self._entries = trace.entries(STAGE)
        self._index = ColumnRows(index_schema)
        self.log = SegmentLog(folder / INDEX_FOLDER, self._index)
        self._waiting: list[_Point] = []
        self._writing: list[_Point] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._writes = 0
        self._notes: list[str] = []
        self.stored_known = 0
        """Measures of the nine in points that were taken."""
        self.count = StageCount(STAGE, "points")

    def write(
        self, message: int, buoy: int | None, dimension: str, result: dict[str, Any], at_ns: int
    ) -> str:
        """One result of the rule; why it failed at once, empty where it did not."""
        self._entries.numbers.append(message)
        self._entries.times.append(at_ns)
        self.count.entered += 1
        time_ms = result.get(_TIME)
        if type(time_ms) is not int:
            detail = f"the payload's timestamp is {time_ms!r}, not an integer"
            return self._refuse(message, "no-timestamp", detail, at_ns)
        fields = {name: value for name, value in result.items() if name not in (_TIME, TAG)}
        try:
            text = line(self._client.spec.measurement, dimension, fields, time_ms)
        except ValueError as error:
            return self._refuse(message, "not-writable", str(error), at_ns)
        if len(self._waiting) >= MAX_WAITING:
            return self._refuse(message, "write-failed", f"{MAX_WAITING} points wait already", at_ns)
        self._waiting.append(_Point(message, buoy, time_ms, len(_KNOWN.intersection(fields)), text))
        self._idle.clear()
        self._wake.set()
        return ""

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            self._wake.clear()
            while self._waiting:
                self._writing = self._waiting[:POINTS_PER_WRITE]
                del self._waiting[:POINTS_PER_WRITE]
                await self._write(self._writing)
                self._writing = []
            self._idle.set()
            await self._wake.wait()

    async def flushed(self) -> None:
        """Wait until nothing is on its way."""
        await self._idle.wait()

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return self._idle.is_set()

    def waiting(self) -> list[int]:
        """Numbers of the messages that are on their way."""
        return [point.message for points in (self._writing, self._waiting) for point in points]

    def reader(self) -> InfluxClient:
        """A connection of its own for reading."""
        return self._client.another()

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    async def _write(self, points: list[_Point]) -> None:
        self._writes += 1
        try:
            await asyncio.to_thread(self._client.write, [point.text for point in points])
        except PartialWrite as error:
            if len(points) == 1:
                self._failed(points, _reason(error.what), error.what)
                return
            # Which points were dropped is not said: halves are written again, which changes nothing else.
            middle = len(points) // 2
            await self._write(points[:middle])
            await self._write(points[middle:])
        except InfluxError as error:
            self._failed(points, "write-failed", error.what)
        else:
            self._taken(points)

    def _taken(self, points: list[_Point]) -> None:
        at_ns = self._clock.utc_ns()
        self.count.left += len(points)
        for point in points:
            self.stored_known += point.known
            if point.buoy is not None:
                self._index.append(point.buoy, point.time_ms, point.message, at_ns)

    def _failed(self, points: list[_Point], reason: str, detail: str) -> None:
        at_ns = self._clock.utc_ns()
        self._trace.failed(STAGE, [point.message for point in points], reason, detail, at_ns)
        self.count.rejected[reason] = self.count.rejected.get(reason, 0) + len(points)
        if detail not in self._notes and len(self._notes) < 10:
            self._notes.append(detail)

    def _refuse(self, message: int, reason: str, detail: str, at_ns: int) -> str:
        self._trace.rejected(STAGE, message, None, reason, detail, at_ns)
        self.count.rejected[reason] = self.count.rejected.get(reason, 0) + 1
        return detail

    def stage_count(self) -> StageCount:
        """Counters so far, a copy."""
        return StageCount(
            STAGE,
            "points",
            self.count.entered,
            self.count.left,
            dict(self.count.rejected),
            waiting=len(self._waiting) + len(self._writing),
            metrics={"twin writes to InfluxDB": self._writes},
            notes=list(self._notes),
        )


def _reason(said: str) -> str:
    if "type conflict" in said:
        return "type-conflict"
    return "too-old" if "retention policy" in said else "write-failed"
