"""Preflight of target `aws`: what lacks is told with what to type."""

import re
from pathlib import Path

from account_stand_in import NAME, TIMESTREAM_CLOSED, AccountStandIn
from run_bench import fleet_text

from buoyfleet.cloud.aws.account import Account
from buoyfleet.cloud.aws.checks import check_account, check_certificates, check_pipeline
from buoyfleet.cloud.aws.series import series_reader
from buoyfleet.cloud.aws.template import pipeline_template
from buoyfleet.cloud.certificates import CertificateAuthority
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.fleet import Fleet

SPEC = AwsSpec(region="us-west-2")


def fleet_of(folder: Path) -> Fleet:
    section = {"kind": "aws", "certificates": "certs"}
    (folder / "fleet.yaml").write_text(fleet_text(ids="100-102", target="aws", target_section=section))
    return load_fleet(folder / "fleet.yaml")


def test_things_without_certificates_are_counted_and_the_next_step_is_to_enrol(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path)
    authority = CertificateAuthority(tmp_path / "certs", "test")
    authority.issue_client(f"{NAME}-100")
    assert fleet.target.aws is not None
    ca, certificates = check_certificates(fleet, fleet.target.aws)
    assert (ca.passed, ca.next_step) == (False, "buoy cloud enroll")
    assert not certificates.passed
    folder = tmp_path / "certs"
    assert certificates.detail == (f"1 of 4 things have certificate and key in {folder}; {NAME}-101 has not")


def test_a_key_that_others_may_read_stops_the_run(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path)
    authority = CertificateAuthority(tmp_path / "certs", "test")
    for thing in (f"{NAME}-100", f"{NAME}-101", f"{NAME}-102", f"{NAME}-witness"):
        authority.issue_client(thing)
    (tmp_path / "certs" / "AmazonRootCA1.pem").write_text("x")
    (tmp_path / "certs" / f"{NAME}-101.key").chmod(0o644)
    assert fleet.target.aws is not None
    failed = [check for check in check_certificates(fleet, fleet.target.aws) if not check.passed]
    assert [check.name for check in failed] == ["aws keys"]
    assert failed[0].next_step.startswith("chmod 600")


def test_every_resource_that_lacks_is_named_at_once(here: AccountStandIn) -> None:
    account = Account(SPEC)
    (identity,) = check_account(account, SPEC)
    assert (identity.passed, identity.detail.split()[0]) == (True, "123456789012")
    here.denied = {"Query"}
    checks, settings = check_pipeline(account, SPEC, series_reader(account, SPEC, ("", "")))
    found = {check.name: check for check in checks}
    for name in ("kinesis stream", "firehose stream", "s3 bucket"):
        assert not found[name].passed
        assert "buoy cloud template" in found[name].next_step, name
    assert "timestream:Select" in found["timestream"].detail
    assert "buoy cloud policy --for run" in found["timestream"].next_step
    # The function's settings are those of the stand-in.
    assert (settings.lambda_timeout_s, settings.shards) == (3.0, None)


def test_an_account_that_timestream_is_closed_to_learns_the_way_to_influxdb(here: AccountStandIn) -> None:
    here.make_resources()
    here.timestream_closed = True
    account = Account(SPEC)
    checks, _settings = check_pipeline(account, SPEC, series_reader(account, SPEC, ("", "")))
    (failed,) = [check for check in checks if not check.passed]
    assert failed.name == "timestream"
    assert TIMESTREAM_CLOSED in failed.detail
    template = pipeline_template()
    typed = re.findall(r"(\w+)=", failed.next_step)
    assert "TimeSeriesStore" in typed
    for parameter in typed:
        assert re.search(rf"^  {parameter}:$", template, re.MULTILINE), parameter
    # It may be a permission all the same: AWS has one code for both.
    assert "buoy cloud policy --for run" in failed.next_step


def test_a_pipeline_that_stands_tells_its_settings(here: AccountStandIn) -> None:
    here.make_resources()
    account = Account(SPEC)
    checks, settings = check_pipeline(account, SPEC)
    assert [check for check in checks if not check.passed] == []
    assert (settings.shards, settings.buffered_s, settings.lambda_memory_mb) == (1, 60.0, 128)
