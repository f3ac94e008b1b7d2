"""Rehearsed faults: exactly the chosen measures are gone, copied, changed or late, and nobody says a word."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twin_bench import Bench, Run, drive, fault, values

from buoyfleet.cloud.local.faults import stage_faults
from buoyfleet.model.fleet import FaultSpec, TwinSpec
from sensors.catalog import KEYS

Key = tuple[int, int, str]
BEFORE_FORK = ("broker", "rules")
AFTER_FORK = ("kinesis", "firehose", "lambda", "s3")


def run_with(folder: Path, spec: TwinSpec) -> tuple[Run, int]:
    """Three buoys, five messages each; the run and the first timestamp."""

    async def work(bench: Bench) -> tuple[Run, int]:
        start_ms = bench.now_ms
        bench.fleet(3, 5)
        await bench.pipeline.hurry()
        return bench.collected(), start_ms

    result: tuple[Run, int] = drive(folder, work, spec)
    return result


def keys(run: Run, store: str, start_ms: int) -> Counter[tuple[int, int, str]]:
    """(buoy, message number on its board, measure) → copies."""
    return Counter(
        (r["buoy"], (r["timestamp_ms"] - start_ms) // 1000, r["measure"]) for r in run.store(store)
    )


ALL = Counter({(buoy, number, key): 1 for buoy in (100, 101, 102) for number in range(5) for key in KEYS})
CHOSEN = [(101, 2, key) for key in KEYS]


def stores_behind(stage: str) -> list[str]:
    return (
        ["timestream", "s3"] if stage in BEFORE_FORK else ["timestream"] if stage == "timestream" else ["s3"]
    )


@pytest.mark.parametrize("stage", ["broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3"])
def test_a_lost_message_is_missing_behind_its_stage_only_and_without_a_word(
    tmp_path: Path, stage: str
) -> None:
    run, start_ms = run_with(tmp_path, fault(stage, "lost", buoys=(101,), messages=(2,)))
    for store in ("timestream", "s3"):
        gone = Counter(CHOSEN) if store in stores_behind(stage) else Counter()
        assert keys(run, store, start_ms) == ALL - gone
    assert run.evidence("outcomes") == []
    numbers = {row["message"] for row in run.evidence("received")}
    missing = numbers - set(run.reached(stage))
    assert len(missing) == (0 if stage == "broker" else 1)


@pytest.mark.parametrize("stage", ["broker", "rules", *AFTER_FORK])
def test_a_duplicated_message_stands_twice_in_s3_and_once_in_timestream(tmp_path: Path, stage: str) -> None:
    run, start_ms = run_with(tmp_path, fault(stage, "duplicated", buoys=(101,), messages=(2,)))
    assert keys(run, "s3", start_ms) == ALL + Counter(CHOSEN)
    assert keys(run, "timestream", start_ms) == ALL
    found = {row["outcome"] for row in run.evidence("outcomes")}
    assert found == ({"merged"} if stage in ("broker", "rules") else set())


@pytest.mark.parametrize("stage", ["broker", "rules", "timestream", *AFTER_FORK])
def test_an_altered_measure_has_the_wanted_value_and_its_type(tmp_path: Path, stage: str) -> None:
    spec = fault(stage, "altered", buoys=(101,), messages=(2,), measures=("ph", "liqlev"), value=99.0)
    run, start_ms = run_with(tmp_path, spec)
    for store in ("timestream", "s3"):
        changed = {}
        for row in run.store(store):
            number = (row["timestamp_ms"] - start_ms) // 1000
            if row["value"] != float(values(number)[row["measure"]]):
                changed[row["buoy"], number, row["measure"]] = (row["type"], row["value"])
        wanted = {(101, 2, "ph"): ("DOUBLE", 99.0), (101, 2, "liqlev"): ("BOOLEAN", 1.0)}
        assert changed == (wanted if store in stores_behind(stage) else {})
        assert keys(run, store, start_ms) == ALL


@pytest.mark.parametrize("stage", ["broker", "rules", "timestream", *AFTER_FORK])
def test_a_delayed_message_is_visible_later_by_that_much(tmp_path: Path, stage: str) -> None:
    spec = fault(stage, "delayed", buoys=(101,), messages=(2,), seconds=2000.0)
    run, start_ms = run_with(tmp_path, spec)
    for store in ("timestream", "s3"):
        late = {
            (row["buoy"], (row["timestamp_ms"] - start_ms) // 1000, row["measure"])
            for row in run.store(store)
            if row["visible_ns"] // 10**6 - row["timestamp_ms"] >= 2000_000
        }
        assert late == (set(CHOSEN) if store in stores_behind(stage) else set())
        assert keys(run, store, start_ms) == ALL
    assert run.evidence("outcomes") == []


@pytest.mark.parametrize("stage", AFTER_FORK)
def test_a_retyped_measure_is_a_text_in_s3(tmp_path: Path, stage: str) -> None:
    run, _ = run_with(
        tmp_path, fault(stage, "retyped", buoys=(101,), messages=(2,), measures=("temp", "liqlev"))
    )
    texts = {
        (row["buoy"], row["measure"]): row["text"] for row in run.store("s3") if row["type"] == "VARCHAR"
    }
    assert texts == {(101, "temp"): "18.25", (101, "liqlev"): "false"}


def test_a_retyped_measure_is_refused_by_timestream_for_its_type(tmp_path: Path) -> None:
    run, start_ms = run_with(
        tmp_path, fault("timestream", "retyped", buoys=(101,), messages=(2,), measures=("temp",))
    )
    assert keys(run, "timestream", start_ms) == ALL - Counter([(101, 2, "temp")])
    ((measure, reason),) = {(row["measure"], row["reason"]) for row in run.outcomes("timestream")}
    assert (measure, reason) == ("temp", "type-conflict")


@pytest.mark.parametrize("stage", ["timestream", "kinesis", "s3"])
@pytest.mark.parametrize("kind", ["lost", "duplicated", "delayed"])
def test_measures_can_be_chosen_within_a_message(tmp_path: Path, stage: str, kind: str) -> None:
    spec = fault(stage, kind, buoys=(101,), messages=(2,), measures=("temp",), seconds=2000.0)
    run, start_ms = run_with(tmp_path, spec)
    (store,) = stores_behind(stage)
    chosen = Counter([(101, 2, "temp")])
    wanted = {
        "lost": ALL - chosen,
        "duplicated": ALL if store == "timestream" else ALL + chosen,
        "delayed": ALL,
    }
    assert keys(run, store, start_ms) == wanted[kind]
    if kind == "delayed":
        late = [
            row for row in run.store(store) if row["visible_ns"] // 10**6 - row["timestamp_ms"] >= 2000_000
        ]
        assert [(row["buoy"], row["measure"]) for row in late] == [(101, "temp")]


def test_a_fault_without_a_choice_means_everything(tmp_path: Path) -> None:
    run, start_ms = run_with(tmp_path, fault("s3", "lost"))
    assert run.store("s3") == []
    assert keys(run, "timestream", start_ms) == ALL


@pytest.mark.parametrize("stage", ["broker", "rules", "timestream", *AFTER_FORK])
def test_a_delay_of_every_message_is_served_once(tmp_path: Path, stage: str) -> None:
    run, start_ms = run_with(tmp_path, fault(stage, "delayed", seconds=5000.0))
    for store in stores_behind(stage):
        assert keys(run, store, start_ms) == ALL
        delays_s = [row["visible_ns"] / 1e9 - row["timestamp_ms"] / 1e3 for row in run.store(store)]
        assert all(5000 <= delay_s < 6000 for delay_s in delays_s)


def test_several_faults_act_one_after_another(tmp_path: Path) -> None:
    specs = (
        FaultSpec("s3", "duplicated", buoys=(100,), messages=(0,)),
        FaultSpec("s3", "altered", buoys=(100,), messages=(0,), measures=("do",), value=-1.0),
        FaultSpec("kinesis", "lost", messages=(4,)),
    )
    run, start_ms = run_with(tmp_path, replace(TwinSpec(), faults=specs))
    found = keys(run, "s3", start_ms)
    assert all(found[100, 0, key] == 2 for key in KEYS)
    assert all(found[buoy, 4, key] == 0 for buoy in (100, 101, 102) for key in KEYS)
    changed = [row for row in run.store("s3") if row["measure"] == "do" and row["value"] == -1.0]
    assert len(changed) == 2


def test_a_stage_without_faults_costs_nothing() -> None:
    assert stage_faults(fault("s3", "lost").faults, "kinesis") is None


@pytest.mark.parametrize(
    ("kind", "data", "parts"),
    [
        ("lost", b"no json", []),
        ("duplicated", b"no json", [(b"no json", 0), (b"no json", 0)]),
        ("delayed", b"no json", [(b"no json", 5_000_000_000)]),
        ("altered", b"no json", [(b"no json", 0)]),
        ("retyped", b"[1]", [(b"[1]", 0)]),
    ],
)
def test_data_that_is_no_object_can_only_go_come_twice_or_come_late(
    kind: Any, data: bytes, parts: Any
) -> None:
    faults = stage_faults((FaultSpec("s3", kind, seconds=5.0),), "s3")
    assert faults is not None
    assert faults.data(100, data) == parts


def test_untouched_bytes_stay_byte_true() -> None:
    faults = stage_faults((FaultSpec("s3", "duplicated", messages=(1,)),), "s3")
    assert faults is not None
    odd = b'{ "temp" : 7.50 }'
    assert faults.data(100, odd) is None
    assert faults.data(100, odd) == [(odd, 0), (odd, 0)]


@pytest.mark.parametrize("stage", ["broker", "rules"])
def test_a_truncated_payload_is_refused_by_the_rules(tmp_path: Path, stage: str) -> None:
    run, start_ms = run_with(tmp_path, fault(stage, "truncated", buoys=(101,), messages=(2,)))
    for store in ("timestream", "s3"):
        assert keys(run, store, start_ms) == ALL - Counter(CHOSEN)
    (row,) = run.outcomes("rules")
    assert (row["reason"], row["measure"]) == ("malformed-payload", None)


def test_an_unanswered_message_is_not_taken_and_neither_is_its_resend(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        pipeline = bench.pipeline
        messages = [b'{"temp": %d.5}' % number for number in range(3)]

        def taken(data: bytes) -> bool:
            return pipeline.sink("aws/0/101/data/", data, 1, False, False, "buoy-101")

        assert [taken(data) for data in messages] == [True, False, True]
        # Sent again it is the same message, and does not count as another.
        assert not taken(messages[1])
        assert taken(b'{"temp": 9.5}')
        pipeline.take_in()
        assert pipeline.intake.accepted == 3

    drive(tmp_path, work, fault("broker", "unanswered", buoys=(101,), messages=(1,)))


def test_a_client_id_is_taken_over_as_its_message_comes(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        taken: list[str] = []
        bench.pipeline.take_over = taken.append
        assert not bench.pipeline.sink("aws/0/101/data/", b"{}", 1, False, False, "buoy-101")
        assert bench.pipeline.sink("aws/0/102/data/", b"{}", 1, False, False, "buoy-102")
        assert taken == ["buoy-101"]

    drive(tmp_path, work, fault("broker", "taken-over", buoys=(101,)))


def test_what_befell_connections_is_kept_beside_the_messages(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        refused = bench.pipeline.refused
        refused("duplicate-client-id", "taken", "buoy-100", "", None)
        refused("delivery-rate", "to a subscriber", "witness", "t", None)
        refused("payload-too-large", "too large", "buoy-101", "aws/0/101/data/", b"xx")
        refused("publish-rate", "discarded", "buoy-102", "aws/0/102/data/", b"xx")
        run = bench.collected()
        assert [(row["client"], row["reason"]) for row in run.evidence("links")] == [
            ("buoy-100", "duplicate-client-id"),
            ("buoy-101", "payload-too-large"),
        ]
        assert [row["reason"] for row in run.evidence("refused")] == ["payload-too-large", "publish-rate"]

    drive(tmp_path, work)
