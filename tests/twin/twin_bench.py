"""What the twin's tests share: payloads, a pipeline without a broker, collected rows as plain data."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from buoyfleet.cloud.local.collect import Waiting, Window, collect
from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.pipeline import Pipeline
from buoyfleet.model.fleet import FaultSpec, TwinSpec
from sensors.catalog import KEYS

ALL_TIME = (0, 1 << 62)


def values(number: int) -> dict[str, Any]:
    """The nine measures of message `number`; some of them whole numbers."""
    result: dict[str, Any] = {key: 2.0 * place + number for place, key in enumerate(KEYS)}
    result["temp"] = round(result["temp"] + 0.25, 2)
    result["liqlev"] = number % 2 == 1
    return result


def payload(number: int, timestamp_ms: int | None = None) -> bytes:
    """A message as a board sends it; `stamped` where a timestamp is given."""
    body = values(number)
    if timestamp_ms is not None:
        body["timestamp"] = timestamp_ms
    return json.dumps(body).encode()


class FakeClock:
    """A clock that stands until it is moved; in place of `HostClock`."""

    def __init__(self, start_ns: int | None = None) -> None:
        self.now_ns = start_ns if start_ns is not None else time.time_ns() // 10**9 * 10**9

    def utc_ns(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


class Bench:
    """A pipeline whose arrivals have the times a test gives them."""

    def __init__(self, folder: Path, twin: TwinSpec | None = None, **settings: Any) -> None:
        self.clock = FakeClock()
        config = TwinConfig(str(folder / "twin"), twin=twin or TwinSpec(), **settings)
        self.folder = folder
        self.pipeline = Pipeline(config, self.clock)  # type: ignore[arg-type]

    @property
    def now_ms(self) -> int:
        return self.clock.now_ns // 10**6

    def send(self, buoy: int, data: bytes, *, topic: str | None = None, dup: bool = False) -> None:
        """One message from the broker, now."""
        name = topic if topic is not None else f"aws/0/{buoy}/data/"
        self.pipeline.sink(name, data, 1, False, dup, f"buoy-{buoy}")
        self.pipeline.take_in()

    def fleet(self, buoys: int, messages: int, interval_s: float = 1.0) -> None:
        """Every buoy from 100 sends stamped messages in turn."""
        for number in range(messages):
            for buoy in range(100, 100 + buoys):
                self.send(buoy, payload(number, self.now_ms))
            self.clock.advance(interval_s)

    def collected(
        self, name: str = "run", window: tuple[int, int] = ALL_TIME, buoys: Any = range(1000)
    ) -> "Run":
        """Write everything down and read it as a run does."""
        self.pipeline.take_in()
        for log in self.pipeline.logs:
            log.flush()
        waiting = [Waiting(*row) for row in self.pipeline.waiting()]
        run = self.folder / name
        run.mkdir(exist_ok=True)
        config = self.pipeline.config
        seen_ns = None if config.twin.hurry else self.clock.now_ns
        chosen = Window(*window, frozenset(buoys), seen_ns)
        problems = collect(Path(config.folder), run, chosen, waiting, config.layout)
        return Run(run, problems)


def drive(
    folder: Path, work: Callable[[Bench], Awaitable[Any]], twin: TwinSpec | None = None, **settings: Any
) -> Any:
    """Run `work` with a pipeline on an event loop; the pipeline is closed in any case."""

    async def main() -> Any:
        bench = Bench(folder, twin, **settings)
        try:
            return await asyncio.wait_for(work(bench), 100)
        finally:
            await bench.pipeline.close()

    return asyncio.run(main())


class Run:
    """A run's folder after collect."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        self.folder = folder
        self.problems = problems

    def store(self, name: str, known: bool = True) -> list[dict[str, Any]]:
        """Rows of a store; only the nine measures unless told otherwise."""
        rows = [
            row
            for path in sorted((self.folder / "stores" / name).glob("*.parquet"))
            for row in pq.ParquetFile(path).read().to_pylist()
        ]
        return [row for row in rows if not known or row["measure"] in KEYS]

    def found(self, name: str) -> set[tuple[int, int, str, float]]:
        """(buoy, timestamp, measure, value) of a store."""
        return {(r["buoy"], r["timestamp_ms"], r["measure"], r["value"]) for r in self.store(name)}

    def evidence(self, name: str) -> list[dict[str, Any]]:
        table: pa.Table = pq.ParquetFile(self.folder / "evidence" / f"{name}.parquet").read()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    def reached(self, stage: str) -> list[int]:
        """Numbers of the messages that entered a stage, sorted."""
        return sorted(row["message"] for row in self.evidence("trace") if row["stage"] == stage)

    def outcomes(self, stage: str, *, merged: bool = False) -> list[dict[str, Any]]:
        """What a stage refused, failed or holds; or what it had already."""
        return [
            row
            for row in self.evidence("outcomes")
            if row["stage"] == stage and (row["outcome"] == "merged") == merged
        ]


def fault(stage: str, kind: str, **where: Any) -> TwinSpec:
    """Settings of a twin with one rehearsed fault."""
    return replace(TwinSpec(), faults=(FaultSpec(stage, kind, **where),))  # type: ignore[arg-type]
