"""Target `aws` names the culprit from the account's own evidence."""

from pathlib import Path
from typing import Any

from account_stand_in import AccountStandIn
from aws_bench import aws_fleet, buoy_on
from run_bench import result_of

from buoyfleet.model.exit_codes import ExitCode


def test_a_lambda_timeout_is_named_from_failed_records_and_the_log(
    account: AccountStandIn, pipeline: Any, tmp_path: Path
) -> None:
    fleet = aws_fleet(tmp_path, pipeline(range(100, 103), lambda_timeout_s=0.26), "100-102")
    out = tmp_path / "runs"
    run = buoy_on(account, "run", str(fleet), "--yes", "--out", str(out))
    assert run.process.returncode == ExitCode.VERDICT_FAILED, run.out + run.err
    result = result_of(out)
    assert [store["found"] for store in result["stores"]] == [540, 0]
    (diagnosis,) = [one for one in result["diagnoses"] if one["store"]]
    assert (diagnosis["store"], diagnosis["stage"], diagnosis["cause"]) == ("s3", "lambda", "timeout")
    assert diagnosis["measures"] == 540
    assert "Task timed out after 3.00 seconds; 60 records in the object; 4 attempts" in diagnosis["sentence"]
    assert "timeout from 3 s to 6 s" in diagnosis["change"]
    assert result["warnings"] == []
    stages = {stage["name"]: stage for stage in result["stages"]}
    assert stages["lambda"]["rejected"] == {"timeout": 60}
    assert "Task timed out after 3.00 seconds" in stages["lambda"]["notes"]
    assert stages["kinesis"]["entered"] == 60
