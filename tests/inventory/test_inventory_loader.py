"""What a good fleet file becomes, and files that cannot be read."""

from pathlib import Path

import pytest
from fleet_files import GOOD, lines_of, load, problems_of, text_of

from buoyfleet.boards import kinds
from buoyfleet.inventory.available import KINDS, SENSOR_MODES, TARGETS, WATERS
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.model.errors import ConfigurationError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import LinkSpec, RunSpec, SecretRef, SensorSpec, TwinSpec
from buoyfleet.runs import targets
from buoyfleet.simulation.water.scenario import SCENARIOS
from sensors.catalog import KEYS, MODES


def test_the_default_fleet_is_thirty_buoys_with_a_hundred_messages_two_of_them_simulated(project_root):
    fleet = load_fleet(project_root / "boards.yaml")
    assert [board.buoy_id for board in fleet.boards] == list(range(100, 130))
    assert {board.buoy_id for board in fleet.boards if board.kind == "simulated"} == {128, 129}
    assert {board.kind for board in fleet.boards} == {"virtual", "simulated"}
    assert {(board.messages, board.interval_ms) for board in fleet.boards} == {(100, 100.0)}
    assert {sensor.mode for board in fleet.boards for sensor in board.sensors} == {"counter"}
    assert (fleet.target.kind, fleet.topic_prefix) == ("local", "aws/0")
    assert fleet.run == RunSpec()
    usual = {*TARGETS["local"].thresholds, "sensors.withheld == 0"}
    assert {threshold.text for threshold in fleet.thresholds} == usual


def test_the_original_scenario_sends_the_original_payload_once_a_second(project_root):
    fleet = load_fleet(project_root / "scenarios/original.yaml")
    assert [board.buoy_id for board in fleet.boards] == list(range(100, 130))
    assert {(board.messages, board.interval_ms) for board in fleet.boards} == {(100, 1000.0)}
    assert (fleet.run.payload, fleet.run.qos) == ("original", 1)
    assert {sensor.base for board in fleet.boards for sensor in board.sensors} == {0.0}


def test_defaults_are_those_of_the_model(tmp_path):
    fleet = load(tmp_path, GOOD)
    assert fleet.run == RunSpec()
    assert fleet.boards[0].link == LinkSpec()
    assert fleet.boards[0].thing_name == "buoy-100"
    assert [sensor.key for sensor in fleet.boards[0].sensors] == list(KEYS)
    twin = load(
        tmp_path, text_of(("target: local", "target: {kind: local, twin: {kinesis_shards: 2}}"))
    ).target.twin
    assert twin == TwinSpec(kinesis_shards=2)


def test_paths_of_a_twin_start_at_the_fleet_files_folder(tmp_path):
    settings = (
        "{tls: {policy: p.json, authority: ca}, lambda_handler: t.py, access_policy: keys.json,"
        " authorizers: [{name: a, handler: ask.js}], rules: [{name: r, file: r.json}],"
        " provisioning: [{name: t, template: t.json, hook: hook.py}]}"
    )
    text = text_of(("target: local", f"target: {{kind: local, twin: {settings}}}"))
    twin = load(tmp_path, text).target.twin
    assert twin is not None
    assert twin.tls is not None
    paths = [twin.tls.policy, twin.tls.authority, twin.lambda_handler, twin.access_policy]
    paths += [twin.authorizers[0].handler, twin.rules[0].file]
    paths += [twin.provisioning[0].template, twin.provisioning[0].hook]
    names = ("p.json", "ca", "t.py", "keys.json", "ask.js", "r.json", "t.json", "hook.py")
    assert paths == [str(tmp_path / name) for name in names]
    assert (twin.provisioning[0].policy, twin.authorizers[0].signing_key) == ("", "")


def test_a_fleet_without_thresholds_gets_those_of_its_target(tmp_path):
    local = load(tmp_path, GOOD)
    sensors = "sensors.withheld == 0"
    assert [threshold.text for threshold in local.thresholds] == [*TARGETS["local"].thresholds, sensors]
    broker = load(tmp_path, text_of(("target: local", "target: broker")))
    assert [threshold.text for threshold in broker.thresholds] == [*TARGETS["broker"].thresholds, sensors]
    unanswered = load(tmp_path, text_of(("target: local", "target: broker"), ("run:", "run:\n  qos: 0")))
    assert "send.unacknowledged == 0" not in [threshold.text for threshold in unanswered.thresholds]
    hardware = load(tmp_path, text_of(("ids: 100-103", "ids: 100-103\n    sensors: hardware")))
    assert hardware.thresholds[-1].text == "sensors.silent == 0"


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ("7", [7]),
        ("100-103", [100, 101, 102, 103]),
        ("100-101, 105", [100, 101, 105]),
        ("[9, 3-4, '6,8']", [3, 4, 6, 8, 9]),
        ("0", [0]),
    ],
)
def test_ids_are_numbers_ranges_and_lists_of_both(ids, expected, tmp_path):
    fleet = load(tmp_path, text_of(("ids: 100-103", f"ids: {ids}")))
    assert [board.buoy_id for board in fleet.boards] == expected


@pytest.mark.parametrize(
    ("pace", "interval_ms"),
    [
        ("interval: 100 ms", 100.0),
        ("interval: 15 min", 900_000.0),
        ("interval: 0.57 s", 570.0),
        ("rate: 10/s", 100.0),
        ("rate: 4/h", 900_000.0),
        ("rate: 3/s", 1000 / 3),
        ("rate: flat-out", None),
    ],
)
def test_pace_is_an_interval_or_a_rate_or_none(pace, interval_ms, tmp_path):
    assert load(tmp_path, text_of(("rate: 10/s", pace))).boards[0].interval_ms == interval_ms


def test_what_is_said_nearer_to_a_board_wins(tmp_path):
    text = text_of(
        (
            "ids: 100-103",
            """ids: 100-103
    messages: 7
    link: {client: paho, in_flight: 5}
    sensors: {others: walk, wf: off}
    overrides:
      101: {interval: 2 s, link: {in_flight: 9}, sensors: {ph: {mode: constant, value: 7}}}
      102-103: {messages: 3, sensors: counter}""",
        )
    )
    by_id = {board.buoy_id: board for board in load(tmp_path, text).boards}
    assert [(board.messages, board.interval_ms) for board in by_id.values()] == [
        (7, 100.0),
        (7, 2000.0),
        (3, 100.0),
        (3, 100.0),
    ]
    assert by_id[100].link == LinkSpec(client="paho", in_flight=5)
    assert by_id[101].link == LinkSpec(client="paho", in_flight=9)
    modes = {number: {s.key: s.mode for s in board.sensors} for number, board in by_id.items()}
    assert modes[100] == {**dict.fromkeys(KEYS, "walk"), "wf": "off"}
    assert modes[101] == {**dict.fromkeys(KEYS, "walk"), "wf": "off", "ph": "constant"}
    assert modes[102] == dict.fromkeys(KEYS, "counter")


def test_constants_and_counters_take_their_numbers(tmp_path):
    constants = "ph: {mode: constant, value: 7}, liqlev: {mode: constant, value: true}"
    sensors = f"{{{constants}, do: {{mode: counter, base: 1.5}}}}"
    fleet = load(tmp_path, text_of(("ids: 100-103", f"ids: 100-103\n    sensors: {sensors}")))
    found = {sensor.key: sensor for sensor in fleet.boards[0].sensors}
    assert found["ph"] == SensorSpec("ph", "constant", value=7.0)
    assert found["liqlev"].value is True
    assert found["do"] == SensorSpec("do", "counter", base=1.5)
    assert found["ec"] == SensorSpec("ec", "counter")


def test_words_mean_what_they_mean_in_yaml_1_2(tmp_path):
    fleet = load(tmp_path, text_of(("ids: 100-103", "ids: 0100\n    sensors: {ph: off}")))
    assert fleet.boards[0].buoy_id == 100
    assert next(sensor for sensor in fleet.boards[0].sensors if sensor.key == "ph").mode == "off"


def test_anchors_and_merged_keys_work(tmp_path):
    text = text_of(
        (
            "  - kind: virtual\n    ids: 100-103\n",
            "  - &usual {kind: virtual, ids: 1, sensors: walk}\n  - {<<: *usual, ids: 2, messages: 5}\n",
        )
    )
    one, two = load(tmp_path, text).boards
    assert (two.buoy_id, two.messages, two.sensors) == (2, 5, one.sensors)


def test_a_broker_keeps_references_to_secrets_and_absolute_paths(tmp_path):
    target = """target:
  kind: broker
  host: broker.example
  tls: {ca: certs/ca.pem, certificate: "/keys/{thing}.pem", key: "/keys/{thing}.key"}
  username: bench
  password: ${file:broker}"""
    found = load(tmp_path, text_of(("target: local", target))).target
    assert (found.kind, found.host, found.port, found.username) == ("broker", "broker.example", 8883, "bench")
    assert found.password == SecretRef("file", "broker")
    assert found.tls is not None
    assert found.tls.ca == str(tmp_path / "certs/ca.pem")
    assert found.tls.certificate == "/keys/{thing}.pem"


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("broker", "127.0.0.1", 1883),
        ("mqtt://broker.example", "broker.example", 1883),
        ("mqtt://10.0.0.7:2883/", "10.0.0.7", 2883),
        ("'mqtt://[::1]:1884'", "::1", 1884),
    ],
)
def test_a_broker_can_be_a_word_or_an_address(target, host, port, tmp_path):
    found = load(tmp_path, text_of(("target: local", f"target: {target}"))).target
    assert (found.kind, found.host, found.port) == ("broker", host, port)


def test_faults_of_the_twin_are_read(tmp_path):
    faults = """target:
  kind: local
  twin:
    lambda_timeout: 3 s
    faults:
      - {stage: firehose, kind: altered, buoys: 100-101, messages: [3, 5-6], measures: ph, value: 99}
      - {stage: s3, kind: delayed, delay: 1500 ms}"""
    twin = load(tmp_path, text_of(("target: local", faults))).target.twin
    assert twin is not None
    assert twin.lambda_timeout_s == 3.0
    altered, delayed = twin.faults
    assert (altered.buoys, altered.messages, altered.measures, altered.value) == (
        (100, 101),
        (3, 5, 6),
        ("ph",),
        99.0,
    )
    assert (delayed.buoys, delayed.messages, delayed.seconds) == ((), (), 1.5)


def test_options_change_every_board(tmp_path):
    text = text_of(("ids: 100-103", "ids: 100-103\n    messages: 7\n    overrides: {101: {interval: 2 s}}"))
    fleet = load(
        tmp_path, text, Overrides(count=5, interval="1 s", boards="101,103", seed=9, duration="1 min")
    )
    assert [(board.buoy_id, board.messages, board.interval_ms) for board in fleet.boards] == [
        (101, 5, 1000.0),
        (103, 5, 1000.0),
    ]
    assert (fleet.run.seed, fleet.run.duration_s) == (9, 60.0)


def test_flat_out_takes_the_pace_away(tmp_path):
    assert {board.interval_ms for board in load(tmp_path, GOOD, Overrides(flat_out=True)).boards} == {None}


def test_an_option_can_supply_what_the_file_lacks(tmp_path):
    text = text_of(("  messages: 100\n", ""), ("  rate: 10/s\n", "  qos: 0\n"))
    fleet = load(tmp_path, text, Overrides(count="3", rate="2/s"))
    assert {(board.messages, board.interval_ms) for board in fleet.boards} == {(3, 500.0)}


def test_an_option_can_end_a_run_that_has_no_end(tmp_path):
    fleet = load(tmp_path, text_of(("  messages: 100\n", "")), Overrides(duration="1 min"))
    assert (fleet.boards[0].messages, fleet.run.duration_s) == (None, 60.0)


def test_another_target_leaves_its_missing_stores_thresholds_out_and_says_so(project_root):
    fleet = load_fleet(project_root / "boards.yaml", Overrides(target="broker"))
    assert fleet.target.kind == "broker"
    texts = [threshold.text for threshold in fleet.thresholds]
    assert not [text for text in texts if text.startswith(("timestream", "s3"))]
    assert "send.unacknowledged == 0" in texts
    [note] = fleet.notes
    assert "timestream.missing == 0" in note
    assert "s3.altered == 0" in note


def test_a_target_word_keeps_the_settings_that_the_file_has_for_it(tmp_path):
    text = text_of(("target: local", "target: {kind: broker, host: broker.example}"))
    assert load(tmp_path, text, Overrides(target="broker")).target.host == "broker.example"
    assert load(tmp_path, text, Overrides(target="mqtt://other")).target.host == "other"
    assert load(tmp_path, text, Overrides(target="local")).target.kind == "local"


def test_a_hundred_thousand_boards_load(tmp_path):
    assert len(load(tmp_path, text_of(("100-103", "0-99999"))).boards) == 100_000


def test_what_a_sensor_can_be_is_what_the_catalog_knows():
    assert set(SENSOR_MODES) <= set(MODES)


# Files


def one_problem(path: Path) -> tuple[int, str, str]:
    with pytest.raises(ConfigurationError) as caught:
        load_fleet(path)
    assert caught.value.exit_code is ExitCode.USAGE
    [problem] = caught.value.problems
    assert problem.file == str(path)
    return problem.line, problem.message, problem.hint


def test_a_missing_file_names_those_that_are_there(tmp_path):
    (tmp_path / "boards.yaml").write_text(GOOD)
    (tmp_path / "secrets.yaml").write_text("a: b")
    found = one_problem(tmp_path / "board.yaml")
    assert found == (0, "there is no such file", f"{tmp_path} has boards.yaml")


def test_a_missing_folder_is_said(tmp_path):
    found = one_problem(tmp_path / "no" / "boards.yaml")
    assert found == (0, "there is no such file", f"there is no folder {tmp_path / 'no'} either")


def test_a_folder_is_no_fleet_file(tmp_path):
    assert one_problem(tmp_path)[:2] == (0, "this is a folder")


def test_a_file_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    path = tmp_path / "fleet.yaml"
    path.write_text(GOOD)

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert one_problem(path) == (0, "this user may not read the file", f"chmod u+r {path}")


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~\n"])
def test_an_empty_file_is_said(text, tmp_path):
    [problem] = problems_of(tmp_path, text)
    assert (problem.line, problem.message) == (0, "the file is empty")


@pytest.mark.parametrize(
    ("text", "what"), [("- a\n- b\n", "a list"), ("harbour\n", "'harbour'"), ("5\n", "5")]
)
def test_a_file_that_is_no_mapping_is_said(text, what, tmp_path):
    [problem] = problems_of(tmp_path, text)
    assert (problem.line, problem.message) == (1, f"{what} stands where keys are expected")


def test_text_that_is_not_utf_8_is_said_with_its_line(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_bytes("fleet: a\n# übung\n".encode("latin-1"))
    assert one_problem(path) == (2, "the byte 0xFC is not UTF-8", "save the file as UTF-8")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_fleet(path).name == "harbour"


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_bytes(b"#" * (5 << 20))
    assert one_problem(path)[:2] == (0, "the file is larger than 4 MiB, which no fleet needs")


def test_waters_are_the_simulations(tmp_path):
    assert list(WATERS) == list(SCENARIOS)
    fleet = load(
        tmp_path, text_of(("rate: 10/s", "rate: 1/s\n  water: storm"), ("103", "103\n    sensors: hardware"))
    )
    assert fleet.run.water == "storm"
    assert {sensor.mode for sensor in fleet.boards[0].sensors} == {"hardware"}


def test_what_the_loader_accepts_can_be_made():
    assert set(KINDS) == set(kinds._MAKERS)
    assert set(TARGETS) == set(targets._MAKERS)


def test_limits_of_the_command_line_come_before_those_of_the_file(tmp_path):
    text = text_of(
        ("target: local", "target: {kind: local, twin: {limits: {publishes_in: 9/s, replay: 5/s}}}")
    )
    options = ("publishes_in=7/s", "bytes_in=lifted", "shard_records=1/min", "qos2_silent=false")
    twin = load(tmp_path, text, Overrides(limits=options)).target.twin
    assert twin is not None
    assert {setting.name: setting.value for setting in twin.limits} == {
        "publishes_in_per_s": 7,
        "replay_per_s": 5,
        "bytes_in_per_s": None,
        "shard_records_per_s": 1 / 60,
        "qos2_silent": False,
    }
    assert load(tmp_path, GOOD, Overrides(limits=("session=1 min",))).target.twin is not None


def test_limits_of_the_command_line_are_checked_all_at_once(tmp_path):
    lines = lines_of(
        tmp_path, GOOD, Overrides(limits=("publish=1", "payload_bytes=0", "keep_alive_max=20 s"))
    )
    assert lines == [
        "command line: --limit: 'publish=1' is no limit; write NAME=VALUE "
        "(did you mean `publishes_in=VALUE`?)",
        "command line: --limit payload_bytes: 0 is too small; write a whole number from 1 to 268435455",
        "command line: --limit: keep-alive from 30 to 20 s",
    ]
    broker = text_of(("target: local", "target: mqtt://broker.example"))
    (line,) = lines_of(tmp_path, broker, Overrides(limits=("replay=1/s",)))
    assert "only a twin that the run starts has limits" in line
