"""Memory, concurrency and JavaScript handlers of the Lambda function."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from twin_bench import Bench, drive, payload

from buoyfleet.cloud.local.lambda_runtime import LambdaModel, LambdaRuntime, worker_command
from buoyfleet.cloud.local.s3 import list_objects
from buoyfleet.cloud.s3_reader import read_failed
from buoyfleet.model.fleet import TwinSpec


def failed_codes(bench: Bench) -> set[tuple[int, str]]:
    bucket = Path(bench.pipeline.config.folder) / "s3"
    return {
        (record.attempts, record.error_code)
        for info in list_objects(bucket)
        if info.key.startswith("processing-failed/")
        for record in read_failed(info, (bucket / info.key).read_bytes(), lambda what: pytest.fail(what))
    }


def test_the_default_model_never_runs_out_of_memory_at_the_largest_request() -> None:
    # Lambda takes 6 MB, an event needs at least 430 bytes beside a record of some 100 bytes.
    assert LambdaModel.of(TwinSpec()).needed_mb(6 * 1024 * 1024 // 570) < 128


def test_a_batch_beyond_the_memory_fails_four_times_and_goes_to_the_error_prefix(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.fleet(2, 10)
        await bench.pipeline.hurry()
        count = bench.pipeline.firehose.function.stage_count()
        assert count.rejected == {"out-of-memory": 20}
        assert (count.metrics["AWS/Lambda Invocations"], count.metrics["AWS/Lambda Errors"]) == (4, 4)
        assert "Max Memory Used: 128 MB" in count.notes[0]
        assert failed_codes(bench) == {(4, "Lambda.FunctionError")}
        (detail,) = {row["detail"] for row in bench.collected().outcomes("lambda")}
        assert "20 records need 140 MB" in detail

    drive(tmp_path, work, TwinSpec(lambda_record_memory_kb=5000.0))


def test_without_concurrency_the_function_is_throttled_and_never_runs(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.fleet(1, 3)
        await bench.pipeline.hurry()
        count = bench.pipeline.firehose.function.stage_count()
        assert count.rejected == {"concurrency": 3}
        assert (count.metrics["AWS/Lambda Invocations"], count.metrics["AWS/Lambda Throttles"]) == (0, 4)
        assert count.metrics["AWS/Lambda Errors"] == 0
        assert failed_codes(bench) == {(4, "Lambda.InvokeLimitExceeded")}

    drive(tmp_path, work, TwinSpec(lambda_concurrency=0))


@pytest.mark.parametrize(("concurrency", "lost"), [(2, False), (1, True)])
def test_two_shards_need_two_executions_at_once(tmp_path: Path, concurrency: int, lost: bool) -> None:
    async def work(bench: Bench) -> None:
        # Batches of one record that take 20 s each: the second begins while the first runs.
        for number in range(2):
            bench.send(100, payload(number, bench.now_ms + number))
        await bench.pipeline.hurry()
        count = bench.pipeline.firehose.function.stage_count()
        assert count.metrics["AWS/Lambda ConcurrentExecutions.Maximum"] == concurrency
        assert count.rejected == ({"concurrency": 1} if lost else {})
        assert count.left == 2 - lost
        if lost:
            (row,) = bench.collected().outcomes("lambda")
            assert "1 execution at once, 1 of them busy" in row["detail"]

    twin = TwinSpec(
        kinesis_shards=2,
        firehose_lambda_buffer_mb=0.0001,
        lambda_per_record_ms=20_000.0,
        lambda_concurrency=concurrency,
    )
    drive(tmp_path, work, twin)


NODE = """
export const handler = async (event, context) => {
  console.log("seen by", context.functionName, context.awsRequestId);
  return { records: event.records.map((record) => ({ ...record, result: "Ok" })) };
};
"""
CALLBACK = """
exports.handler = (event, context, callback) => {
  if (context.getRemainingTimeInMillis() > 0) callback(null, { records: event.records.map(
    (record) => ({ recordId: record.recordId, result: "Ok", data: record.data })) });
};
"""


@pytest.mark.parametrize(("name", "source"), [("h.mjs", NODE), ("h.js", CALLBACK), ("h.cjs", CALLBACK)])
def test_a_javascript_handler_runs_in_node(tmp_path: Path, name: str, source: str) -> None:
    handler = tmp_path / name
    handler.write_text(source)

    async def work(bench: Bench) -> None:
        bench.fleet(1, 3)
        await bench.pipeline.hurry()
        assert len(bench.collected().store("s3")) == 27
        if name == "h.mjs":
            log = (Path(bench.pipeline.config.folder) / "lambda.log").read_text()
            assert "seen by datatransform" in log

    drive(tmp_path, work, replace(TwinSpec(), lambda_handler=str(handler)))


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("export function handler() { throw new RangeError('out of it'); }", "RangeError", "out of it"),
        ("export const handler = () => Promise.reject('no');", "string", "no"),
        ("export const handler = async (event) => ({ event, self: 1n });", "TypeError", "BigInt"),
        ("export const other = 1;", "Runtime.ImportModuleError", "no function `handler`"),
        ("export function handler() { process.exit(3); }", "Runtime.ExitError", "status 3"),
    ],
)
def test_what_goes_wrong_in_node_is_an_answer(tmp_path: Path, source: str, kind: str, words: str) -> None:
    handler = tmp_path / "h.mjs"
    handler.write_text(source)

    async def main() -> None:
        runtime = LambdaRuntime(handler, tmp_path / "log", wall_limit_s=20, memory_mb=128, timeout_s=3)
        try:
            answer = await runtime.invoke(json.dumps({"records": []}).encode())
        finally:
            await runtime.close()
        assert answer.error_type == kind
        assert words in answer.error_message

    asyncio.run(main())


def test_without_node_a_javascript_handler_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert worker_command(Path("a.py"))[-2:] == ["a.py", "lambda_handler"]
    with pytest.raises(FileNotFoundError, match="no node"):
        worker_command(Path("a.mjs"))
