"""A plain broker is judged by what an independent subscriber saw: whole runs, and the exit code."""

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_broker import HostileBroker
from run_bench import result_of

from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.mqtt.codec import Publish
from buoyfleet.runs.run_fleet import RunOptions, run_fleet

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def _short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buoyfleet.mqtt.witness._PROOF_QUIET_S", 0.5)


def judged(tmp_path: Path, port: int, **run: Any) -> dict[str, Any]:
    """Run four boards with five messages each against a broker; the result, with its exit code checked."""
    fleet = {
        "fleet": "probe",
        "target": f"mqtt://127.0.0.1:{port}",
        "run": {"messages": 5, "rate": "50/s", "start_spread": "20 ms", "late_send": "5 s", **run},
        "boards": [{"kind": "virtual", "ids": "100-103"}],
    }
    path = tmp_path / "boards.yaml"
    path.write_text(json.dumps(fleet))
    out = tmp_path / "runs"
    code = run_fleet(load_fleet(path, connects=True), RunOptions(out)).exit_code
    result = result_of(out)
    assert result["outcome"]["exit_code"] == code
    return result


def states(result: dict[str, Any]) -> dict[int, str]:
    return {board["buoy_id"]: board["state"] for board in result["boards"]}


def everything(_number: int, message: Publish) -> list[bytes]:
    return [message.payload]


def test_a_board_that_an_acl_silences_is_named_and_the_others_pass(
    start_mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    acl = tmp_path / "broker.acl"
    written = [f"topic write aws/0/{buoy}/data/" for buoy in (100, 101, 103)]
    acl.write_text("\n".join([*written, "topic read aws/0/#", ""]))
    result = judged(tmp_path, start_mosquitto([f"acl_file {acl}"], usual_queues=True).port)
    assert states(result) == {100: "passed", 101: "passed", 102: "failed", 103: "passed"}
    assert result["outcome"]["verdict"] == "failed"
    assert result["outcome"]["exit_code"] == ExitCode.VERDICT_FAILED
    assert result["boards"][2]["errors"] == ["the subscriber saw none of its 5 messages"]


@pytest.mark.parametrize(
    "lines", [["message_size_limit 120"], ["acl_file {folder}/write_only"]], ids=["size", "may-not-read"]
)
def test_a_broker_of_which_the_subscriber_sees_nothing_proves_nothing(
    lines: list[str], start_mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "write_only").write_text("topic write #\n")
    broker = start_mosquitto([line.format(folder=tmp_path) for line in lines], usual_queues=True)
    result = judged(tmp_path, broker.port)
    assert set(states(result).values()) == {"unproven"}
    assert result["outcome"]["verdict"] == "unproven"
    assert result["outcome"]["exit_code"] == ExitCode.VERDICT_FAILED


def swallows(_number: int, message: Publish) -> list[bytes]:
    return [message.payload] if message.qos else []


def repeats_one(number: int, message: Publish) -> list[bytes]:
    return [message.payload] * (2 if number == 7 else 1)


def alters_one(number: int, message: Publish) -> list[bytes]:
    return [message.payload.replace(b'"ph":', b'"pH":') if number == 7 else message.payload]


@pytest.mark.parametrize(
    ("deliver", "qos", "fault", "measures", "troubled", "verdict"),
    [
        (everything, 1, "missing", 0, 0, "passed"),
        (everything, 0, "missing", 0, 0, "passed"),
        (swallows, 0, "missing", 180, 4, "unproven"),
        (repeats_one, 1, "duplicated", 9, 1, "failed"),
        (alters_one, 1, "unexpected", 1, 1, "failed"),
    ],
)
def test_what_a_broker_does_behind_its_acknowledgement_is_found(
    deliver: Callable[[int, Publish], list[bytes]],
    qos: int,
    fault: str,
    measures: int,
    troubled: int,
    verdict: str,
    tmp_path: Path,
) -> None:
    with HostileBroker(deliver).running() as port:
        result = judged(tmp_path, port, qos=qos)
    (store,) = result["stores"]
    assert (store["name"], store[fault]) == ("subscriber", measures)
    assert sum(state != "passed" for state in states(result).values()) == troubled
    assert result["outcome"]["verdict"] == verdict
    assert (result["outcome"]["exit_code"] == ExitCode.OK) == (verdict == "passed")


def loses_one_percent(number: int, message: Publish) -> list[bytes]:
    return [] if number == 7 else [message.payload]


def has_a_full_queue() -> Callable[[int, Publish], list[bytes]]:
    """As mosquitto towards a subscriber that is too slow (`max_queued_messages`): some of every board."""
    number = Counter[bytes]()

    def deliver(_number: int, message: Publish) -> list[bytes]:
        number[message.topic] += 1
        return [] if number[message.topic] in (2, 3) else [message.payload]

    return deliver


def takes_out_a_measure(_number: int, message: Publish) -> list[bytes]:
    return [json.dumps({k: v for k, v in json.loads(message.payload).items() if k != "ph"}).encode()]


def takes_out_a_measure_of_one(number: int, message: Publish) -> list[bytes]:
    return takes_out_a_measure(number, message) if number == 7 else [message.payload]


def changes_a_value(number: int, message: Publish) -> list[bytes]:
    values = json.loads(message.payload)
    return [json.dumps({**values, "ph": values["ph"] + 0.5}).encode() if number == 7 else message.payload]


def writes_json_its_own_way(_number: int, message: Publish) -> list[bytes]:
    return [json.dumps(dict(reversed(json.loads(message.payload).items())), indent=1).encode()]


def delivers_others(later_ms: int) -> Callable[[int, Publish], list[bytes]]:
    """With one message another of the same buoy, from so much later or earlier."""

    def deliver(number: int, message: Publish) -> list[bytes]:
        values = json.loads(message.payload)
        values["timestamp"] += later_ms
        return [message.payload, *([json.dumps(values).encode()] if number == 7 else [])]

    return deliver


def confuses_topics(_number: int, message: Publish) -> list[Publish]:
    topic = b"aws/0/103/data/" if b"/102/" in message.topic else message.topic
    return [Publish(topic, message.payload, 0)]


def reorders() -> Callable[[int, Publish], list[Publish]]:
    """Every message but the last waits for the next one."""
    kept: list[Publish] = []

    def deliver(_number: int, message: Publish) -> list[Publish]:
        kept.insert(0, message)
        if len(kept) < 2:
            return []
        out, kept[:] = list(kept), []
        return out

    return deliver


@pytest.mark.parametrize("payload", ["stamped", pytest.param("original", marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("deliver", "verdict", "cause", "troubled"),
    [
        (loses_one_percent, "failed", {"not-seen"}, 1),
        (has_a_full_queue, "unproven", {"all-short"}, 4),
        (takes_out_a_measure, "failed", {"measure-lost"}, 4),
        (takes_out_a_measure_of_one, "failed", {"measure-lost"}, 1),
        (confuses_topics, "failed", {"wrong-topic"}, 2),
        (reorders, "passed", set(), 0),
        (writes_json_its_own_way, "passed", set(), 0),
    ],
)
def test_each_unkindness_of_a_broker_has_its_verdict_and_its_cause(
    deliver: Callable[..., Any],
    verdict: str,
    cause: set[str],
    troubled: int,
    payload: str,
    tmp_path: Path,
) -> None:
    if deliver in (has_a_full_queue, reorders):
        deliver = deliver()  # it remembers
    with HostileBroker(deliver).running() as port:
        result = judged(tmp_path, port, payload=payload)
    assert {diagnosis["cause"] for diagnosis in result["diagnoses"]} == cause
    assert result["outcome"]["verdict"] == verdict
    assert (result["outcome"]["exit_code"] == ExitCode.OK) == (verdict == "passed")
    assert sum(state != "passed" for state in states(result).values()) == troubled


@pytest.mark.parametrize(
    ("deliver", "verdict", "cause"),
    [
        (changes_a_value, "failed", {"altered"}),
        (delivers_others(later_ms=700), "failed", {"unexplained"}),
        (delivers_others(later_ms=-3_600_000), "passed", set()),
    ],
    ids=["altered", "other-fleet", "earlier-run"],
)
def test_timestamps_show_what_is_changed_foreign_or_of_an_earlier_run(
    deliver: Callable[[int, Publish], list[bytes]], verdict: str, cause: set[str], tmp_path: Path
) -> None:
    with HostileBroker(deliver).running() as port:
        result = judged(tmp_path, port)
    assert {diagnosis["cause"] for diagnosis in result["diagnoses"]} == cause
    assert result["outcome"]["verdict"] == verdict


def test_a_subscription_that_is_refused_leaves_the_run_unproven(tmp_path: Path) -> None:
    with HostileBroker(everything, suback=0x80).running() as port:
        result = judged(tmp_path, port)
    assert result["outcome"]["verdict"] == "unproven"
    assert result["diagnoses"][0]["cause"] == "subscription-refused"


def test_what_was_sent_while_the_subscriber_was_cut_off_is_not_proven(tmp_path: Path) -> None:
    with HostileBroker(everything, cut_after=3).running() as port:
        result = judged(tmp_path, port)
    (store,) = result["stores"]
    assert store["missing"] == store["unproven"] > 0
    assert result["outcome"]["verdict"] == "unproven"
    assert "subscriber-away" in {diagnosis["cause"] for diagnosis in result["diagnoses"]}


@pytest.mark.soak
def test_a_broker_that_takes_its_time_with_one_board_lost_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("buoyfleet.mqtt.witness._PROOF_QUIET_S", 30.0)
    late = HostileBroker(everything, delay_s=lambda topic: 5.0 if b"/102/" in topic else 0.0)
    with late.running() as port:
        result = judged(tmp_path, port)
    assert result["outcome"]["verdict"] == "passed"


@pytest.mark.soak
def test_a_sensor_that_a_retained_configuration_turns_off_withholds_nothing(
    start_mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    broker = start_mosquitto([], usual_queues=True)
    off = json.dumps({"ph": {"disable": True}})
    command = [
        broker.pub,
        "-p",
        str(broker.port),
        "-r",
        "-q",
        "1",
        "-t",
        "aws/0/102/config/sensor/",
        "-m",
        off,
    ]
    subprocess.run(command, check=True, timeout=60)
    result = judged(tmp_path, broker.port)
    assert result["outcome"]["verdict"] == "passed"
    assert result["boards"][2]["left_out"] == [[0, ["ph"]]]
    (store,) = result["stores"]
    assert (store["expected"], store["withheld"]) == (4 * 5 * 9 - 5, 0)


@pytest.mark.soak
def test_a_broker_that_is_restarted_in_mid_run_leaves_no_false_verdict(
    start_mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    broker = start_mosquitto([], usual_queues=True)

    def restart() -> None:
        seen = (tmp_path / "runs").glob("*/evidence/witness.arrows")
        while not any(path.stat().st_size > 4000 for path in seen):
            time.sleep(0.01)
            seen = (tmp_path / "runs").glob("*/evidence/witness.arrows")
        broker.stop()
        broker.start()

    thread = threading.Thread(target=restart, daemon=True)
    thread.start()
    result = judged(tmp_path, broker.port, messages=150, rate="50/s", late_send="30 s")
    thread.join(60)
    (store,) = result["stores"]
    assert store["missing"] == store["unproven"]
    assert result["outcome"]["verdict"] == ("unproven" if store["missing"] else "passed")
    assert {diagnosis["cause"] for diagnosis in result["diagnoses"]} <= {"subscriber-away", "late-send"}
