"""Target `local` as a run uses it: started or attached, killed in mid-run, twice into one twin."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from twin_bench import Run, fault
from twin_process import is_running, publish, server, until

from buoyfleet.cloud.local.control_client import parse_address
from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.cloud.target import Collected, LiveCounts
from buoyfleet.model.errors import PreflightError, TargetError
from buoyfleet.model.fleet import TargetSpec, TwinSpec

LOCAL = TargetSpec("local")
WINDOW = (0, 1 << 62)
BUOYS = frozenset({100, 101, 102})


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(work(), 100))  # type: ignore[arg-type]


async def send(target: LocalTarget, messages: int = 5) -> list[LiveCounts]:
    """Three buoys send, the target drains; what it told on the way."""
    endpoint = await target.start()
    await asyncio.gather(*(publish(endpoint, buoy, messages) for buoy in sorted(BUOYS)))
    told: list[LiveCounts] = []
    await target.drain(3 * messages, 20, told.append)
    return told


def test_a_run_ends_with_every_measure_in_both_stores_and_no_process(tmp_path: Path) -> None:
    async def main() -> None:
        target = LocalTarget(LOCAL, tmp_path)
        assert all(check.passed for check in await target.preflight())
        told = await send(target)
        assert told[-1] == LiveCounts(15, {"timestream": 135, "s3": 135})
        assert await target.counts() == told[-1]
        collected = await target.collect(tmp_path, *WINDOW, BUOYS)
        assert (collected.stores, collected.problems) == (("timestream", "s3"), [])
        assert [stage.name for stage in collected.stages] == [
            "broker",
            "rules",
            "timestream",
            "kinesis",
            "firehose",
            "lambda",
            "s3",
        ]
        pid = (await target._ask("status", 10))["pid"]
        await target.stop()
        await target.stop()
        assert not is_running(pid)
        found = Run(tmp_path, [])
        assert len(found.store("timestream")) == len(found.store("s3")) == 135
        assert found.found("timestream") == found.found("s3")
        assert (tmp_path / "evidence" / "stages.json").exists()

    run(main)


def test_the_settings_of_the_run_reach_the_twin(tmp_path: Path) -> None:
    async def main() -> None:
        spec = TargetSpec("local", twin=fault("s3", "lost", buoys=(101,), messages=(1,)))
        target = LocalTarget(spec, tmp_path, limits="aws")
        assert target.changed_limits == ()
        assert any("Kinesis" in words for words in LocalTarget(LOCAL, tmp_path).changed_limits)
        try:
            told = await send(target)
            assert told[-1].stored == {"timestream": 135, "s3": 126}
        finally:
            await target.stop()

    run(main)


def test_a_twin_killed_in_mid_run_is_said_and_what_it_wrote_is_collected(tmp_path: Path) -> None:
    async def main() -> None:
        target = LocalTarget(LOCAL, tmp_path)
        endpoint = await target.start()
        try:
            start_ms = await publish(endpoint, 100, 7)
            await until(lambda: list((tmp_path / "twin" / "timestream").glob("*.parquet")))
            status = await target._ask("status", 10)
            os.kill(status["pid"], signal.SIGKILL)
            with pytest.raises(TargetError) as raised:
                await target.counts()
            assert "SIGKILL" in str(raised.value)
            assert str(tmp_path / "twin") in str(raised.value)
            with pytest.raises(TargetError):
                await target.drain(7, 5, lambda _counts: None)
            collected: Collected = await target.collect(tmp_path, *WINDOW, BUOYS)
        finally:
            await target.stop()
        assert not is_running(status["pid"])
        assert any("ended in mid-run (signal SIGKILL)" in problem for problem in collected.problems)
        found = Run(tmp_path, [])
        assert {row["timestamp_ms"] for row in found.store("timestream")} == {start_ms + n for n in range(7)}
        assert len(found.store("timestream")) == 63
        assert found.store("s3") == []
        assert found.reached("rules") == list(range(7))
        assert {stage.name: stage.entered for stage in collected.stages}["timestream"] == 77

    run(main)


def test_the_twin_ends_when_the_run_is_killed(tmp_path: Path) -> None:
    """Its input ends with the process that started it."""
    code = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from buoyfleet.cloud.local.target import LocalTarget\n"
        "from buoyfleet.model.fleet import TargetSpec\n"
        "async def main():\n"
        "    target = LocalTarget(TargetSpec('local'), Path(sys.argv[1]))\n"
        "    await target.start()\n"
        "    print((await target._ask('status', 10))['pid'], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )

    async def main() -> None:
        import sys

        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        await until(lambda: not is_running(int(output)))

    run(main)


def test_two_runs_into_one_running_twin_are_kept_apart(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path / "server", standalone=True) as twin:
            attach = TargetSpec("local", attach=f"127.0.0.1:{twin.ready['control_port']}")
            stamps = []
            for name in ("first", "second"):
                target = LocalTarget(attach, tmp_path / name)
                assert [check.passed for check in await target.preflight()] == [True]
                told = await send(target, 4)
                assert told[-1] == LiveCounts(12, {"timestream": 108, "s3": 108})
                collected = await target.collect(tmp_path / name, *WINDOW, BUOYS)
                await target.stop()
                assert [stage.left for stage in collected.stages] == [12, 12, 132, 12, 12, 12, 12]
                found = Run(tmp_path / name, [])
                assert len(found.store("timestream")) == 108
                if name == "second":
                    assert len(found.store("s3")) == 108
                stamps.append({row["timestamp_ms"] for row in found.store("timestream")})
            assert not stamps[0] & stamps[1]
            # Of a run that was over before the twin began it has nothing, and says so.
            target = LocalTarget(attach, tmp_path / "earlier")
            assert await target.reopen(time.time_ns() - 3600 * 10**9) is not None
            with pytest.raises(TargetError, match="started after it"):
                await target.collect(tmp_path / "earlier", *WINDOW, BUOYS)
            assert not (tmp_path / "earlier").exists()
            await target.stop()
            assert is_running(twin.process.pid)

    run(main)


def test_a_twin_for_other_payloads_or_topics_is_not_attached_to(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path / "server", payload="original") as twin:
            attach = TargetSpec("local", attach=str(twin.ready["control_port"]))
            target = LocalTarget(attach, tmp_path, payload="stamped")
            (check,) = await target.preflight()
            assert not check.passed
            assert "'original'" in check.detail
            with pytest.raises(PreflightError, match="'original'"):
                await target.start()
            await target.stop()
            other = LocalTarget(attach, tmp_path, payload="original", topic_prefix="test/1")
            with pytest.raises(PreflightError, match="topic_prefix"):
                await other.start()
            await other.stop()

    run(main)


@pytest.mark.parametrize("attach", ["127.0.0.1:1", "nonsense", "example.org:18883"])
def test_a_twin_that_is_not_there_fails_the_preflight_with_what_to_type(tmp_path: Path, attach: str) -> None:
    async def main() -> None:
        target = LocalTarget(TargetSpec("local", attach=attach), tmp_path)
        (check,) = await target.preflight()
        assert not check.passed
        assert "buoy twin" in check.next_step
        with pytest.raises((TargetError, PreflightError)):
            await target.start()
        await target.stop()

    run(main)


def test_a_taken_port_fails_the_preflight_and_the_start(tmp_path: Path) -> None:
    async def main() -> None:
        other = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        port = other.sockets[0].getsockname()[1]
        target = LocalTarget(TargetSpec("local", port=port), tmp_path)
        checks = {check.name: check for check in await target.preflight()}
        assert not checks["twin port"].passed
        assert "target.port" in checks["twin port"].next_step
        with pytest.raises(PreflightError, match="cannot listen"):
            await target.start()
        await target.stop()
        other.close()
        await other.wait_closed()

    run(main)


def test_a_run_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def main() -> None:
        target = LocalTarget(LOCAL, tmp_path / "file")
        with pytest.raises(PreflightError, match="cannot be written"):
            await target.start()
        await target.stop()

    run(main)


def test_nothing_works_before_start_and_stop_always_does(tmp_path: Path) -> None:
    async def main() -> None:
        target = LocalTarget(LOCAL, tmp_path)
        with pytest.raises(TargetError, match="not started"):
            await target.counts()
        await target.stop()

    run(main)


def test_the_original_finding_is_rehearsed_from_end_to_end(tmp_path: Path) -> None:
    """Timestream complete, S3 short because the Lambda timed out, the shard far below its limit."""

    async def main() -> None:
        spec = TwinSpec(lambda_timeout_s=3, lambda_per_record_ms=300, firehose_lambda_buffer_s=1)
        target = LocalTarget(TargetSpec("local", twin=spec), tmp_path, limits="aws")
        try:
            await send(target, 20)
            collected = await target.collect(tmp_path, *WINDOW, BUOYS)
        finally:
            await target.stop()
        found = Run(tmp_path, [])
        assert len(found.store("timestream")) == 60 * 9
        assert len(found.store("s3")) < 60 * 9
        outcomes = found.outcomes("lambda")
        assert {row["reason"] for row in outcomes} == {"timeout"}
        assert len(found.store("s3")) == (60 - len(outcomes)) * 9
        stages = {stage.name: stage for stage in collected.stages}
        assert stages["kinesis"].metrics["twin busiest second of a shard, share of its limit"] <= 0.06
        assert stages["kinesis"].rejected == {}
        assert "Task timed out after 3.00 seconds" in stages["lambda"].notes[0]

    run(main)


@pytest.mark.parametrize(
    ("text", "address"), [("18883", ("127.0.0.1", 18883)), ("localhost:5", ("localhost", 5))]
)
def test_a_control_address_is_a_port_or_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address
