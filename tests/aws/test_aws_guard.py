"""The guard of the live system: what stops a run before its first message."""

import asyncio
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from account_stand_in import NAME, PREFIX, AccountStandIn
from run_bench import fleet_text

from buoyfleet.cli.consent import agree
from buoyfleet.cloud.aws.account import Account
from buoyfleet.cloud.aws.guard import Guard
from buoyfleet.cloud.aws.pipeline import Settings
from buoyfleet.cloud.target import Check, Manners, Stakes
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import PreflightError, UsageError
from buoyfleet.model.fleet import Fleet
from buoyfleet.mqtt.codec import DISCONNECT, Connect, encode_connect, encode_publish
from buoyfleet.mqtt.tls import client_context
from buoyfleet.runs.pacing import make_plan

NOWHERE = Endpoint("localhost", 1)
MANNERS = Manners(witness="witness", enforced=True, settle_s=1.1)


def fleet_of(folder: Path, *, prefix: str = PREFIX, ids: str = "100-101", **target: Any) -> Fleet:
    path = folder / "fleet.yaml"
    section = {"kind": "aws", "listen": "0 s", **target}
    text = fleet_text(ids=ids, target="aws", target_section=section)
    path.write_text(text.replace('"fleet": "bench"', f'"fleet": "bench", "topic_prefix": "{prefix}"'))
    return load_fleet(path)


def stakes_of(fleet: Fleet, endpoint: Endpoint = NOWHERE) -> Stakes:
    spec = fleet.target.aws or AwsSpec()
    guard = Guard(Account(spec), fleet, spec, Settings())
    return asyncio.run(guard.stakes(make_plan(fleet, "x"), endpoint, MANNERS))


@pytest.fixture
def ready(here: AccountStandIn) -> AccountStandIn:
    """A pipeline, and two things for tests."""
    here.make_resources()
    here.make_things({f"{NAME}-{number}": {"buoy_id": str(number), "use": "test"} for number in (100, 101)})
    return here


@pytest.mark.usefixtures("ready")
def test_what_will_be_used_is_shown_and_nothing_speaks_against_a_test_fleet(tmp_path: Path) -> None:
    stakes = stakes_of(fleet_of(tmp_path))
    assert (stakes.refusals, stakes.live) == ((), ())
    text = "\n".join(stakes.lines)
    for part in (
        "account   123456789012 in us-west-2",
        "40 messages of 2 boards",
        f"{PREFIX}/<id>/data/",
        "Timestream buoytest.measures, stream buoytest, bucket buoytest-123456789012-us-west-2",
        "rule      buoytest_timestream (2016-03-23) carries them to Timestream buoytest.measures",
        "limit     nearest is publishes/s of one connection: 50.0% of it",
        "US dollars (list prices of us-east-1, 2026-11-26, times 1.6 for us-west-2)",
    ):
        assert part in text


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("target", "name", "words"),
    [
        ({"max_messages": 39}, "messages", "40 messages are planned, target.max_messages allows 39"),
        ({"max_cost": 0.001}, "cost", "target.max_cost allows 0.001"),
    ],
)
def test_caps_cannot_be_overruled_from_the_command_line(
    tmp_path: Path, target: dict[str, Any], name: str, words: str
) -> None:
    stakes = stakes_of(fleet_of(tmp_path, **target))
    (refusal,) = stakes.refusals
    assert (refusal.name, refusal.passed) == (name, False)
    assert words in refusal.detail
    with pytest.raises(PreflightError, match=name):
        agree(stakes, yes=True, allow_live=True, quiet=True)


def test_a_rule_that_carries_the_topics_elsewhere_is_a_sign_of_the_live_system(
    ready: AccountStandIn, tmp_path: Path
) -> None:
    ready.make_rule(
        "live", "SELECT *, topic(3) as buoy_id FROM 'buoytest/+/+/data/#'", "timestream", table="live"
    )
    (sign,) = stakes_of(fleet_of(tmp_path)).live
    assert sign.name == "rules"
    assert (
        "rule live, which is not the pipeline's, carries these topics to Timestream buoytest.live"
        in sign.detail
    )
    assert "--allow-live" in sign.next_step


def test_a_disabled_rule_and_one_of_other_topics_do_not_matter(ready: AccountStandIn, tmp_path: Path) -> None:
    ready.make_rule("other", "SELECT * FROM 'aws/+/+/data/#'", "timestream", table="live")
    ready.make_rule("off", f"SELECT * FROM '{PREFIX}/#'", "kinesis")
    ready.client("iot").disable_topic_rule(ruleName="off")
    assert stakes_of(fleet_of(tmp_path)).live == ()


@pytest.mark.usefixtures("ready")
def test_topics_that_no_rule_of_the_pipeline_takes_are_told_before_anything_is_sent(tmp_path: Path) -> None:
    (sign,) = stakes_of(fleet_of(tmp_path, prefix="aws/0")).live
    assert "no rule buoytest_kinesis or buoytest_timestream takes aws/0/<id>/data/" in sign.detail


def test_things_that_no_test_fleet_made_are_in_service(here: AccountStandIn, tmp_path: Path) -> None:
    here.make_resources()
    here.make_things({f"{NAME}-100": {"buoy_id": "100", "use": "test"}, f"{NAME}-101": {"buoy_id": "101"}})
    (sign,) = stakes_of(fleet_of(tmp_path)).live
    assert (sign.name, sign.detail) == (
        "things",
        "1 of 2 things are not of a test fleet, e.g. buoytest-101",
    )


def test_a_board_that_is_connected_right_now_is_not_thrown_out(ready: AccountStandIn, tmp_path: Path) -> None:
    ready.connections[f"{NAME}-101"] = {"connected": True, "connectedSince": 1}
    ready.connections[f"{NAME}-100"] = {"connected": False, "disconnectedSince": 1}
    (sign,) = stakes_of(fleet_of(tmp_path)).live
    assert (sign.name, sign.detail) == ("connected", "buoytest-101 is connected right now")


@pytest.mark.usefixtures("here")
def test_it_listens_whether_somebody_publishes_under_these_ids(pipeline: Any, tmp_path: Path) -> None:
    """The twin is the endpoint here; another client publishes as buoy 101 while the guard listens."""
    endpoint = pipeline(range(100, 102)).endpoint
    fleet = fleet_of(tmp_path, listen="1 s")

    async def both() -> Stakes:
        spec = fleet.target.aws or AwsSpec()
        guard = Guard(Account(spec), fleet, spec, Settings())
        writer = await connected(endpoint, 101)
        looking = asyncio.create_task(guard.stakes(make_plan(fleet, "x"), endpoint, MANNERS))
        while not looking.done():
            payload = b'{"ph": 7.0}'
            writer.write(encode_publish(f"{PREFIX}/101/data/".encode(), payload, 0, packet_id=0))
            await asyncio.sleep(0.05)
        writer.write(DISCONNECT)
        writer.close()
        return await looking

    (sign,) = asyncio.run(both()).live
    assert (sign.name, sign.detail) == ("publishing", "buoys 101 published within 1 s")


async def connected(endpoint: Endpoint, buoy: int) -> asyncio.StreamWriter:
    """A connection as a buoy's thing."""
    assert endpoint.tls is not None
    reader, writer = await asyncio.open_connection(
        endpoint.host,
        endpoint.port,
        ssl=client_context(endpoint.tls, f"{NAME}-{buoy}"),
        server_hostname="localhost",
    )
    writer.write(encode_connect(Connect(f"{NAME}-{buoy}")))
    await reader.readexactly(4)
    return writer


LIVE = Stakes(("account",), (), (Check("rules", False, "somebody's", "--allow-live"),))


def test_signs_of_the_live_system_stop_a_run_until_they_are_overruled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(PreflightError, match="somebody's") as raised:
        agree(LIVE, yes=True, allow_live=False, quiet=True)
    assert raised.value.where == "guard of the live system"
    agree(LIVE, yes=True, allow_live=True, quiet=True)
    assert "overruled by --allow-live" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Somebody at a keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "begins"), [("yes\n", True), ("y\n", True), ("\n", False), ("no\n", False)]
)
def test_only_a_yes_begins(monkeypatch: pytest.MonkeyPatch, answer: str, begins: bool) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    harmless = replace(LIVE, live=())
    if begins:
        agree(harmless, yes=False, allow_live=False, quiet=True)
    else:
        with pytest.raises(PreflightError, match="not agreed to"):
            agree(harmless, yes=False, allow_live=False, quiet=True)


def test_where_nobody_can_be_asked_yes_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(UsageError, match="nobody is there"):
        agree(replace(LIVE, live=()), yes=False, allow_live=False, quiet=True)
