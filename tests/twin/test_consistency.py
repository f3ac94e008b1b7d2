"""A twin that is not hurried: what is in a buffer or not yet visible is waiting, with the time it is due."""

import asyncio
import time
from pathlib import Path

from twin_bench import Bench, drive
from twin_process import publish, server

from buoyfleet.cloud.local.drain import Drain
from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.model.fleet import TargetSpec, TwinSpec


def test_records_become_visible_later_and_are_waiting_until_then(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.fleet(1, 2)  # a second apart
        bench.clock.advance(9.0)  # the first is 11 s old, the second 10 s
        run = bench.collected("soon")
        assert {row["message"] for row in run.store("timestream")} == {0}
        (row,) = run.outcomes("timestream")
        assert (row["message"], row["outcome"]) == (1, "waiting")
        assert "queries see it from" in row["detail"]
        assert not bench.pipeline.settled(bench.clock.now_ns)
        bench.clock.advance(1.0)
        later = bench.collected("later")
        assert {row["message"] for row in later.store("timestream")} == {0, 1}
        assert later.outcomes("timestream") == []

    drive(tmp_path, work, TwinSpec(timestream_visible_after_s=10.5, hurry=False))


def test_a_hurried_twin_shows_what_will_be_visible(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.fleet(1, 2)
        run = bench.collected()
        assert len(run.store("timestream")) == 18
        assert {row["visible_ns"] - row["timestamp_ms"] * 10**6 for row in run.store("timestream")} == {
            10 * 10**9
        }

    drive(tmp_path, work, TwinSpec(timestream_visible_after_s=10.0))


def test_a_patient_drain_ends_when_all_is_in_its_store(tmp_path: Path) -> None:
    async def main() -> None:
        twin = {
            "hurry": False,
            "firehose_lambda_buffer_s": 0.2,
            "firehose_s3_buffer_s": 0.2,
            "lambda_cold_start_ms": 10.0,
            "timestream_visible_after_s": 0.3,
        }
        async with server(tmp_path, twin=twin) as running:
            await publish(running.endpoint, 100, 5)
            answer = await running.ask("drain", expected=5, timeout_s=60)
            assert answer["complete"] is True
            assert answer["stored"] == {"timestream": 45, "s3": 45}

    asyncio.run(main())


def test_a_patient_drain_does_not_wait_beyond_its_time(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.pipeline.start()
        bench.fleet(1, 1, interval_s=0.0)
        problems: list[str] = []
        began = time.monotonic()
        complete = await Drain(bench.pipeline, False, problems.append).run(1, 0, 0.3)
        assert 0.25 < time.monotonic() - began < 10
        assert (complete, problems) == (True, [])
        assert {stage for stage, _, _ in bench.pipeline.waiting()} == {"firehose"}

    drive(tmp_path, work, TwinSpec(hurry=False))


def test_a_handler_for_node_is_looked_at_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "h.mjs").write_text("export const handler = 1;")
    spec = TargetSpec("local", twin=TwinSpec(lambda_handler=str(tmp_path / "h.mjs")))
    (check,) = asyncio.run(LocalTarget(spec, tmp_path).preflight())
    assert check.passed
    missing = TargetSpec("local", twin=TwinSpec(lambda_handler=str(tmp_path / "none.py")))
    (check,) = asyncio.run(LocalTarget(missing, tmp_path).preflight())
    assert not check.passed
    assert "cannot be read" in check.detail
