"""A resolved fleet reads back as the same fleet."""

import dataclasses
import json
from pathlib import Path

import pytest
from drawn import at_most
from fleet_files import GOOD, load, text_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buoyfleet.inventory.document import FILE_NAME, fleet_document, fleet_yaml
from buoyfleet.inventory.limits_format import LIMITS
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.fleet import (
    BoardSpec,
    FaultSpec,
    Fleet,
    LinkSpec,
    RunSpec,
    SecretRef,
    SensorSpec,
    TargetSpec,
    TlsSpec,
    TwinSpec,
)
from buoyfleet.model.thresholds import parse_threshold
from buoyfleet.model.twin import (
    AuthorizerSpec,
    ErrorAction,
    InfluxSpec,
    LimitSetting,
    OwnRule,
    ProvisioningSpec,
    RuleSettings,
    TwinTls,
)
from sensors.catalog import BOOLEAN_KEYS, KEYS


def read_back(fleet: Fleet, folder: Path, text: str) -> Fleet:
    path = folder / FILE_NAME
    path.write_text(text, encoding="utf-8")
    return dataclasses.replace(load_fleet(path), source=fleet.source)


@pytest.mark.parametrize("file", ["boards.yaml", "scenarios/original.yaml"])
def test_our_fleets_read_back_as_they_were(file, project_root, tmp_path):
    fleet = load_fleet(project_root / file)
    assert read_back(fleet, tmp_path, fleet_yaml(fleet)) == fleet


def test_options_are_part_of_the_document(tmp_path):
    fleet = load(tmp_path, GOOD, Overrides(count=3, flat_out=True, boards="101", duration="2 min"))
    document = fleet_document(fleet)
    assert document["run"]["duration"] == "2 min"
    [group] = document["boards"]
    assert (group["ids"], group["messages"], group["rate"]) == (101, 3, "flat-out")
    assert read_back(fleet, tmp_path, fleet_yaml(fleet)) == fleet


def test_boards_that_are_alike_stay_together(tmp_path):
    text = text_of(("ids: 100-103", "ids: 100-103\n    overrides: {101: {interval: 1 s}}"))
    assert [group["ids"] for group in fleet_document(load(tmp_path, text))["boards"]] == ["100,102,103", 101]


times = st.floats(0.2, 500).map(lambda value: round(value, 6))
numbers = st.floats(-1e5, 1e5).map(lambda value: round(value, 3))


def sensor(key: str) -> st.SearchStrategy[SensorSpec]:
    boolean = key in BOOLEAN_KEYS
    nothing: float | bool = False if boolean else 0.0
    return st.one_of(
        st.sampled_from(["walk", "off", "hardware"]).map(lambda mode: SensorSpec(key, mode, value=nothing)),
        st.builds(
            SensorSpec,
            st.just(key),
            st.just("counter"),
            st.just(0.0) if boolean else numbers,
            st.just(nothing),
        ),
        st.builds(
            SensorSpec, st.just(key), st.just("constant"), st.just(0.0), st.booleans() if boolean else numbers
        ),
    )


sensors = st.tuples(*(sensor(key) for key in KEYS)).filter(
    lambda nine: any(one.mode != "off" for one in nine)
)
links = st.builds(
    LinkSpec,
    client=st.sampled_from(["fleet", "paho"]),
    keep_alive_s=st.integers(5, 65535),
    in_flight=st.integers(1, 65535),
    connect_timeout_s=times,
    ack_timeout_s=times,
    backoff_min_s=st.floats(0.01, 1),
    backoff_max_s=st.floats(1, 100),
    outbox=st.integers(1, 1000),
    clean_session=st.booleans(),
)
NAMES = [limit.name for limit in LIMITS]
twins = st.builds(
    TwinSpec,
    kinesis_shards=st.integers(1, 500),
    firehose_lambda_buffer_mb=st.floats(0.01, 128),
    firehose_lambda_buffer_s=times,
    firehose_s3_buffer_mb=st.floats(0.01, 128),
    firehose_s3_buffer_s=times,
    lambda_timeout_s=times,
    lambda_memory_mb=st.integers(128, 10240),
    lambda_cold_start_ms=times,
    lambda_per_record_ms=times,
    limits=st.lists(
        st.one_of(
            st.builds(
                LimitSetting,
                st.sampled_from(["connects_per_s", "publishes_in_per_s", "bytes_out_per_s", "replay_per_s"]),
                st.none() | st.integers(1, 10**6),
            ),
            st.builds(LimitSetting, st.just("shard_records_per_s"), st.none() | st.floats(0.1, 1e6)),
            st.builds(LimitSetting, st.just("payload_bytes"), st.integers(1, 10**6)),
            st.builds(LimitSetting, st.just("qos2_silent"), st.booleans()),
            st.builds(LimitSetting, st.just("session_s"), st.floats(1, 1e5)),
        ),
        unique_by=lambda setting: setting.name,
        max_size=4,
    ).map(lambda found: tuple(sorted(found, key=lambda one: NAMES.index(one.name)))),
    tls=st.none() | st.builds(TwinTls, st.booleans(), st.sampled_from(["", "/policies/buoy.json"])),
    access_policy=st.sampled_from(["", "/policies/keys.json"]),
    authorizers=st.lists(
        st.builds(
            AuthorizerSpec,
            st.sampled_from(["passwords", "tokens"]),
            st.just("/handlers/ask.py"),
            st.just("x-token"),
            st.sampled_from(["", "/keys/public.pem"]),
        ),
        unique_by=lambda one: one.name,
        max_size=2,
    ).map(tuple),
    rules=st.sampled_from([(), (OwnRule("alarm", "/rules/alarm.json"),)]),
    provisioning=st.sampled_from([(), (ProvisioningSpec("new", "/t.json", "/hook.py", "/policy.json"),)]),
    timestream_rule=st.one_of(
        st.just(RuleSettings()),
        st.builds(
            RuleSettings,
            st.sampled_from(["", "SELECT * FROM 'a: #b'"]),
            st.sampled_from([None, "2016-03-23"]),
            st.just("${timestamp / 1000}"),
            st.sampled_from(["s", "us"]),
            st.sampled_from([None, ErrorAction(s3="errors/"), ErrorAction(republish="a/b")]),
        ),
    ),
    kinesis_rule=st.builds(RuleSettings, sql_version=st.sampled_from([None, "2015-10-08"])),
    timestream_memory_store_h=st.sampled_from([0.5, 6.0, 24.0, 8766.0]),
    timestream_visible_after_s=times,
    hurry=st.booleans(),
    lambda_handler=st.sampled_from(["", "/handlers/transform.mjs"]),
    lambda_base_memory_mb=st.floats(0.5, 100),
    lambda_record_memory_kb=st.sampled_from([0.5, 6.0, 100.0]),
    lambda_concurrency=st.integers(0, 1000),
    s3_prefix=st.sampled_from(["", "buoys/!{timestamp:yyyy}/"]),
    s3_error_prefix=st.sampled_from(["", "bad/"]),
    s3_delimiter=st.sampled_from(["", "\n"]),
    s3_gzip=st.booleans(),
    influxdb=st.none()
    | st.builds(
        InfluxSpec,
        st.just("http://localhost:8086"),
        st.just("buoys"),
        st.sampled_from(["", "bench"]),
        username=st.sampled_from(["", "no"]),
        password=st.none() | st.just(SecretRef("env", "A")),
        token=st.none() | st.just(SecretRef("file", "b")),
    ),
    faults=st.lists(
        st.one_of(
            st.builds(
                FaultSpec,
                stage=st.sampled_from(
                    ["broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3"]
                ),
                kind=st.sampled_from(["lost", "duplicated", "retyped"]),
                buoys=st.sampled_from([(), (5,)]),
                messages=st.sets(st.integers(0, 50), max_size=4).map(lambda found: tuple(sorted(found))),
                measures=st.sampled_from([(), ("ph",), ("do", "temp")]),
            ),
            st.builds(FaultSpec, stage=st.just("s3"), kind=st.just("altered"), value=st.none() | numbers),
            st.builds(FaultSpec, stage=st.just("s3"), kind=st.just("delayed"), seconds=times),
        ),
        max_size=3,
    ).map(tuple),
).map(
    # Devices are provisioned with certificates: not on a twin without TLS.
    lambda twin: twin if twin.tls else dataclasses.replace(twin, provisioning=())
)
aws_specs = st.builds(
    AwsSpec,
    name=st.sampled_from(["buoytest", "a-b"]),
    region=st.sampled_from(["", "eu-west-1"]),
    account=st.sampled_from(["", "123456789012"]),
    port=st.integers(1, 65535),
    certificates=st.just("/c"),
    ca=st.just("/c/ca.pem"),
    table=st.sampled_from(["measures", "t"]),
    bucket=st.sampled_from(["", "my-bucket"]),
    wait_s=st.integers(1, 86_400).map(float),
    max_messages=st.integers(1, 10**9),
    max_cost_usd=st.floats(0, 1000),
)
targets = st.one_of(
    st.builds(TargetSpec, st.just("local"), port=st.integers(0, 65535), twin=st.none() | twins),
    st.builds(TargetSpec, st.just("local"), attach=st.just("localhost:18883")),
    st.builds(TargetSpec, st.just("aws"), aws=aws_specs),
    st.builds(
        TargetSpec,
        st.just("broker"),
        host=st.sampled_from(["localhost", "::1", "10.0.0.7", "b.example"]),
        port=st.integers(1, 65535),
        tls=st.none()
        | st.just(TlsSpec("/ca.pem"))
        | st.just(TlsSpec("/c", "/{thing}", "/{thing}.k", "x.y", "mqtt")),
        username=st.sampled_from(["", "bob", "0123", "no", "a: b"]),
        password=st.none() | st.just(SecretRef("env", "A_B")) | st.just(SecretRef("file", "a.b")),
    ),
)


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    target = draw(targets)
    ids = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=5)) | {5})
    kinds = draw(st.lists(st.tuples(sensors, links), min_size=1, max_size=2))
    duration_s = draw(st.none() | st.floats(10, 1000))
    boards = []
    for number in ids:
        nine, link = draw(st.sampled_from(kinds))
        if target.kind == "aws":  # which raises shorter ones
            link = dataclasses.replace(link, backoff_min_s=1.1, backoff_max_s=60.0)
        messages = draw(st.integers(1, 9) if duration_s is None else st.none() | st.integers(1, 9))
        interval_ms = draw(st.none() | st.floats(1, 1e6))
        name = draw(st.sampled_from(["buoy-{id}", "{id}", "a{id}:x"])).replace("{id}", str(number))
        boards.append(BoardSpec(number, "virtual", name, nine, link, messages, interval_ms))
    run = RunSpec(
        qos=draw(st.sampled_from([0, 1])),
        payload=draw(st.sampled_from(["stamped", "original"])),
        water=draw(st.sampled_from(["calm", "storm"])),
        start_spread_s=draw(st.floats(0, 9).map(lambda value: round(value, 6))),
        duration_s=duration_s,
        seed=draw(st.integers(0, 2**31 - 1)),
        drain_timeout_s=draw(times),
        late_send_ms=draw(st.floats(1, 1000)),
        late_after_s={
            "timestream": draw(times),
            "s3": draw(times),
            "influxdb": draw(times),
            "subscriber": draw(times),
        },
    )
    answered = "ack.p99 < 1.5 s" if run.qos else "send.dropped == 0"
    thresholds = (parse_threshold(answered), parse_threshold("boards.failed == 0"))
    return Fleet("a-1", "x", target, "aws/0", tuple(boards), run, thresholds)


@settings(
    max_examples=at_most(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(fleet=fleets())
def test_any_fleet_reads_back_as_it_was(fleet, tmp_path):
    assert read_back(fleet, tmp_path, fleet_yaml(fleet)) == fleet
    assert read_back(fleet, tmp_path, json.dumps(fleet_document(fleet))) == fleet
