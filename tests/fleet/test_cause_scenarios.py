"""Each scenario of the tree reproduces a cause of loss on the twin, and the verdict names it with figures."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from run_bench import ROOT, result_of

from buoyfleet.cli.main import invoke
from buoyfleet.model.exit_codes import ExitCode

pytestmark = pytest.mark.timeout(600)

Place = tuple[str, str, str]
"""Kind, stage and cause of a diagnosis."""


@dataclass(frozen=True)
class Expected:
    """What a scenario's verdict must say."""

    stores: dict[str, Place]
    """Store → its one diagnosis; a store that is not here has none."""
    measures: dict[str, int] = field(default_factory=dict)
    """Store → measures of that diagnosis, where arrival times have no part in it."""
    sentence: tuple[str, ...] = ()
    """Words of the sentence: what, where, how much."""
    change: tuple[str, ...] = ()
    """Words of what to change."""
    rejected: str = ""
    """Unit of the stage whose counter must give the same figure as the verdict."""
    not_sent: str = ""
    """What a diagnosis of messages that never left says besides; empty: there is none."""


def both(kind: str, stage: str, cause: str) -> dict[str, Place]:
    """The same in both stores."""
    return dict.fromkeys(("timestream", "s3"), (kind, stage, cause))


def of(store: str, stage: str, cause: str, kind: str = "missing") -> dict[str, Place]:
    """In one store alone: the other is complete."""
    return {store: (kind, stage, cause)}


SCENARIOS: dict[str, Expected] = {
    "not-acknowledged": Expected(
        both("missing", "broker", "unacknowledged"),
        {"timestream": 9, "s3": 9},
        ("9 measures of 1 message (board 103)", "sent, not acknowledged, and never received"),
        ("connection", "drain_timeout"),
    ),
    "connection-throttled": Expected(
        both("missing", "broker", "publish-rate"),
        sentence=("(boards 100–104)", "one connection", "5 are taken"),
        change=("fewer messages per second and board", "100 per connection"),
        rejected="messages",
    ),
    "account-throttled": Expected(
        both("missing", "broker", "account-publish-rate"),
        sentence=("the account's publish rate", "20 are taken"),
        change=("less per second over all boards", "quota"),
        rejected="messages",
    ),
    "shard-throttled": Expected(
        of("s3", "kinesis", "records-per-second"),
        sentence=("WriteProvisionedThroughputExceeded", "shard 0 of 1 takes 10 records/s"),
        change=("more shards",),
        rejected="records",
    ),
    "policy-refused": Expected(
        both("missing", "broker", "not-authorised"),
        sentence=("policy", "iot:Publish on topic/aws/0/10", "'buoy-10"),
        change=("Allow the action on that resource", "attached"),
        not_sent="iot:Publish on topic/aws/0/10",
    ),
    "duplicate-client-id": Expected(
        both("missing", "broker", "duplicate-client-id"),
        sentence=("(board 103)", "another client connected under the board's client id", "times"),
        change=("who else uses that client id",),
        not_sent="another client connected under the board's client id",
    ),
    "oversize-payload": Expected(
        both("missing", "broker", "payload-too-large"),
        sentence=("a payload of 12", "100 are allowed"),
        change=("smaller", "128 KB"),
        not_sent="100 are allowed",
    ),
    "malformed-payload": Expected(
        both("missing", "rules", "malformed-payload"),
        {"timestream": 18, "s3": 18},
        ("18 measures of 2 messages (board 102)", "could not read the payload as a JSON object"),
        ("Correct the payload",),
    ),
    "rule-where": Expected(
        of("timestream", "rules", "where"),
        {"timestream": 270},
        ("270 measures of 30 messages", "rule buoy_timestream: WHERE is not true"),
        ("WHERE clause",),
    ),
    "rule-select": Expected(
        of("s3", "kinesis", "not-selected"),
        {"s3": 100},
        ("100 measures of 100 messages (boards 100–104; ph)", "its SELECT leaves ph out"),
        ("SELECT *",),
    ),
    "rule-sql-version": Expected(
        of("timestream", "timestream", "type-conflict"),
        sentence=("is BIGINT (", "its first record made it DOUBLE"),
        change=("2015-10-08", "7.0 into 7"),
    ),
    "type-conflict": Expected(
        {
            "timestream": ("missing", "timestream", "type-conflict"),
            "s3": ("altered", "rules", "retyped"),
        },
        {"timestream": 6, "s3": 6},
        ("6 measures of 3 messages (board 102; ph, temp)",),
    ),
    "collision": Expected(
        of("timestream", "timestream", "collision"),
        sentence=("one value per buoy, measure and millisecond", "with another value"),
        change=("`stamped`", "timestamp"),
    ),
    "too-old": Expected(
        of("timestream", "timestream", "too-old"),
        {"timestream": 90},
        ("90 measures of 10 messages (board 101)", "is 48.0 h old", "takes 24 h"),
        ("clock", "retention"),
    ),
    "lambda-error": Expected(
        of("s3", "lambda", "function-error"),
        sentence=("ValueError: pH of 15", "4 attempts", "processing-failed/"),
        change=("Correct the function", "replayed"),
    ),
    "lambda-memory": Expected(
        of("s3", "lambda", "out-of-memory"),
        {"s3": 900},
        ("100 records need 240 MB", "the function has 128 MB", "4 attempts"),
        ("more memory", "buffer smaller"),
    ),
    "lambda-concurrency": Expected(
        of("s3", "lambda", "concurrency"),
        {"s3": 900},
        ("no execution left", "leaves the function 0 executions", "4 attempts"),
        ("concurrency",),
    ),
    "processing-failed": Expected(
        of("s3", "lambda", "processing-failed"),
        {"s3": 180},
        (
            "180 measures of 20 messages",
            "returned the record as ProcessingFailed",
            "failed/processing-failed/",
        ),
        ("processing-failed/",),
    ),
    "s3-not-flushed": Expected(
        of("s3", "s3", "waiting"),
        {"s3": 900},
        ("not yet flushed to S3", "5 MB or 300 s", "due at ", " UTC"),
        ("Nothing is lost", "drain_timeout"),
    ),
    "not-yet-consistent": Expected(
        of("timestream", "timestream", "waiting"),
        {"timestream": 900},
        ("not yet consistent", "queries see it from ", " UTC on"),
        ("Nothing is lost",),
    ),
}
ELSEWHERE = {"original", "lambda-timeout", "late-generator"}
"""In test_scenarios.py, and below."""


def test_every_scenario_of_the_tree_is_run_by_a_test() -> None:
    assert {path.stem for path in (ROOT / "scenarios").glob("*.yaml")} == {*SCENARIOS, *ELSEWHERE}


def verdict_of(name: str, out: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The result of `buoy run` on a scenario: the command itself, in this process, which saves a second."""
    code = invoke(["run", str(ROOT / "scenarios" / f"{name}.yaml"), "--out", str(out)])
    assert code == ExitCode.VERDICT_FAILED, capfd.readouterr()
    return result_of(out)


def diagnoses_of(result: dict[str, Any], store: str) -> list[dict[str, Any]]:
    return [diagnosis for diagnosis in result["diagnoses"] if diagnosis["store"] == store]


# Causes of a stage that another scenario covers in `make test`: each takes a run of its own.
ALIKE = {
    *("account-throttled", "policy-refused", "oversize-payload", "rule-where", "rule-sql-version"),
    *("collision", "too-old", "lambda-memory", "lambda-concurrency", "connection-throttled"),
    *("duplicate-client-id", "rule-select", "malformed-payload", "processing-failed", "not-yet-consistent"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.soak] if name in ALIKE else []) for name in SCENARIOS]
)
def test_a_scenario_ends_with_the_verdict_it_was_written_for(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = SCENARIOS[name]
    result = verdict_of(name, tmp_path, capfd)
    found = {
        (store["name"], one["kind"], one["stage"], one["cause"])
        for store in result["stores"]
        for one in diagnoses_of(result, store["name"])
    }
    assert found == {(store, *place) for store, place in expected.stores.items()}, result["diagnoses"]
    for store in result["stores"]:
        # What is missing or changed is all explained, and what has no diagnosis is complete.
        wrong = sum(store[kind] for kind in ("missing", "altered", "duplicated", "unexpected", "late"))
        assert wrong == sum(one["measures"] for one in diagnoses_of(result, store["name"]))
        if store["name"] in expected.measures:
            assert wrong == expected.measures[store["name"]]
        else:
            assert (wrong > 0) == (store["name"] in expected.stores)
    for one in (one for store in expected.stores for one in diagnoses_of(result, store)):
        # Where two stores tell different stories the words are those they share.
        assert [words for words in expected.sentence if words not in one["sentence"]] == [], one["sentence"]
        assert [words for words in expected.change if words not in one["change"]] == [], one["change"]
    if expected.rejected:
        counted = {stage["name"]: stage for stage in result["stages"]}
        for _, place, cause in expected.stores.values():
            assert counted[place]["unit"] == expected.rejected
            for one in (one for store in expected.stores for one in diagnoses_of(result, store)):
                assert one["messages"] == counted[place]["rejected"][cause] > 0
    not_sent = [one for one in result["diagnoses"] if one["kind"] == "not-sent"]
    # How many never left depends on how fast the machine is; why they did not does not.
    assert expected.not_sent or not_sent == []
    assert all(expected.not_sent in one["sentence"] for one in not_sent)


def test_a_late_generator_is_told_from_a_loss(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = verdict_of("late-generator", tmp_path, capfd)
    assert [store["missing"] for store in result["stores"]] == [0, 0]
    # On a busy machine some messages are made late as well, which is another cause and is said as one.
    causes = {one["cause"]: one for one in result["diagnoses"]}
    assert {one["kind"] for one in result["diagnoses"]} == {"late-send"}
    assert causes.keys() <= {"held-back", "computer-busy"}
    diagnosis = causes["held-back"]
    assert diagnosis["stage"] == "board"
    # 60 messages at 100/s instead of 200/s: the last is 0.3 s behind its plan. What a busy machine made late
    # itself counts there instead.
    assert sum(one["messages"] for one in causes.values()) > 100
    assert "were sent more than 100 ms late, at worst " in diagnosis["sentence"]
    assert diagnosis["sentence"].endswith("the link held them back. Nothing was lost.")
    assert "link.in_flight" in diagnosis["change"]
