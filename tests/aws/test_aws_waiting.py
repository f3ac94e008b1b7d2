"""Waiting for an account's stores: until all is there, nothing more can come, or somebody has had enough."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from buoyfleet.cloud.aws import target as module
from buoyfleet.cloud.aws.failures import Noted
from buoyfleet.cloud.aws.metrics import Reading
from buoyfleet.cloud.aws.stores import Look
from buoyfleet.cloud.aws.target import AwsTarget
from buoyfleet.cloud.target import LiveCounts
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.fleet import BoardSpec, Fleet, LinkSpec, RunSpec, SensorSpec, TargetSpec
from sensors.catalog import KEYS

SENSORS = tuple(SensorSpec(key, "counter") for key in KEYS)


class ScriptedStores:
    """Stores that fill as a script says; the last look stays."""

    def __init__(self, looks: list[Look]) -> None:
        self._looks = looks
        self.asked = 0

    def look(self, *_: Any, **__: Any) -> Look:
        look = self._looks[min(self.asked, len(self._looks) - 1)]
        self.asked += 1
        return look


@pytest.fixture
def waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[AwsTarget, ScriptedStores]]:
    """A target of one board whose stores and metrics are scripted; pauses are short."""
    monkeypatch.setattr(module, "FIRST_POLL_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_POLL_S", 0.02)
    monkeypatch.setattr(module, "SLICE_S", 0.01)

    def make(
        looks: list[Look], *, wait_s: float = 30.0, metrics: float = 10.0
    ) -> tuple[AwsTarget, ScriptedStores]:
        board = BoardSpec(100, "virtual", "buoytest-100", SENSORS, LinkSpec(), 10, 100.0)
        spec = AwsSpec(region="us-west-2", wait_s=wait_s)
        target = AwsTarget(
            Fleet("f", "f.yaml", TargetSpec("aws", aws=spec), "buoytest/0", (board,), RunSpec(), ()), tmp_path
        )
        stores = ScriptedStores(looks)
        target._stores = stores  # type: ignore[assignment]
        target._metrics = type(
            "Metrics", (), {"read": lambda *_: Reading({"AWS/Kinesis IncomingRecords": metrics})}
        )()
        return target, stores

    return make


def drain(
    target: AwsTarget, told: list[LiveCounts], then: Callable[[LiveCounts], None] = lambda _: None
) -> list[str]:
    def progress(counts: LiveCounts) -> None:
        told.append(counts)
        then(counts)

    asyncio.run(asyncio.wait_for(target.drain(10, 0.1, progress), 100))
    return target._problems


def test_it_looks_until_both_stores_are_complete(waiting: Any) -> None:
    target, stores = waiting([Look(0, 0), Look(90, 0), Look(90, 45, 5), Look(90, 90, 10)])
    told: list[LiveCounts] = []
    assert drain(target, told) == []
    assert stores.asked == 4
    assert told[-1] == LiveCounts(10, {"timestream": 90, "s3": 90})
    assert "looking at the stores" in {counts.doing for counts in told}


def test_what_lies_under_processing_failed_is_not_waited_for(waiting: Any) -> None:
    failed = [Noted("lambda", 100, number, b"", "timeout", "", 0) for number in range(4)]
    target, stores = waiting([Look(90, 0), Look(90, 54, 6, 1, failed)])
    assert drain(target, []) == []
    assert stores.asked == 2


def test_a_store_that_stays_silent_longer_than_firehose_can_hold_data_is_given_up(
    waiting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_S", 0.05)
    target, _ = waiting([Look(90, 45, 5)], metrics=5.0)
    target._settings.buffered_s = 0.05
    (problem,) = drain(target, [])
    assert "nothing more came into the stores" in problem


def test_the_wait_of_the_fleet_file_ends_it(waiting: Any) -> None:
    target, _ = waiting([Look(90, 45, 5)], wait_s=0.2, metrics=5.0)
    (problem,) = drain(target, [])
    assert problem == "the stores were not complete 0.2 s after the last send"


def test_ctrl_c_ends_the_waiting_once(waiting: Any) -> None:
    target, _ = waiting([Look(90, 45, 5)])
    answers = []

    def enough(counts: LiveCounts) -> None:
        if counts.doing and not answers:
            answers.extend([target.give_up(), target.give_up()])

    (problem,) = drain(target, [], enough)
    assert problem == "the stores were not waited for to the end: interrupted"
    assert answers == [True, False]


def test_metrics_that_lag_behind_are_waited_for_and_then_told(
    waiting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "METRICS_S", 0.1)
    target, _ = waiting([Look(90, 90, 10)], metrics=3.0)
    told: list[LiveCounts] = []
    (problem,) = drain(target, told)
    assert "CloudWatch had not caught up" in problem
    assert told[-1].doing == "waiting for CloudWatch"
