"""Every reason that a stage of the twin can give has words of its own, and advice."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from buoyfleet.cloud.local.broker import Reason
from buoyfleet.cloud.local.faults import ON_THE_LINK
from buoyfleet.cloud.local.firehose_events import (
    BAD_RESPONSE,
    DUPLICATED_ID,
    FUNCTION_ERROR,
    MISSING_ID,
    OUT_OF_MEMORY,
    PROCESSING_FAILED,
    THROTTLED,
    TIMED_OUT,
)
from buoyfleet.cloud.local.lambda_runtime import LambdaModel
from buoyfleet.cloud.local.lambda_stage import LambdaStage
from buoyfleet.verify.cause import Figures
from buoyfleet.verify.causes import CAUSES, explain

LOCAL = Path(__file__).parents[2] / "host/buoyfleet/cloud/local"
SOURCES = {
    "rules": "engine.py",
    "timestream": "timestream.py",
    "kinesis": "kinesis.py",
    "influxdb": "influx_stage.py",
}
LAMBDA = (
    BAD_RESPONSE,
    DUPLICATED_ID,
    FUNCTION_ERROR,
    MISSING_ID,
    OUT_OF_MEMORY,
    PROCESSING_FAILED,
    THROTTLED,
    TIMED_OUT,
)
# About deliveries to a subscriber, or only about time: no message of a board is lost by these.
HARMLESS = ("delivery-", "throughput-delay")


def reasons() -> set[str]:
    """`stage/reason` of everything the twin says, by its source."""
    found = {f"broker/{one.value}" for one in Reason if not one.value.startswith(HARMLESS)}
    found |= {f"lambda/{failure.reason}" for failure in LAMBDA} | {"lambda/dropped-by-handler"}
    for stage, name in SOURCES.items():
        # Reasons are the only words with hyphens that stand in quotes there.
        said = re.findall(r'"([a-z]+(?:-[a-z]+)+)"', (LOCAL / name).read_text())
        found |= {f"{stage}/{reason}" for reason in said if reason != "influxdb-index"}
    # What a rule does not select is noted at the store that misses it.
    found.remove("rules/not-selected")
    found |= {f"{stage}/not-selected" for stage in ("timestream", "kinesis", "influxdb")}
    return found


def test_the_source_is_read_rightly() -> None:
    assert {
        "rules/malformed-payload",
        "timestream/too-old",
        "timestream/record-too-large",
        "influxdb/type-conflict",
        "broker/duplicate-client-id",
        "lambda/out-of-memory",
    } <= reasons()


@pytest.mark.parametrize("key", sorted(reasons()))
def test_every_reason_of_the_twin_has_words_and_advice_of_its_own(key: str) -> None:
    assert key in CAUSES
    stage, _, reason = key.partition("/")
    why, change = explain(Figures("s3", stage, "", reason, "17 of 18"))
    assert "17 of 18" in why or reason == "timeout"
    assert change.endswith(".")
    assert not re.search(r"[{}]", why + change)


def test_rehearsed_faults_of_the_link_are_silent() -> None:
    assert not {f"broker/{kind}" for kind in ON_THE_LINK} & set(CAUSES)


def timed_out(sentence: str) -> tuple[str, str]:
    return explain(Figures("s3", "lambda", "", "timeout", sentence, (sentence,)))


@pytest.mark.parametrize("cold_start", ["4000", "4000.2"])
def test_a_cold_start_that_takes_all_the_time_gives_no_number_of_records_that_fit(cold_start: str) -> None:
    why, change = timed_out(
        f"Task timed out after 3 s: 500 records at 0 ms each (128 MB) and a cold start of {cold_start} ms "
        "need 4.00 s; 4 attempts"
    )
    assert "a batch of 500 records takes 4 s, the timeout is 3 s, 4 attempts failed" in why
    assert "records fit" not in change
    assert change.startswith("Set the function's timeout to at least 5 s")


@given(
    limit_s=st.integers(1, 300),
    records=st.integers(1, 10_000),
    per_record_ms=st.floats(0, 500),
    cold_start_ms=st.floats(0, 10_000),
)
def test_the_twins_sentence_about_a_timeout_is_read_back_whole(
    limit_s: int, records: int, per_record_ms: float, cold_start_ms: float
) -> None:
    model = LambdaModel(limit_s, 128, cold_start_ms, per_record_ms)
    needed_s = model.duration_s(records, True)
    assume(needed_s > limit_s)
    stage, attempt = SimpleNamespace(_model=model), SimpleNamespace(batch=range(records))
    words = LambdaStage._timeout_words(stage, attempt)  # type: ignore[arg-type]
    why, change = timed_out(f"{words}; 4 attempts")
    assert f"a batch of {records} records" in why
    assert f"the timeout is {limit_s:g} s, 4 attempts failed" in why
    assert "-" not in re.sub(r"processing-failed|e-\d\d", "", why + change)
    fitting = re.search(r"up to (\d+) records fit", change)
    if fitting:
        assert model.duration_s(int(fitting[1]), True) <= limit_s + 0.01
