"""`buoy run` with target `aws`: from the account's own stores to the verdict."""

import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from account_stand_in import PREFIX, AccountStandIn
from aws_bench import aws_fleet, buoy_on
from influxdb_server import InfluxServer
from run_bench import fleet_text, only_folder, result_of, under_way

from buoyfleet.cli.main import invoke
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.twin import InfluxSpec


def test_a_fleet_is_enrolled_with_keys_of_its_own_runs_and_every_measure_is_found(
    here: AccountStandIn, pipeline: Any, tmp_path: Path
) -> None:
    """The whole way; the broker is the twin's, and trusts the authority as IoT Core does when told of it."""
    certificates = tmp_path / "certs"
    section = {"kind": "aws", "certificates": str(certificates), "witness": "witness"}
    enrolling = tmp_path / "enrolling.yaml"
    enrolling.write_text(fleet_text(ids="100-102", target="aws", target_section=section))
    assert invoke(["cloud", "enroll", str(enrolling), "--own-ca", "--yes", "--quiet"]) == ExitCode.OK
    keys = {path.name: path.read_bytes() for path in certificates.glob("buoytest-*.key")}
    assert len(keys) == 3
    fleet = aws_fleet(tmp_path, pipeline(range(100, 103), enrolled=certificates), "100-102")
    out = tmp_path / "runs"
    run = buoy_on(here, "run", str(fleet), "--yes", "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    result = result_of(out)
    found = [(store["name"], store["found"]) for store in result["stores"]]
    assert found == [("timestream", 540), ("s3", 540)]
    assert result["witness"]["seen"] == 60
    assert [stage["name"] for stage in result["stages"]] == [
        *("broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3")
    ]
    kinesis = result["stages"][3]
    assert kinesis["entered"] == 60
    assert "of what 1 shard takes" in kinesis["notes"][0]
    assert {path.name: path.read_bytes() for path in certificates.glob("buoytest-*.key")} == keys


@pytest.mark.soak
def test_an_influxdb_in_place_of_timestream_gives_the_same_verdict(
    account: AccountStandIn, pipeline: Any, tmp_path: Path
) -> None:
    database = tmp_path / "influxdb"
    database.mkdir()
    server = InfluxServer(database)
    try:
        with urllib.request.urlopen(f"{server.url}/query?q=CREATE+DATABASE+buoys", data=b"", timeout=100):
            pass
        pipe = pipeline(range(100, 102), influxdb=InfluxSpec(server.url, "buoys"))
        pipe.keep_copying(account)
        influxdb = {"url": server.url, "database": "buoys"}
        fleet = aws_fleet(tmp_path, pipe, "100-101", store="influxdb", influxdb=influxdb)
        out = tmp_path / "runs"
        run = buoy_on(account, "run", str(fleet), "--yes", "--out", str(out))
        assert run.process.returncode == ExitCode.OK, run.out + run.err
        result = result_of(out)
        assert [(store["name"], store["found"]) for store in result["stores"]] == [
            ("influxdb", 360),
            ("s3", 360),
        ]
        assert result["stages"][2]["name"] == "influxdb"
        assert account.queries == []
    finally:
        server.stop()


def test_a_run_verified_again_reads_the_stores_of_the_account_again(
    account: AccountStandIn, pipeline: Any, tmp_path: Path
) -> None:
    fleet = aws_fleet(tmp_path, pipeline(range(100, 102)), "100-101", run={"messages": 5})
    out = tmp_path / "runs"
    run = buoy_on(account, "run", str(fleet), "--yes", "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    # As if the objects had come after the run: nothing of them is in its folder.
    for part in (only_folder(out) / "stores" / "s3").glob("*.parquet"):
        part.unlink()
    again = buoy_on(account, "verify", str(only_folder(out)))
    assert again.process.returncode == ExitCode.OK, again.out + again.err
    assert "read again: timestream, s3" in again.out + again.err
    result = result_of(out)
    found = [(store["name"], store["found"], store["expected"]) for store in result["stores"]]
    assert found == [("timestream", 90, 90), ("s3", 90, 90)]
    assert len(result["run"]["verified_again_ns"]) == 1


def test_after_ctrl_c_what_was_sent_is_verified_and_retained_messages_are_as_before(
    account: AccountStandIn, pipeline: Any, tmp_path: Path
) -> None:
    pipe = pipeline(range(100, 102))
    topic = f"{PREFIX}/100/config/global/"
    account.retained = {topic: b"before"}
    fleet = aws_fleet(tmp_path, pipe, "100-101", run={"messages": 10_000})
    out = tmp_path / "runs"
    out.mkdir()
    arguments = ("run", str(fleet), "--yes")
    with under_way(*arguments, out=out, environment=account.environment) as run:
        account.retained[topic] = b"changed by the run"
        account.retained[f"{PREFIX}/101/config/sensor/"] = b"left behind"
        run.process.send_signal(signal.SIGINT)
        code = run.finish()
    assert code == ExitCode.INTERRUPTED, run.out + run.err
    result = result_of(out)
    assert [store["missing"] for store in result["stores"]] == [0, 0]
    assert account.retained == {topic: b"before"}


def test_nothing_is_sent_before_somebody_agreed(
    account: AccountStandIn, pipeline: Any, tmp_path: Path
) -> None:
    fleet = aws_fleet(tmp_path, pipeline(range(100, 102)), "100-101")
    out = tmp_path / "runs"
    run = buoy_on(account, "run", str(fleet), "--out", str(out))
    assert run.process.returncode == ExitCode.USAGE, run.out + run.err
    assert "cost      about" in run.err
    assert "--yes" in run.err
    assert list(out.iterdir()) == []
    assert account.pipeline is not None
    account.pipeline.copy(account)
    assert account.pipeline.table().num_rows == 0
