"""The scenarios of the tree: each ends with the verdict it was written for."""

import re
from pathlib import Path

from run_bench import ROOT, buoy, result_of

from buoyfleet.model.exit_codes import ExitCode


def test_the_original_finding_is_rehearsed_and_its_cause_named(tmp_path: Path) -> None:
    out = tmp_path / "short"
    run = buoy("run", "scenarios/lambda-timeout.yaml", "--out", str(out))
    assert run.process.returncode == ExitCode.VERDICT_FAILED, run.out + run.err
    result = result_of(out)
    timestream, s3 = result["stores"]
    assert timestream["found"] == 27000
    assert 0 < s3["found"] < 27000
    kinesis = next(stage for stage in result["stages"] if stage["name"] == "kinesis")
    assert kinesis["rejected"] == {}
    assert kinesis["entered"] == 3000
    # A machine under load may send late as well, which is diagnosed by itself.
    (diagnosis,) = [one for one in result["diagnoses"] if one["store"]]
    assert (diagnosis["store"], diagnosis["stage"]) == ("s3", "lambda")
    assert "timed out" in diagnosis["sentence"]
    assert "3 s" in diagnosis["sentence"]
    assert diagnosis["measures"] == s3["missing"]
    assert re.search(r"timeout to at least \d+ s", diagnosis["change"])


def test_with_the_timeout_doubled_everything_arrives(tmp_path: Path) -> None:
    text = (ROOT / "scenarios" / "lambda-timeout.yaml").read_text()
    fleet_file = tmp_path / "doubled.yaml"
    fleet_file.write_text(text.replace("lambda_timeout: 3 s", "lambda_timeout: 6 s"))
    out = tmp_path / "complete"
    run = buoy("run", str(fleet_file), "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    result = result_of(out)
    assert [store["found"] for store in result["stores"]] == [27000, 27000]
    metrics = {name: value for stage in result["stages"] for name, value in stage["metrics"].items()}
    # Complete, but later: the batch that did not fit into 3 s now takes its time, and so does what waits.
    assert 3000 < metrics["AWS/Lambda Duration.Maximum"] < 6000
    assert metrics["AWS/Firehose DeliveryToS3.DataFreshness"] > 6 + 3


def test_the_byte_true_original_passes_at_a_tenth_of_its_length(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    run = buoy("run", "scenarios/original.yaml", "--count", "10", "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    result = result_of(out)
    assert result["run"]["payload"] == "original"
    assert [store["found"] for store in result["stores"]] == [2700, 2700]
