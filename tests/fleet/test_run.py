"""`buoy run` from the command line to the verdict, against the local twin."""

import json
import os
import signal
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from run_bench import buoy, fleet_text, only_folder, process_of, processes_of, result_of, under_way, until

from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.result import Result

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def fleet_file(tmp_path: Path) -> Path:
    path = tmp_path / "boards.yaml"
    path.write_text(fleet_text())
    return path


def stores(result: dict[str, Any], field: str) -> dict[str, int]:
    return {store["name"]: store[field] for store in result["stores"]}


def test_the_original_scenario_flat_out_accounts_for_all_27_000_measures(tmp_path: Path) -> None:
    run = buoy("run", "--flat-out", "--out", str(tmp_path))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    result = result_of(tmp_path)
    assert stores(result, "expected") == {"timestream": 27000, "s3": 27000}
    assert stores(result, "found") == {"timestream": 27000, "s3": 27000}
    assert all(
        count == 0
        for field in ("missing", "duplicated", "altered", "late", "unexpected")
        for count in stores(result, field).values()
    )
    assert [board["state"] for board in result["boards"]] == ["passed"] * 30
    assert result["witness"]["seen"] == 3000
    assert "27,000" in run.out
    assert str(only_folder(tmp_path)) in run.out


def test_a_paced_run_leaves_a_folder_with_everything_and_nothing_running(
    fleet_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    folder = only_folder(out)
    names = {path.name for path in folder.iterdir()}
    assert {"fleet.yaml", "ledger", "ledger.parquet", "logs", "stores", "evidence"} <= names
    assert {"result.json", "report.html", "junit.xml"} <= names
    Result.model_validate_json((folder / "result.json").read_text())
    assert ElementTree.parse(folder / "junit.xml").getroot().tag == "testsuites"
    assert processes_of(folder) == []
    result = result_of(out)
    assert result["run"]["paced"] is True
    assert result["ack_latency"]["count"] == 100


def test_json_output_is_the_result_alone(fleet_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out), "--json")
    assert json.loads(run.out) == result_of(out)


def test_quiet_output_is_one_line(fleet_file: Path, tmp_path: Path) -> None:
    run = buoy("run", str(fleet_file), "--out", str(tmp_path / "runs"), "--quiet")
    assert len(run.out.strip().splitlines()) == 1
    assert run.err == ""


def test_options_change_what_runs(fleet_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    run = buoy(
        "run",
        str(fleet_file),
        "--out",
        str(out),
        "--boards",
        "101,103",
        "--count",
        "3",
        "--interval",
        "10 ms",
    )
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    result = result_of(out)
    assert [board["buoy_id"] for board in result["boards"]] == [101, 103]
    assert stores(result, "expected")["s3"] == 2 * 3 * 9


def test_original_payloads_paced_pass_and_the_verdict_says_what_is_decidable(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    # Far apart: two messages of a buoy that are processed within a millisecond would collide.
    fleet_file.write_text(fleet_text(run={"payload": "original", "messages": 6, "interval": "250 ms"}))
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    assert all(store["decidable"] for store in result_of(out)["stores"])


def test_original_payloads_flat_out_fail_and_collisions_are_named_as_the_cause(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text(run={"payload": "original", "messages": 200}))
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--flat-out", "--out", str(out))
    assert run.process.returncode == ExitCode.VERDICT_FAILED, run.out + run.err
    result = result_of(out)
    assert stores(result, "missing")["timestream"] > 0
    assert stores(result, "missing")["s3"] == 0
    (diagnosis,) = [one for one in result["diagnoses"] if one["store"] == "timestream"]
    assert "collision" in diagnosis["cause"]
    assert diagnosis["measures"] == stores(result, "missing")["timestream"]


def test_boards_linked_by_paho_pass_as_well(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text(group={"link": "paho"}))
    run = buoy("run", str(fleet_file), "--out", str(tmp_path / "runs"))
    assert run.process.returncode == ExitCode.OK, run.out + run.err


def test_walking_sensors_arrive_with_their_values(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text(group={"sensors": "walk"}))
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out), "--seed", "7")
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    assert result_of(out)["run"]["seed"] == 7


def test_ctrl_c_once_verifies_what_was_sent(fleet_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    with under_way("run", str(fleet_file), "--count", "2000", out=out) as run:
        run.process.send_signal(signal.SIGINT)
        assert run.finish() == ExitCode.INTERRUPTED, run.out + run.err
    result = result_of(out)
    assert result["run"]["interrupted"] is True
    assert 0 < stores(result, "expected")["s3"] < 5 * 2000 * 9
    assert stores(result, "missing") == {"timestream": 0, "s3": 0}
    assert processes_of(only_folder(out)) == []


def test_ctrl_c_twice_stops_at_once_and_leaves_nothing_running(fleet_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    with under_way("run", str(fleet_file), "--count", "2000", out=out) as run:
        folder = only_folder(out)
        run.process.send_signal(signal.SIGINT)
        # The first one must have been taken, or the system may merge the two.
        until(lambda: "SigCgt" in Path(f"/proc/{run.process.pid}/status").read_text(), "the process is there")
        run.process.send_signal(signal.SIGINT)
        code = run.finish(300)
    assert code == ExitCode.INTERRUPTED, run.out + run.err
    until(lambda: processes_of(folder) == [], "nothing is left running")
    assert list(folder.glob("ledger/*.arrows"))


def test_a_twin_killed_in_mid_run_is_told_and_what_was_sent_stays(fleet_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    with under_way("run", str(fleet_file), "--count", "2000", out=out) as run:
        folder = only_folder(out)
        os.kill(process_of(folder, "buoyfleet.cloud.local.server"), signal.SIGKILL)
        assert run.finish() == ExitCode.VERDICT_FAILED, run.out + run.err
    assert "twin" in run.out
    assert "SIGKILL" in run.out
    result = result_of(out)
    assert stores(result, "expected")["timestream"] > 0
    assert "Traceback" not in run.err
    assert processes_of(folder) == []


def test_a_killed_pack_fails_its_boards_and_keeps_its_ledger(fleet_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    with under_way("run", str(fleet_file), "--count", "2000", out=out) as run:
        folder = only_folder(out)
        os.kill(process_of(folder, "buoyfleet.boards.pack"), signal.SIGKILL)
        code = run.finish()
    assert code == ExitCode.BOARDS_FAILED, run.out + run.err
    result = result_of(out)
    assert [board["state"] for board in result["boards"]] == ["failed"] * 5
    assert all("SIGKILL" in " ".join(board["errors"]) for board in result["boards"])
    assert stores(result, "expected")["timestream"] > 0
    assert stores(result, "missing")["timestream"] == 0


def test_a_target_nobody_listens_on_is_a_preflight_failure_and_leaves_no_folder(
    tmp_path: Path, free_port: int
) -> None:
    fleet_file = tmp_path / "boards.yaml"
    section = {"kind": "broker", "host": "127.0.0.1", "port": free_port}
    fleet_file.write_text(fleet_text(target="broker", target_section=section))
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out))
    assert run.process.returncode == ExitCode.PREFLIGHT, run.out + run.err
    assert str(free_port) in run.err
    assert not out.exists() or not list(out.iterdir())


def test_a_bad_fleet_file_is_a_usage_error(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text(run={"messages": -5}))
    run = buoy("run", str(fleet_file), "--out", str(tmp_path / "runs"))
    assert run.process.returncode == ExitCode.USAGE
    assert "messages" in run.err


def test_no_secret_is_left_in_the_run_folder(tmp_path: Path, mosquitto: Any) -> None:
    fleet_file = tmp_path / "boards.yaml"
    section = {
        "kind": "broker",
        "host": "127.0.0.1",
        "port": mosquitto.port,
        "username": "fleet",
        "password": "${env:BUOY_TEST_PASSWORD}",
    }
    fleet_file.write_text(fleet_text(target="broker", target_section=section))
    secret = "correct-horse-battery-staple"
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out), environment={"BUOY_TEST_PASSWORD": secret})
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    found = [
        path
        for path in only_folder(out).rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert found == []
    assert secret not in run.out + run.err


def test_every_message_arrives_at_a_broker_with_nothing_behind_it(tmp_path: Path, mosquitto: Any) -> None:
    fleet_file = tmp_path / "boards.yaml"
    section = {"kind": "broker", "host": "127.0.0.1", "port": mosquitto.port}
    fleet_file.write_text(fleet_text(target="broker", target_section=section))
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    assert result_of(out)["witness"]["seen"] == 100


def test_a_lambda_timeout_is_found_and_named_with_figures(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    section = {"kind": "local", "twin": {"lambda_timeout": "50 ms"}}
    fleet_file.write_text(fleet_text(target_section=section))
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out))
    assert run.process.returncode == ExitCode.VERDICT_FAILED, run.out + run.err
    result = result_of(out)
    assert stores(result, "missing")["timestream"] == 0
    assert stores(result, "missing")["s3"] > 0
    (diagnosis,) = [one for one in result["diagnoses"] if one["store"] == "s3"]
    assert diagnosis["stage"] == "lambda"
    assert "timeout" in diagnosis["cause"]
