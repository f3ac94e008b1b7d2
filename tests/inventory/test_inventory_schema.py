"""The JSON schema and the reference page say what the loader does."""

import dataclasses
import json
import re

import jsonschema
import pytest
from fleet_files import GOOD, load, text_of
from fleet_mistakes import MISTAKES

from buoyfleet.cli.main import invoke
from buoyfleet.inventory.format import PLACES
from buoyfleet.inventory.limits_format import LIMITS, USUAL, limits_document
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.reference import reference_page
from buoyfleet.inventory.schema import fleet_schema
from buoyfleet.inventory.sections import keys_of
from buoyfleet.inventory.yaml_nodes import compose, plain_data
from buoyfleet.model.errors import ConfigurationError
from buoyfleet.model.fleet import TargetSpec, TwinSpec
from buoyfleet.model.twin import LimitSetting


@pytest.fixture(scope="module")
def validator():
    schema = fleet_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def data_of(text: str) -> object:
    """The document as an editor sees it; None where it is not even YAML."""
    root = compose(text, Reporter("", text))
    return None if root is None else plain_data(root)


@pytest.mark.parametrize("file", ["boards.yaml", "scenarios/original.yaml"])
def test_our_fleet_files_fit_the_schema_they_name(file, project_root, validator):
    path = project_root / file
    text = path.read_text(encoding="utf-8")
    validator.validate(data_of(text))
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    assert (path.parent / named[1]).resolve() == project_root / "docs/boards.schema.json"


# What JSON schema cannot say: it sees one value at a time and no numbers in texts.
ONLY_THE_LOADER_KNOWS = {
    "interval of nothing",
    "authorizers that contradict each other",
    "provisioning without certificates",
    "rate that a timestamp cannot tell apart",
    "no pace",
    "no end",
    "keep-alive of half seconds",
    "start spread longer than the run",
    "reversed range",
    "too many boards",
    "id twice in a list",
    "ids of two groups",
    "nothing to send",
    "override of a strange board",
    "two overrides of a board",
    "thing name twice",
    "no time server beside time servers",
    "more time servers than a board takes",
    "back-off upside down",
    "threshold twice",
    "threshold of a store that the target lacks",
    "fault that needs a delay",
    "fault of a strange buoy",
    "fault of the link elsewhere",
    "records have no halves",
    "limits that contradict each other",
    "unit of no time",
    "real boards without a port",
    "port of a virtual board",
    "one port for two boards",
    "client of this computer on a board",
    "key twice",
    "tag",
    "reference where no secret is",
}


def test_every_exception_from_the_schema_is_a_mistake_of_the_table():
    assert set(MISTAKES) >= ONLY_THE_LOADER_KNOWS


@pytest.mark.parametrize("name", MISTAKES)
def test_the_schema_refuses_what_the_loader_refuses(name, validator):
    document = data_of(text_of(*MISTAKES[name][0]))
    assert validator.is_valid(document) == (name in ONLY_THE_LOADER_KNOWS)


LIMITS_TEXT = "\n".join(
    f"      {key}: {str(value).lower() if isinstance(value, bool) else value}"
    for key, value in {
        **limits_document(tuple(LimitSetting(limit.name, USUAL[limit.name]) for limit in LIMITS)),
        "publishes_in": "lifted",
    }.items()
)
GOOD_CHANGES = {
    "as it is": [],
    "basic ingest": [("target: local", "target: local\ntopics: basic-ingest")],
    "address": [("target: local", "target: mqtt://broker.example:2883")],
    "twin": [
        (
            "target: local",
            """target:
  kind: local
  port: 1883
  twin:
    kinesis_shards: 2
    lambda_timeout: 3 s
    firehose_s3_buffer_size: 500 kB
    lambda_memory: 1 GB
    lambda_handler: handlers/transform.py
    access_policy: keys.json
    rules: [{name: alarm, file: alarm.json, stores: true}]
    lambda_environment: variables.json
    functions: [{name: enrich, handler: enrich.py, environment: variables.json}]
    provisioning: [{name: new-buoys, template: template.json, hook: hook.py, policy: buoy.json}]
    authorizers:
      - {name: passwords, handler: ask.py, default: true}
      - {name: tokens, handler: ask.js, parameter: x-token, signing_key: public.pem}
    lambda_base_memory: 50 MB
    lambda_record_memory: 10 kB
    lambda_concurrency: 0
    s3_prefix: buoys/!{timestamp:yyyy/MM/dd}/
    s3_error_prefix: failed/!{firehose:error-output-type}/
    s3_delimiter: newline
    s3_gzip: true
    hurry: false
    timestream_memory_store: 6 h
    timestream_visible_after: 2 s
    tls: {alpn: true, policy: policies/buoy.json, authority: bench/certs}
    timestream_rule:
      sql: SELECT *, topic(3) as buoy_id FROM 'aws/+/+/data/#'
      sql_version: '2015-10-08'
      timestamp: ${timestamp / 1000}
      timestamp_unit: s
      error_action: {s3: rule-errors/}
    kinesis_rule: {error_action: {republish: errors/rules}}
    influxdb: {url: 'http://localhost:8086', database: buoys, measurement: readings, username: bob,
      password: '${env:INFLUX}', token: '${file:influx}', organisation: bench}
    limits:
%LIMITS%
    faults:
      - {stage: s3, kind: lost, buoys: 100, messages: [1, 5-9], measures: [ph]}
      - {stage: rules, kind: altered, measures: ph, value: 3}
      - {stage: lambda, kind: delayed, delay: 5 s}""".replace("%LIMITS%", LIMITS_TEXT),
        )
    ],
    "plain tls": [("target: local", "target: {kind: local, twin: {tls: true}}")],
    "boards on cables": [
        (
            "kind: virtual",
            """kind: esp32
    port: /dev/serial/by-id/buoy-{id}
    wifi: {ssid: harbour, password: '${env:WIFI_PASSWORD}'}
    overrides: {101: {port: 'rfc2217://bench.example:4000'}}""",
        )
    ],
    "attached twin": [("target: local", "target: {kind: local, attach: 'localhost:18883'}")],
    "broker": [
        (
            "target: local",
            """target:
  kind: broker
  host: '::1'
  port: 1
  username: bob
  password: ${file:broker.key}
  tls: {ca: ca.pem, certificate: '{thing}.pem', key: '{thing}.key', server_name: x.y, alpn: mqtt}""",
        )
    ],
    "aws": [
        (
            "target: local",
            """target:
  kind: aws
  name: harbour-test
  region: us-west-2
  profile: bench
  account: '123456789012'
  endpoint: a1b2-ats.iot.us-west-2.amazonaws.com
  port: 8883
  certificates: ~/certs
  ca: ca.pem
  thing_type: buoy
  thing_group: test
  policy: test-buoy
  witness: test-witness
  database: db
  table: t
  timestream_rule: a
  kinesis_rule: b
  stream: s
  delivery_stream: d
  function: f
  bucket: my-bucket
  s3_prefix: x/
  failed_prefix: failed/
  error_prefix: errors/
  wait: 15 min
  listen: 0 s
  max_messages: 5000
  max_cost: 0.5""",
        )
    ],
    "bench": [
        (
            "target: local",
            """target: local
bench:
  interpreter: v1.26.1
  interpreter_sha256: %s
  ports: [/dev/serial/by-id/*, 'rfc2217://127.0.0.1:4000']
  parallel: 8
  per_hub: 4
  baud: 230400
  publish_interval: 15 min
  low_power: true
  watchdog: 0 s
  ntp_host: [one.test, '10.0.0.1:1123', 'three.test, four.test']"""
            % ("0a" * 32),
        ),
    ],
    "run": [
        (
            "rate: 10/s",
            """interval: 1.5 s
  duration: 1 h
  qos: 0
  payload: original
  water: bloom
  start_spread: 0 s
  seed: 0
  drain_timeout: 2 min
  late_send: 1 s
  late_after: {s3: 1 h}""",
        )
    ],
    "flat out": [("rate: 10/s", "rate: flat-out")],
    "ids": [("100-103", "[7, '8', 9-10, '11,12 - 13']")],
    "group": [
        (
            "103",
            """103
    messages: 3
    rate: 1/h
    thing_name: a{id}b
    sensors:
      others: hardware
      do: off
      ph: {mode: constant, value: 7}
      liqlev: {mode: constant, value: true}
      ec: {mode: counter, base: -1.5}
      wf: {mode: walk}
    link:
      client: paho
      keep_alive: 1 min
      in_flight: 1
      connect_timeout: 1 s
      ack_timeout: 100 ms
      backoff: {min: 1 s, max: 1 s}
      outbox: 5
      clean_session: false
    overrides: {100: {sensors: walk}, '101,103': {interval: 5 s, link: fleet}}""",
        )
    ],
    "thresholds": [("run:", "thresholds: [ack.p99 < 1.5 s, send.rate >= 100 /s, s3.late == 0]\nrun:")],
    "topic": [("target: local", "topic_prefix: a/b/c-d/e_f")],
}


@pytest.mark.parametrize("name", GOOD_CHANGES)
def test_the_schema_accepts_what_the_loader_accepts(name, validator, tmp_path):
    text = text_of(*GOOD_CHANGES[name])
    load(tmp_path, text)
    assert [error.message for error in validator.iter_errors(data_of(text))] == []


def test_every_key_that_exists_is_in_a_good_file_of_these_tests():
    text = "\n".join(text_of(*changes) for changes in GOOD_CHANGES.values())
    names = {one.name for section in PLACES.values() for one in keys_of(section)}
    unused = {name for name in names if not re.search(rf"\b{name}:", text)}
    assert unused <= {
        *("tds", "tbd", "wp", "temp"),  # as `do` and `ph`
        *("firehose_lambda_buffer_size", "firehose_lambda_buffer_time", "firehose_s3_buffer_time"),
        *("lambda_cold_start", "lambda_per_record"),  # these in test_inventory_document.py
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("fleet", 5),
        ("run.messages", "5"),
        ("run.messages", 0),
        ("run.interval", 5),
        ("run.rate", 10),
        ("run.qos", 2),
        ("run.late_after", {}),
        ("boards", []),
        ("boards.0.ids", []),
        ("boards.0.ids", "x"),
        ("boards.0.sensors", {"pH": "walk"}),
        ("boards.0.sensors", {"ph": {"mode": "constant"}}),
        ("boards.0.sensors", {"liqlev": {"mode": "constant", "value": 1}}),
        ("boards.0.link", {"keep_alive": 60}),
        ("boards.0.overrides", {"x": {}}),
        ("target", {"kind": "broker", "password": "clear"}),
        ("thresholds", ["s3.missing = 0"]),
        ("thresholds", []),
    ],
)
def test_schema_and_loader_refuse_the_same_values(path, value, validator, tmp_path):
    document = data_of(GOOD)
    *parents, last = path.split(".")
    place = document
    for step in parents:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    assert not validator.is_valid(document)
    with pytest.raises(ConfigurationError):
        load(tmp_path, json.dumps(document))


def test_the_schema_file_is_what_buoy_schema_prints(project_root, capsys):
    assert invoke(["schema"]) == 0
    printed = capsys.readouterr().out
    assert printed == (project_root / "docs/boards.schema.json").read_text(), (
        "make it again: buoy schema --out docs/boards.schema.json"
    )
    assert json.loads(printed) == fleet_schema()


def test_the_reference_page_is_what_buoy_schema_prints(project_root, capsys):
    assert invoke(["schema", "--markdown"]) == 0
    assert capsys.readouterr().out == (project_root / "docs/boards-yaml.md").read_text(), (
        "make it again: buoy schema --markdown --out docs/boards-yaml.md"
    )


def test_the_reference_page_has_every_key():
    page = reference_page()
    for place, section in PLACES.items():
        start = page.index(f"\n## {f'`{place}`' if place else 'Top level'}\n")
        part = page[start : page.index("\n## ", start + 5)]
        assert [one.name for one in keys_of(section) if f"| `{one.name}` |" not in part] == []


def test_the_schema_can_be_written_to_a_file(tmp_path):
    assert invoke(["schema", "--out", str(tmp_path / "schema.json")]) == 0
    assert json.loads((tmp_path / "schema.json").read_text()) == fleet_schema()
    assert invoke(["schema", "--out", str(tmp_path / "no" / "schema.json")]) == 2


# What is more than one key, or follows from several.
NOT_SETTINGS = {TwinSpec: {"limits", "faults", "ingest_rule"}, TargetSpec: {"kind", "twin", "aws"}}


def test_every_attribute_of_a_model_has_its_key():
    keys: dict[type, set[str]] = {}
    for section in PLACES.values():
        if section.MODEL is not None:
            found = keys.setdefault(section.MODEL, set())
            found.update(one.metadata["attribute"] for one in keys_of(section))
    for model, found in keys.items():
        attributes = {one.name for one in dataclasses.fields(model)}
        assert found - {""} == attributes - NOT_SETTINGS.get(model, set()), model.__name__
