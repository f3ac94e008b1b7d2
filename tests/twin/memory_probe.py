"""Sends a million measures through a pipeline and prints by how many MB the process grew: FOLDER."""

import resource
import sys
from pathlib import Path

# Loaded beforehand, so that only what is kept per message counts.
import numpy
import pyarrow.parquet
from twin_bench import Bench, drive, payload

_ = (numpy, pyarrow.parquet)


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def flush(bench: Bench) -> None:
    for log in bench.pipeline.logs:
        log.flush()


async def work(bench: Bench) -> int:
    bench.fleet(10, 10)
    flush(bench)
    before = peak_mb()
    for second in range(112):
        for number in range(100):
            data = payload(100 * second + number, bench.now_ms + number)
            for buoy in range(100, 110):
                bench.pipeline.sink(f"aws/0/{buoy}/data/", data, 1, False, False, "client")
        bench.pipeline.take_in()
        bench.clock.advance(1)
        await bench.pipeline.deliver_until(bench.clock.now_ns)
        if second % 5 == 4:
            flush(bench)
    if bench.pipeline.stored()["timestream"] < 1_000_000:
        sys.exit(f"only {bench.pipeline.stored()} measures")
    return peak_mb() - before


if __name__ == "__main__":
    print(drive(Path(sys.argv[1]), work))  # noqa: T201
