"""Every limit is AWS's until it is lifted or set, and what is set holds in every mode."""

import dataclasses
from pathlib import Path

import pytest
from twin_process import publish, server

from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.target import LocalTarget
from buoyfleet.inventory.limits_format import LIMITS
from buoyfleet.model.fleet import TargetSpec, TwinSpec
from buoyfleet.model.limits import RATES, SHARD_LIMITS, Limits, ShardLimits, TwinLimits
from buoyfleet.model.twin import LimitSetting


def test_every_limit_of_the_broker_and_the_shard_has_a_key_in_the_fleet_file() -> None:
    names = {limit.name for limit in LIMITS}
    assert names == {one.name for one in dataclasses.fields(Limits)} | SHARD_LIMITS


def test_aws_keeps_all_and_lifted_lifts_the_rates_alone() -> None:
    assert TwinLimits.of(False, ()) == TwinLimits(Limits(), ShardLimits())
    assert TwinLimits.of(False, ()).changes_in_words() == ()
    lifted = TwinLimits.of(True, ())
    changed = {
        one.name for one in dataclasses.fields(Limits) if getattr(lifted.broker, one.name) != one.default
    }
    assert changed == RATES
    assert lifted.shard == ShardLimits(None, None)
    assert len(lifted.changes_in_words()) == len(RATES) + 2
    assert all(": lifted (" in words for words in lifted.changes_in_words())


@pytest.mark.parametrize("lifted", [False, True])
def test_what_is_set_holds_in_every_mode(lifted: bool) -> None:
    settings = (
        LimitSetting("publishes_in_per_s", 5),
        LimitSetting("connects_per_s", None),
        LimitSetting("payload_bytes", 1000.0),
        LimitSetting("qos2_silent", False),
        LimitSetting("shard_records_per_s", 40),
    )
    limits = TwinLimits.of(lifted, settings)
    assert (limits.broker.publishes_in_per_s, limits.broker.connects_per_s) == (5, None)
    assert (limits.broker.payload_bytes, limits.broker.qos2_silent) == (1000, False)
    assert type(limits.broker.payload_bytes) is int
    assert limits.shard.shard_records_per_s == 40.0
    words = limits.changes_in_words()
    assert "publishes in per second and connection: 5 (IoT Core: 100)" in words
    assert "records per second and shard: 40 (Kinesis: 1000)" in words


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (LimitSetting("colour", 1), "no limit 'colour'"),
        (LimitSetting("payload_bytes", None), "cannot be lifted"),
        (LimitSetting("payload_bytes", 1.5), "not a whole number"),
        (LimitSetting("payload_bytes", 0), "at least 1"),
        (LimitSetting("qos2_silent", 1), "must be like True"),
        (LimitSetting("payload_bytes", True), "must be like"),
        (LimitSetting("shard_records_per_s", 0), "above 0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(setting: LimitSetting, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TwinLimits.of(False, (setting,))


def test_a_twin_holds_its_clients_to_what_is_set(tmp_path: Path) -> None:
    import asyncio

    async def main() -> None:
        twin = {"limits": [{"name": "publishes_in_per_s", "value": 3}]}
        async with server(tmp_path, limits="lifted", twin=twin) as running:
            await publish(running.endpoint, 100, 10, qos=0)
            await running.ask("drain", expected=10, timeout_s=60)
            (broker, *_) = (await running.ask("stages"))["stages"]
            assert (broker["left"], broker["rejected"]) == (3, {"publish-rate": 7})
            assert broker["metrics"]["AWS/IoT PublishIn.Throttle"] == 7
            status = await running.ask("status")
            assert "publishes in per second and connection: 3 (IoT Core: 100)" in status["changed_limits"]

    asyncio.run(main())


def test_the_run_is_told_which_limits_are_not_awss(tmp_path: Path) -> None:
    spec = TargetSpec("local", twin=TwinSpec(limits=(LimitSetting("session_s", 60.0),)))
    assert LocalTarget(spec, tmp_path, limits="aws").changed_limits == (
        "seconds that an absent client's session lives: 60 (IoT Core: 3600)",
    )
    assert TwinConfig("f", limits="aws").limits_held().changes_in_words() == ()
