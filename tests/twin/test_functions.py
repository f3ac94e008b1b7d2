"""Lambda functions that rules call, by the action and in a statement."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_own_rules import rule
from twin_bench import Bench, drive, payload

from buoyfleet.cloud.local.checks import rules_check
from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.model.fleet import TwinSpec
from buoyfleet.model.twin import FunctionSpec

ARN = "arn:aws:lambda:us-east-1:123456789012:function:enrich"
HANDLER = """
import os, pathlib


def handler(event, context):
    if event.get("temp", 0) > 16.3:
        raise ValueError("too warm")
    pathlib.Path(os.environ["TOLD"]).write_text(context.function_name)
    return {"site": os.environ["SITE"], "twice": event.get("temp", 0) * 2}
"""


def functions(tmp_path: Path) -> tuple[FunctionSpec, ...]:
    (tmp_path / "enrich.py").write_text(HANDLER)
    (tmp_path / "variables.json").write_text(json.dumps({"SITE": "pier", "TOLD": str(tmp_path / "told")}))
    return (FunctionSpec("enrich", str(tmp_path / "enrich.handler"), str(tmp_path / "variables.json")),)


def test_a_statement_selects_what_a_function_makes_of_the_message(tmp_path: Path) -> None:
    sql = f"SELECT aws_lambda('{ARN}', {{'temp': temp}}).site AS site FROM 'aws/+/+/data/#'"
    own = rule(tmp_path, {"sqs": {"queueUrl": "q"}}, {"lambda": {"functionArn": f"{ARN}:3"}}, sql=sql)

    async def work(bench: Bench) -> None:
        bench.send(100, payload(0, bench.now_ms))
        bench.send(100, b'{"temp": 99, "timestamp": %d}' % (bench.now_ms + 1))
        await bench.pipeline.close()
        bench.pipeline.errors.write()
        (count,) = (one for one in bench.pipeline.stage_counts() if one.name == "rules")
        found.extend(count.notes)

    found: list[str] = []
    drive(tmp_path, work, TwinSpec(rules=(own,), functions=functions(tmp_path)))
    lines = (tmp_path / "twin" / "actions" / "sqs" / "mine.jsonl").read_text().splitlines()
    assert [json.loads(line)["body"] for line in lines] == ['{"site":"pier"}', "{}"]
    assert (tmp_path / "told").read_text() == "enrich"
    assert any("function enrich: ValueError: too warm" in note for note in found)


def test_a_function_that_is_not_there_is_refused_before_the_run(tmp_path: Path) -> None:
    own = rule(tmp_path, {"sqs": {"queueUrl": "q"}}, sql=f"SELECT aws_lambda('{ARN}', *) AS e FROM 'a'")
    check = rules_check(TwinConfig("x", twin=TwinSpec(rules=(own,))))
    assert not check.passed
    assert "none of `target.twin.functions`" in check.detail
    assert rules_check(TwinConfig("x", twin=TwinSpec(rules=(own,), functions=functions(tmp_path)))).passed


@pytest.mark.parametrize("value", [7, "text", [1, 2]])
def test_the_action_hands_over_the_result_whatever_it_is(tmp_path: Path, value: Any) -> None:
    (tmp_path / "keep.py").write_text(
        "import json, pathlib\n"
        "def lambda_handler(event, context):\n"
        f"    pathlib.Path({str(tmp_path / 'kept')!r}).write_text(json.dumps(event))\n"
    )
    sql = "SELECT VALUE x FROM 'aws/+/+/data/#'"
    own = rule(tmp_path, {"lambda": {"functionArn": ARN}}, sql=sql)

    async def work(bench: Bench) -> None:
        bench.send(100, json.dumps({"x": value, "timestamp": bench.now_ms}).encode())
        await bench.pipeline.close()

    spec = TwinSpec(rules=(own,), functions=(FunctionSpec("enrich", str(tmp_path / "keep.py")),))
    drive(tmp_path, work, spec)
    assert json.loads((tmp_path / "kept").read_text()) == value
