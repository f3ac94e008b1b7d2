"""The Lambda handler in its own process, the modelled duration, and what `datatransform` makes of records."""

import asyncio
import base64
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin_bench import values

from buoyfleet.cloud.local import datatransform
from buoyfleet.cloud.local.lambda_runtime import Answer, LambdaModel, LambdaRuntime
from sensors.catalog import KEYS


def with_runtime(
    folder: Path, source: str, work: Callable[[LambdaRuntime], Awaitable[Any]], wall_limit_s: float = 20.0
) -> Any:
    handler = folder / "handler.py"
    handler.write_text(source)

    async def main() -> Any:
        runtime = LambdaRuntime(
            handler, folder / "lambda.log", wall_limit_s=wall_limit_s, memory_mb=128, timeout_s=3
        )
        try:
            return await asyncio.wait_for(work(runtime), 100)
        finally:
            await runtime.close()

    return asyncio.run(main())


def invoke(folder: Path, source: str, event: Any = None, **settings: Any) -> Answer:
    async def work(runtime: LambdaRuntime) -> Answer:
        return await runtime.invoke(json.dumps(event).encode())

    answer: Answer = with_runtime(folder, source, work, **settings)
    return answer


def test_the_handler_gets_the_event_and_lambdas_context(tmp_path: Path) -> None:
    source = (
        "def lambda_handler(event, context):\n"
        "    return [event, context.function_name, context.memory_limit_in_mb, len(context.aws_request_id),\n"
        "            2000 < context.get_remaining_time_in_millis() <= 3000]\n"
    )
    assert invoke(tmp_path, source, {"a": [1, "é"]}).result == [
        {"a": [1, "é"]},
        "datatransform",
        "128",
        36,
        True,
    ]


def test_what_the_handler_prints_goes_to_the_log_and_not_into_the_answer(tmp_path: Path) -> None:
    source = "def lambda_handler(event, context):\n    print('seen', event, flush=True)\n    return 5\n"
    assert invoke(tmp_path, source, 7).result == 5
    assert "seen 7" in (tmp_path / "lambda.log").read_text()


def test_an_exception_of_the_handler_is_an_answer_and_the_worker_lives_on(tmp_path: Path) -> None:
    source = "import os\ndef lambda_handler(event, context):\n    return os.getpid() if event else 1 / 0\n"

    async def work(runtime: LambdaRuntime) -> None:
        first = await runtime.invoke(b"true")
        failed = await runtime.invoke(b"false")
        assert failed.error_type == "ZeroDivisionError"
        assert (await runtime.invoke(b"true")).result == first.result

    with_runtime(tmp_path, source, work)


@pytest.mark.parametrize(
    ("source", "error_type"),
    [
        ("import nothing_of_that_name\n", "Runtime.ImportModuleError"),
        ("def other(event, context): pass\n", "Runtime.ImportModuleError"),
        ("def lambda_handler(event, context):\n    return {1, 2}\n", "Runtime.MarshalError"),
        ("import os\ndef lambda_handler(event, context):\n    os._exit(3)\n", "Runtime.ExitError"),
        ("def lambda_handler(event, context):\n    raise SystemExit(2)\n", "Runtime.ExitError"),
    ],
)
def test_a_handler_that_cannot_answer_is_told_as_lambda_tells_it(
    tmp_path: Path, source: str, error_type: str
) -> None:
    assert invoke(tmp_path, source).error_type == error_type


def test_a_handler_that_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    source = (
        "import os, time\n"
        "def lambda_handler(event, context):\n"
        "    if event == 'hang':\n"
        "        while True: time.sleep(1)\n"
        "    return os.getpid()\n"
    )

    async def work(runtime: LambdaRuntime) -> None:
        first = (await runtime.invoke(b"1")).result
        hung = await runtime.invoke(b'"hang"')
        assert hung.error_type == "WallClockProtection"
        second = (await runtime.invoke(b"1")).result
        assert second != first
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)

    with_runtime(tmp_path, source, work, wall_limit_s=0.8)


def test_closing_leaves_no_process(tmp_path: Path) -> None:
    source = "import os\ndef lambda_handler(event, context):\n    return os.getpid()\n"
    pid = invoke(tmp_path, source).result
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_megabytes_pass_both_ways(tmp_path: Path) -> None:
    source = "def lambda_handler(event, context):\n    return event[::-1]\n"
    assert invoke(tmp_path, source, "ab" * 2_000_000).result == "ba" * 2_000_000


@pytest.mark.parametrize(
    ("memory_mb", "records", "cold", "duration_s"),
    [(128, 1000, False, 1.0), (128, 1000, True, 1.25), (256, 1000, True, 0.75), (1024, 800, False, 0.1)],
)
def test_the_modelled_duration_is_cold_start_and_work_scaled_by_memory(
    memory_mb: int, records: int, cold: bool, duration_s: float
) -> None:
    assert LambdaModel(3, memory_mb, 250, 1.0).duration_s(records, cold) == pytest.approx(duration_s)


def test_firehose_waits_five_minutes_whatever_the_function_allows() -> None:
    assert LambdaModel(900, 128, 0, 1).limit_s == 300


# -- datatransform ----------------------------------------------------------------------------------


def transform(data: bytes) -> tuple[str, Any]:
    record = {"recordId": "r1", "data": base64.b64encode(data).decode()}
    (result,) = datatransform.lambda_handler({"records": [record]}, None)["records"]
    assert result["recordId"] == "r1"
    decoded = base64.b64decode(result["data"])
    return result["result"], json.loads(decoded) if result["result"] == "Ok" else decoded


def test_datatransform_keeps_the_nine_keys_the_timestamp_and_an_integer_buoy() -> None:
    body = {**values(3), "timestamp": 17, "buoy_id": "100", "sensor_error": "x"}
    status, kept = transform(json.dumps(body).encode())
    assert status == "Ok"
    assert kept == {**values(3), "timestamp": 17, "buoy_id": 100}
    assert json.dumps(kept["do"]) == "3.0"


def test_datatransform_leaves_absent_keys_absent() -> None:
    assert transform(b'{"temp":7,"buoy_id":"5"}') == ("Ok", {"temp": 7, "buoy_id": 5})


def test_datatransform_uses_no_other_keys_than_the_catalog() -> None:
    assert (*KEYS, "timestamp") == datatransform.KEYS


@pytest.mark.parametrize(
    "data", [b"", b"no json", b"[1]", b"7", b'{"temp":1}', b'{"buoy_id":"x"}', b"\xff\xfe"]
)
def test_datatransform_returns_what_it_cannot_read_as_failed_and_unchanged(data: bytes) -> None:
    assert transform(data) == ("ProcessingFailed", data)


@given(st.binary(max_size=80))
def test_datatransform_never_raises(data: bytes) -> None:
    assert transform(data)[0] in ("Ok", "ProcessingFailed")


def test_what_the_handler_returns_is_marshalled_as_awss_runtime_does_it(tmp_path: Path) -> None:
    source = (
        "import collections, decimal\n"
        "Row = collections.namedtuple('Row', 'a b')\n"
        "def lambda_handler(event, context):\n"
        "    return {'bytes': 'é'.encode(), 'decimal': decimal.Decimal('7.10'), 'tuple': (1, 2),\n"
        "            'row': Row(1, b'x'), b'key': None}\n"
    )
    assert invoke(tmp_path, source).result == {
        "bytes": "é",
        "decimal": 7.10,
        "tuple": [1, 2],
        "row": {"a": 1, "b": "x"},
        "key": None,
    }


def test_the_handler_finds_lambdas_environment_and_nothing_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the user's own")
    monkeypatch.setenv("OWN_SECRET", "x")
    monkeypatch.setenv("PYTHONPATH", "/the/users/own")
    source = (
        "import os\n"
        "REGION = os.environ['AWS_REGION']\n"
        "def lambda_handler(event, context):\n"
        "    return [dict(os.environ), context.log_stream_name, context.function_version,\n"
        "            context.log_group_name, context.client_context, context.identity.cognito_identity_id]\n"
    )
    found, stream, version, group, client, identity = invoke(tmp_path, source).result
    assert "OWN_SECRET" not in found
    assert "PYTHONPATH" not in found
    assert "own" not in found["AWS_SECRET_ACCESS_KEY"]
    assert found["_HANDLER"] == "handler.lambda_handler"
    assert found["LAMBDA_TASK_ROOT"] == str(tmp_path)
    assert stream == found["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert "[$LATEST]" in stream
    assert (version, group, client, identity) == ("$LATEST", "/aws/lambda/datatransform", None, None)


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("exports.main = async (event) => event.n + 1;", 8),
        ("exports.main = (event, context, back) => setTimeout(() => back(null, event.n), 20);", 7),
        ("exports.main = (event, context) => setTimeout(() => context.succeed(event.n * 2), 20);", 14),
        ("exports.main = (event, context) => { context.done(null, 3); };", 3),
        ("exports.main = (event) => event.n;", None),  # not async and no callback: null, as in Lambda
        ("exports.main = async (event, context) => process.env.AWS_REGION + context.functionVersion;",
         "us-east-1$LATEST"),
    ],
)  # fmt: skip
def test_a_javascript_handler_answers_in_every_way_that_lambda_knows(
    tmp_path: Path, body: str, result: Any
) -> None:
    (tmp_path / "app.js").write_text(body)

    async def work() -> Answer:
        runtime = LambdaRuntime(
            tmp_path / "app.main", tmp_path / "log", wall_limit_s=20, memory_mb=128, timeout_s=3
        )
        try:
            return await runtime.invoke(b'{"n": 7}')
        finally:
            await runtime.close()

    answer = asyncio.run(work())
    assert (answer.error_message, answer.result) == ("", result)
