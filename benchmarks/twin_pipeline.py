"""CPU per message through the twin's pipeline behind the broker, from the rules to both stores.

    python benchmarks/twin_pipeline.py [MESSAGES]

Messages carry nine measures and a timestamp. `ingest` is what runs as messages arrive, `delivery` what the
hurried buffers do, `segments` the writing of Parquet, `handler` the Lambda handler in its own process. The
goal is 60 µs for all of it, so that 20 000 messages pass in a couple of seconds. Memory holds buffers of full
size (about 100 MB) and what messages leave behind (about 100 bytes each).
"""

import asyncio
import itertools
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

# Loaded beforehand: the twin loads them in the background before the first message.
import numpy
import pyarrow.parquet

from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.pipeline import Pipeline
from sensors.catalog import KEYS

BOUND_US = 60.0
BUOYS = 30
_ = (numpy, pyarrow.parquet)


def messages(count: int) -> list[tuple[str, bytes]]:
    """Topics and payloads of a fleet, message by message in turn."""
    now_ms = time.time_ns() // 10**6
    result = []
    for number in range(count):
        body: dict[str, object] = {key: round(1.37 * place + number, 2) for place, key in enumerate(KEYS)}
        body["liqlev"] = number % 2 == 1
        body["timestamp"] = now_ms + number // BUOYS
        topic = f"aws/0/{100 + number % BUOYS}/data/"
        result.append((topic, json.dumps(body, separators=(",", ":")).encode()))
    return result


async def measure(folder: Path, sent: list[tuple[str, bytes]]) -> dict[str, float]:
    """CPU seconds by part, and the growth of memory in kB."""
    pipeline = Pipeline(TwinConfig(str(folder / "twin")))
    pipeline.start()
    pipeline.compile_rules()
    await pipeline.warm_up()
    memory_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    marks = [time.process_time()]
    for first in range(0, len(sent), 100):
        for topic, payload in sent[first : first + 100]:
            pipeline.sink(topic, payload, 1, False, False, "client")
        await asyncio.sleep(0)
    marks.append(time.process_time())
    await pipeline.hurry()
    marks.append(time.process_time())
    for log in pipeline.logs:
        log.flush()
    marks.append(time.process_time())
    await pipeline.close()
    worker = resource.getrusage(resource.RUSAGE_CHILDREN)
    stored = pipeline.stored()
    if set(stored.values()) != {len(sent) * len(KEYS)}:
        sys.exit(f"not everything is stored: {stored}")
    ingest, delivery, segments = (after - before for before, after in itertools.pairwise(marks))
    return {
        "ingest": ingest,
        "delivery": delivery,
        "segments": segments,
        "handler": worker.ru_utime + worker.ru_stime,
        "memory_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kb,
    }


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    sent = messages(count)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        found = asyncio.run(measure(Path(folder), sent))
        wall_s = time.monotonic() - began
    memory_kb = found.pop("memory_kb")
    for name, seconds in found.items():
        print(f"{name:<10}{seconds / count * 1e6:7.1f} µs CPU a message")
    total_us = sum(found.values()) / count * 1e6
    verdict = "within" if total_us <= BOUND_US else "OVER"
    print(f"{'together':<10}{total_us:7.1f} µs CPU a message, {verdict} the {BOUND_US:g} µs of the plan")
    measures = count * len(KEYS)
    print(
        f"{count} messages, {measures} measures in {wall_s:.2f} s; memory grew by {memory_kb / 1024:.0f} MB"
    )
    sys.exit(total_us > BOUND_US)


if __name__ == "__main__":
    main()
