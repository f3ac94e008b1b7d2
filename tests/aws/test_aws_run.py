"""`buoy run` with target `aws`: from the account's own stores to the verdict."""

from pathlib import Path
from typing import Any

from account_stand_in import AccountStandIn
from aws_bench import aws_fleet, buoy_on
from run_bench import result_of

from host.model.exit_codes import ExitCode


def test_every_measure_is_found_in_the_accounts_stores(
    account: AccountStandIn, pipeline: Any, tmp_path: Path
) -> None:
    fleet = aws_fleet(tmp_path, pipeline(range(100, 103)), "100-102")
    out = tmp_path / "runs"
    run = buoy_on(account, "run", str(fleet), "--yes", "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    result = result_of(out)
    assert [(store["name"], store["found"]) for store in result["stores"]] == [
        ("timestream", 540),
        ("s3", 540),
    ]
    assert result["witness"]["seen"] == 60
    assert [stage["name"] for stage in result["stages"]] == [
        *("broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3")
    ]
    kinesis = result["stages"][3]
    assert kinesis["entered"] == 60
    assert "of what 1 shard takes" in kinesis["notes"][0]
