"""Every reason that a stage of the twin can give has words of its own, and advice."""

import re
from pathlib import Path

import pytest

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
