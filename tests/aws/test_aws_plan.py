"""`buoy cloud plan` and `buoy cloud policy`: figures against quotas, and permissions that cannot lack one."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from account_stand_in import AccountStandIn
from run_bench import ROOT, fleet_text

from buoyfleet.cli.main import invoke
from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.estimate import cost_of, limits_of, usage_of
from buoyfleet.cloud.aws.names import names_in
from buoyfleet.cloud.aws.pacer import SHARE, Pacer
from buoyfleet.cloud.aws.permissions import CALLS, JOBS, document
from buoyfleet.cloud.aws.pipeline import Settings
from buoyfleet.cloud.aws.prices import load_prices
from buoyfleet.cloud.aws.quotas import CONNECTS_PER_S, RATES, Quotas
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.runs.pacing import make_plan


def plan_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = invoke(["cloud", "plan", str(ROOT / "boards.yaml"), "--json", *arguments])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, answer


def test_the_default_fleet_fits_and_a_larger_one_would_meet_the_shard_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, answer = plan_of(capsys, "--offline")
    assert code == ExitCode.OK
    assert answer["usage"]["messages"] == 3000
    assert answer["usage"]["measures"] == 27_000
    assert answer["usage"]["publishes_per_s"] == 300
    nearest = answer["limits"][0]
    assert (nearest["name"], nearest["needed"], nearest["limit"]) == ("Kinesis records/s", 300, 1000)
    assert nearest["boards_at_limit"] == 100
    assert answer["prices"] == {"collected": "2026-11-26", "region": "us-east-1"}
    assert answer["total_usd"] == pytest.approx(sum(line["usd"] for line in answer["cost"]))


def test_basic_ingest_saves_the_messages_and_one_of_two_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, usual = plan_of(capsys, "--offline")
    file = tmp_path / "boards.yaml"
    text = (ROOT / "boards.yaml").read_text()
    file.write_text(text.replace("target: local\n", "target: aws\ntopics: basic-ingest\n", 1))
    assert invoke(["cloud", "plan", str(file), "--json", "--offline"]) == ExitCode.OK
    answer = json.loads(capsys.readouterr().out)
    saved = usual["total_usd"] - answer["total_usd"]
    assert saved == pytest.approx(usual["basic_ingest_saves_usd"])
    assert saved == pytest.approx(answer["basic_ingest_saves_usd"])
    assert saved > 0.006, "6,000 messages at 1 dollar a million, and 3,000 rules"
    units = {line["what"]: line["units"] for line in answer["cost"]}
    assert 30 in units.values(), "nothing but CONNECTs is metered as messages"
    assert invoke(["cloud", "plan", str(file), "--offline"]) == ExitCode.OK
    assert "Basic Ingest saves 0.01 of" in capsys.readouterr().out


def test_a_run_beyond_a_limit_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = plan_of(capsys, "--offline", "--rate", "50/s")
    assert code == ExitCode.PREFLIGHT
    exceeded = [limit["name"] for limit in answer["limits"] if limit["exceeded"]]
    assert exceeded == ["Kinesis records/s"]


@pytest.mark.soak
def test_the_accounts_own_quotas_and_shards_count(
    here: AccountStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    here.make_resources()
    here.quotas = {CONNECTS_PER_S.code: 20.0}
    _, answer = plan_of(capsys)
    limits = {limit["name"]: limit for limit in answer["limits"]}
    assert limits["connects/s (more have to wait)"]["limit"] == 20
    assert limits["connects/s (more have to wait)"]["source"] == "Service Quotas"
    assert limits["Kinesis records/s"]["source"] == "the stream's shards"
    assert any("default" in problem for problem in answer["problems"])


def test_the_text_says_what_would_be_met_first_and_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["cloud", "plan", str(ROOT / "boards.yaml"), "--offline"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "3,000 messages with 27,000 measures of 30 boards in 11 s; 300 messages/s" in text
    assert "Kinesis records/s would be met first, by 100 boards" in text
    assert "list prices of us-east-1 as of 2026-11-26, without free tier" in text


def test_an_unpaced_run_is_bounded_by_what_a_connection_may_send(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(fleet_text(ids="1-10", target="aws", run={"messages": 10}))
    overrides = Overrides(flat_out=True, duration="1 min", count="1000000")
    fleet = load_fleet(path, overrides)
    usage = usage_of(fleet, make_plan(fleet, "x"))
    assert usage.publishes_per_s == 1000
    assert usage.messages == 10_000_000


def test_costs_of_other_regions_have_a_margin_and_every_price_a_source() -> None:
    prices = load_prices()
    assert all(price.source and price.what and price.usd > 0 for price in prices.prices.values())
    fleet = load_fleet(ROOT / "boards.yaml", Overrides(target="aws"))
    usage = usage_of(fleet, make_plan(fleet, "x"))

    def total(region: str) -> float:
        return sum(line.usd for line in cost_of(usage, Settings(), prices, region))

    assert total("us-west-2") == pytest.approx(total("us-east-1") * prices.elsewhere)
    assert {line.what for line in cost_of(usage, Settings(), prices, "us-east-1")} <= {
        price.what for price in prices.prices.values()
    }
    assert limits_of(usage, Quotas({}), Settings(shards=4))[0].name == "publishes/s of one connection"


# -- permissions -------------------------------------------------------------------------------------------

_ASKING = {"call", "pages"}
_OF_IOT = {"_call", "_gone", "_made", "_pages"}


def calls_in_the_source() -> set[tuple[str, str]]:
    """Every (service, operation) that a file of host/buoyfleet/cloud/aws names in a call."""
    found = set()
    for file in (ROOT / "host" / "buoyfleet" / "cloud" / "aws").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            texts = [
                arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
            if node.func.attr in _ASKING and len(texts) >= 2:
                found.add((texts[0], texts[1]))
            elif node.func.attr == "_ask" and len(texts) >= 3:
                found.add((texts[1], texts[2]))
            elif node.func.attr in _OF_IOT and texts:
                found.add(("iot", texts[0]))
    return found


def test_every_call_has_a_permission_and_every_permission_a_call() -> None:
    # Timestream's client asks for its endpoints by itself; its reader names the service once.
    assert calls_in_the_source() | {
        ("timestream-query", "describe_endpoints"),
        ("timestream-query", "query"),
    } == set(CALLS)


def test_calls_exist_in_boto3s_service_models() -> None:
    import botocore.session
    from botocore import xform_name

    session = botocore.session.get_session()
    for service in {service for service, _ in CALLS}:
        model = session.get_service_model(service)
        known = {xform_name(name) for name in model.operation_names}
        assert {operation for one, operation in CALLS if one == service} <= known


def test_runs_only_read_save_publishing(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["cloud", "policy", str(ROOT / "boards.yaml")]) == ExitCode.OK
    policy = json.loads(capsys.readouterr().out)
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    reading = ("Get", "List", "Describe", "Select", "Filter")
    writing = {action for action in actions if not action.partition(":")[2].startswith(reading)}
    assert writing == {"iot:Publish", "iot:RetainPublish"}
    publishing = next(one for one in policy["Statement"] if "iot:Publish" in one["Action"])
    assert publishing["Resource"] == "arn:aws:iot:REGION:ACCOUNT:topic/buoytest/0/*"


def policy_of(folder: Path, capsys: pytest.CaptureFixture[str], **section: Any) -> tuple[dict[str, Any], str]:
    target = {"kind": "aws", **section}
    (folder / "fleet.yaml").write_text(fleet_text(ids="100-102", target="aws", target_section=target))
    assert invoke(["cloud", "policy", str(folder / "fleet.yaml")]) == ExitCode.OK
    out, told = capsys.readouterr()
    return json.loads(out), told


@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eusc-de-east-1", "aws-eusc")],
)
def test_arns_are_of_the_regions_partition_without_credentials_too(
    region: str,
    partition: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    policy, told = policy_of(tmp_path, capsys, region=region, account="123456789012")
    assert "there are no AWS credentials" in told
    resources = {one["Resource"] for one in policy["Statement"]} - {"*"}
    assert {resource.split(":")[1] for resource in resources} == {partition}


def test_a_region_of_no_partition_is_told() -> None:
    with pytest.raises(AwsError, match="no partition of AWS has a region 'mars'"):
        _ = Account(AwsSpec(region="mars")).partition


def test_a_fleet_with_influxdb_needs_no_permission_for_timestream(
    here: AccountStandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def services(policy: dict[str, Any]) -> set[str]:
        return {action.partition(":")[0] for one in policy["Statement"] for action in one["Action"]}

    assert here.queries == []
    monkeypatch.setenv("INFLUX_TOKEN", "x")
    influxdb = {"url": "https://localhost:8086", "database": "buoys", "token": "${env:INFLUX_TOKEN}"}
    usual, _told = policy_of(tmp_path, capsys)
    other, _told = policy_of(tmp_path, capsys, influxdb=influxdb)
    assert services(usual) - services(other) == {"timestream"}


def test_what_a_document_grants_is_said_beside_it(
    here: AccountStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert here.queries == []
    policy, told = policy_of(tmp_path, capsys)
    actions = {action for one in policy["Statement"] for action in one["Action"]}
    assert "iot:Publish" in actions
    assert "publish below the fleet's topics" in told


@pytest.mark.parametrize("job", JOBS)
def test_a_document_names_the_pipelines_own_resources(
    here: AccountStandIn, capsys: pytest.CaptureFixture[str], job: str
) -> None:
    assert here.queries == []
    assert invoke(["cloud", "policy", str(ROOT / "boards.yaml"), "--for", job]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "{" not in "".join(line for line in text.splitlines() if "arn:" in line)
    for statement in json.loads(text)["Statement"]:
        resource = statement["Resource"]
        assert resource == "*" or resource.startswith(
            ("arn:aws:", "arn:aws:s3:::buoytest-123456789012-us-west-2")
        )


def test_an_unknown_job_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["cloud", "policy", str(ROOT / "boards.yaml"), "--for", "everything"]) == ExitCode.USAGE
    assert "one of run, enroll, retire, plan" in capsys.readouterr().err


def test_a_document_is_smaller_than_iam_allows() -> None:
    names = names_in(AwsSpec(), "123456789012", "ap-southeast-2", "buoytest/0", ["buoytest-100"])
    for job in JOBS:
        # IAM quotas: 6144 characters of a managed policy, white space aside.
        assert len(json.dumps(document(job, "aws", names), separators=(",", ":"))) < 6144


# -- rates -------------------------------------------------------------------------------------------------


def test_calls_keep_below_the_accounts_rate_whatever_the_number_of_threads() -> None:
    now = [0.0]
    waits: list[float] = []
    pacer = Pacer(Quotas({}), clock=lambda: now[0], sleep=waits.append)
    for _ in range(101):
        pacer.wait("create_certificate_from_csr")
    rate = RATES["create_certificate_from_csr"].default * SHARE
    assert len(waits) == 100
    assert max(waits) == pytest.approx(100 / rate)
    assert waits == sorted(waits)
    pacer.wait("describe_endpoint")
    assert len(waits) == 100


def test_ten_thousand_certificates_take_what_the_documentation_says() -> None:
    slowest = min(RATES[name].default for name in ("create_certificate_from_csr", "attach_policy"))
    assert "10 000 things take about 14 minutes" in (ROOT / "docs" / "cloud.md").read_text()
    assert round(10_000 / (slowest * SHARE) / 60) == 14
