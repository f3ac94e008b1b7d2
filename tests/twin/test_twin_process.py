"""The twin as a process: it comes up, answers, ends when it should, and nothing is left behind."""

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from twin_bench import payload
from twin_process import DEADLINE_S, publish, server, until

from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.drain import QUIET_S
from buoyfleet.cloud.local.pipeline import Pipeline
from buoyfleet.cloud.local.server import serve
from buoyfleet.model.errors import TargetError

pytestmark = pytest.mark.timeout(400)


def segments(folder: Path) -> int:
    return len(list((folder / "twin" / "timestream").glob("*.parquet")))


@pytest.mark.parametrize("how", ["stdin", "SIGTERM", "SIGINT", "stop"])
def test_it_ends_when_asked_and_writes_everything_down(tmp_path: Path, how: str) -> None:
    async def main() -> None:
        async with server(tmp_path) as twin:
            await publish(twin.endpoint, 100, 3)
            # At once: rules are still being parsed, the worker is not up; nothing may be lost or hang.
            if how == "stdin":
                assert twin.process.stdin is not None
                twin.process.stdin.close()
            elif how == "stop":
                await twin.ask("stop")
            else:
                twin.process.send_signal(getattr(signal, how))
            assert await asyncio.to_thread(twin.process.wait, DEADLINE_S) == 0
        assert segments(tmp_path) == 1
        stages = json.loads((tmp_path / "twin" / "evidence" / "stages.json").read_text())
        assert [(stage["name"], stage["left"]) for stage in stages[:3]] == [
            ("broker", 3),
            ("rules", 3),
            ("timestream", 33),
        ]

    asyncio.run(main())


@pytest.mark.parametrize("hangs", [False, True])
def test_it_ends_its_lambda_worker_with_it(tmp_path: Path, hangs: bool) -> None:
    handler = tmp_path / "handler.py"
    handler.write_text(
        "import os, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "import time\n"
        f"while {hangs}: time.sleep(60)\n"
        "def lambda_handler(event, context): pass\n"
    )

    async def main() -> None:
        async with server(tmp_path, twin={"lambda_handler": str(handler)}) as twin:
            await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
            pid = int((tmp_path / "pid").read_text())
            twin.process.kill()  # no chance to tidy up: the worker sees its input end
            await until(lambda: not Path(f"/proc/{pid}").exists())

    asyncio.run(main())


def test_standalone_lives_without_an_input(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path, standalone=True) as twin:
            assert (await twin.ask("status"))["pid"] == twin.process.pid

    asyncio.run(main())


def test_segments_are_written_while_it_runs(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as twin:
            await publish(twin.endpoint, 100, 3)
            await until(lambda: segments(tmp_path) == 1)

    asyncio.run(main())


def test_status_counts_and_metrics_tell_what_happened(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as twin:
            await publish(twin.endpoint, 100, 3)
            assert (await twin.ask("counts"))["received"] == 3
            while (counts := await twin.ask("counts"))["stored"]["timestream"] < 27:
                await asyncio.sleep(0.01)
            assert (counts["received"], counts["stored"]) == (3, {"timestream": 27, "s3": 0})
            answer = await twin.ask("drain", expected=3, timeout_s=60)
            assert answer["complete"] is True
            assert answer["stored"] == {"timestream": 27, "s3": 27}
            status = await twin.ask("status")
            assert status["problems"] == []
            assert status["folder"] == str(tmp_path / "twin")
            metrics = (await twin.ask("metrics"))["metrics"]
            assert metrics["AWS/IoT PublishIn.Success"] == 3
            assert metrics["AWS/Firehose DeliveryToS3.Records"] == 3

    asyncio.run(main())


def test_a_drain_does_not_wait_for_messages_that_never_come(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as twin:
            await publish(twin.endpoint, 100, 3)
            began = time.monotonic()
            answer = await twin.ask("drain", expected=10, timeout_s=60)
            assert time.monotonic() - began < 10
            assert answer["complete"] is True
            assert answer["received"] == 3

    asyncio.run(main())


def test_a_drain_waits_for_messages_that_are_on_their_way(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as twin:
            # So long after its start that only the drain itself has been waiting.
            while (await twin.ask("status"))["uptime_s"] < 2 * QUIET_S:
                await asyncio.sleep(0.05)
            sending = asyncio.ensure_future(publish(twin.endpoint, 100, 2000, qos=0))
            answer = await twin.ask("drain", expected=2000, timeout_s=60)
            await sending
            assert answer["stored"] == {"timestream": 18_000, "s3": 18_000}

    asyncio.run(main())


def test_a_drain_that_runs_out_of_time_says_so(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("import time\ndef lambda_handler(event, context): time.sleep(30)\n")

    async def main() -> None:
        async with server(tmp_path, twin={"lambda_handler": str(tmp_path / "handler.py")}) as twin:
            await publish(twin.endpoint, 100, 1)
            answer = await twin.ask("drain", expected=1, timeout_s=0.5)
            assert answer["complete"] is False
            assert "did not get on for 0.5 s" in (await twin.ask("status"))["problems"][0]

    asyncio.run(main())


def test_a_mark_begins_a_run_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path, limits="lifted") as twin:
            await publish(twin.endpoint, 100, 1500)
            await twin.ask("drain", expected=1500, timeout_s=60)
            mark = (await twin.ask("mark"))["mark"]
            await publish(twin.endpoint, 101, 2)
            await twin.ask("drain", expected=2, timeout_s=60, mark=mark)
            assert (await twin.ask("counts", mark=mark))["stored"] == {"timestream": 18, "s3": 18}
            stages = {stage["name"]: stage for stage in (await twin.ask("stages", mark=mark))["stages"]}
            assert {name: stage["left"] for name, stage in stages.items()} == {
                "broker": 2,
                "rules": 2,
                "timestream": 22,
                "kinesis": 2,
                "firehose": 2,
                "lambda": 2,
                "s3": 2,
            }
            assert stages["broker"]["metrics"]["AWS/IoT PublishIn.Success"] == 2
            # Its own two, in one second or in two; not the 1500 from before.
            assert 1 <= stages["kinesis"]["metrics"]["twin busiest second of a shard, records"] <= 2
            assert stages["lambda"]["metrics"]["AWS/Lambda Invocations"] == 1
            with pytest.raises(TargetError, match="no mark 7"):
                await twin.ask("counts", mark=7)

    asyncio.run(main())


@pytest.mark.parametrize(
    "request_line", [b"GET / HTTP/1.1\r\n", b"[]\n", b"\xff\n", b'{"do"\n', b"[" * 9999 + b"\n"]
)
def test_a_line_that_is_no_request_ends_the_connection_and_nothing_else(
    tmp_path: Path, request_line: bytes
) -> None:
    async def main() -> None:
        async with server(tmp_path) as twin:
            reader, writer = await asyncio.open_connection("127.0.0.1", twin.ready["control_port"])
            writer.write(request_line + b'{"id":1,"do":"stop"}\n')
            assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
            writer.close()
            assert (await twin.ask("status"))["problems"] == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("request_fields", "words"),
    [
        ({"do": "explode"}, "unknown command"),
        ({"do": "drain"}, "bad request"),
        ({"do": "collect", "buoys": 5}, "bad"),
    ],
)
def test_a_wrong_request_is_answered_with_what_is_wrong(
    tmp_path: Path, request_fields: dict[str, Any], words: str
) -> None:
    async def main() -> None:
        async with server(tmp_path) as twin:
            with pytest.raises(TargetError, match=words):
                await twin.ask(**request_fields)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("settings", "exit_code", "words"),
    [
        ({"twin": {"kinesis_rule": {"sql": "SELECT DISTINCT do FROM 'a'"}}}, 2, "expected FROM"),
        ({"limits": "some"}, 2, "limits is 'some'"),
        ({"folder": "/dev/null/x"}, 3, "cannot be written"),
    ],
)
def test_a_twin_that_cannot_start_says_why_in_its_ready_line(
    tmp_path: Path, settings: dict[str, Any], exit_code: int, words: str
) -> None:
    async def main() -> None:
        async with server(tmp_path, **settings) as twin:
            assert twin.ready["ready"] is False
            assert words in twin.ready["error"]["what"]
            assert await asyncio.to_thread(twin.process.wait, DEADLINE_S) == exit_code

    asyncio.run(main())


def test_a_taken_port_and_a_taken_folder_are_said(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path / "a") as first:
            async with server(tmp_path / "b", port=first.ready["port"]) as second:
                assert second.ready["error"]["next_step"].startswith("give another --port")
            async with server(tmp_path / "c", folder=str(tmp_path / "a" / "twin")) as third:
                assert "another twin's data" in third.ready["error"]["what"]

    asyncio.run(main())


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as twin:
            addresses = {
                line.split()[1]
                for name in ("tcp", "tcp6")
                for line in Path(f"/proc/{twin.process.pid}/net/{name}").read_text().splitlines()[1:]
                if line.split()[3] == "0A"
            }
            for port in (twin.ready["port"], twin.ready["control_port"]):
                assert f"0100007F:{port:04X}" in addresses
                assert f"00000000:{port:04X}" not in addresses

    asyncio.run(main())


def test_a_defect_in_the_background_ends_the_twin_with_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_self: Pipeline, _now_ns: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Pipeline, "deliver_until", broken)

    async def main() -> None:
        twins: list[Any] = []
        running = asyncio.ensure_future(
            serve(TwinConfig(str(tmp_path / "twin")), twins.append, watch_parent=False)
        )
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(running, DEADLINE_S)

    asyncio.run(main())


def test_a_full_disk_is_a_problem_that_is_said_and_the_twin_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    def full(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    async def main() -> None:
        twins: list[Any] = []
        running = asyncio.ensure_future(
            serve(TwinConfig(str(tmp_path / "twin")), twins.append, watch_parent=False)
        )
        await until(lambda: twins)
        (twin,) = twins
        with monkeypatch.context() as patched:
            patched.setattr(pq, "write_table", full)
            twin.pipeline.sink("aws/0/100/data/", payload(0, time.time_ns() // 10**6), 1, False, False, "c")
            await until(lambda: twin.status()["problems"])
        assert "No space left" in twin.status()["problems"][0]
        twin.stopping.set()
        await asyncio.wait_for(running, DEADLINE_S)
        assert segments(tmp_path) == 1

    asyncio.run(main())
