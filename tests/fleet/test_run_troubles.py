"""`buoy run` when something goes wrong on the way: the verdict names exactly that."""

import json
import re
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from run_bench import Run, buoy, fleet_text, only_folder, result_of

from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.runs.preflight import check_machine

pytestmark = pytest.mark.timeout(600)

FAULTS = [
    {"stage": "kinesis", "kind": "lost", "buoys": 100, "messages": 7},
    {"stage": "timestream", "kind": "lost", "buoys": 101, "messages": 3},
    {"stage": "s3", "kind": "duplicated", "buoys": 102, "messages": 4},
    {"stage": "timestream", "kind": "altered", "buoys": 103, "messages": 5, "measures": "ph", "value": 1.5},
    {"stage": "s3", "kind": "delayed", "buoys": 104, "messages": 6, "delay": "20 min"},
    {"stage": "timestream", "kind": "retyped", "buoys": 100, "messages": 9, "measures": "temp"},
]
ALL_NINE = {"do", "ec", "liqlev", "ph", "tds", "tbd", "wf", "wp", "temp"}


def test_rehearsed_faults_are_found_exactly_no_more_and_no_fewer(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text(target_section={"kind": "local", "twin": {"faults": FAULTS}}))
    out = tmp_path / "runs"
    run = buoy("run", str(fleet_file), "--out", str(out))
    assert run.process.returncode == ExitCode.VERDICT_FAILED, run.out + run.err
    result = result_of(out)
    found = {
        (loss["store"], loss["kind"], loss["buoy_id"], loss["seq"]): set(loss["measures"])
        for loss in result["losses"]
    }
    assert found == {
        ("s3", "missing", 100, 7): ALL_NINE,
        ("timestream", "missing", 101, 3): ALL_NINE,
        ("s3", "duplicated", 102, 4): ALL_NINE,
        ("timestream", "altered", 103, 5): {"ph"},
        ("s3", "late", 104, 6): ALL_NINE,
        ("timestream", "missing", 100, 9): {"temp"},
    }
    stages = {(one["store"], one["kind"]): one["stage"] for one in result["losses"] if one["buoy_id"] != 100}
    assert stages["timestream", "missing"] == "timestream"
    assert stages["timestream", "altered"] == "timestream"
    assert any("type" in one["cause"] for one in result["losses"] if one["seq"] == 9)
    assert result["losses_total"] == 6


@pytest.mark.soak
def test_a_full_disk_is_named_on_every_board_and_nothing_unrecorded_is_sent(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text(run={"messages": 2000, "interval": "5 ms"}))
    out = tmp_path / "runs"

    def limit_file_size() -> None:
        # Fails writes as a full disk does, without filling one.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    run = Run("run", str(fleet_file), "--out", str(out), before=limit_file_size)
    code = run.finish()
    assert code in (ExitCode.BOARDS_FAILED, ExitCode.VERDICT_FAILED), run.out + run.err
    result = result_of(out)
    assert all("ledger could not be written" in board["errors"][0] for board in result["boards"])
    assert all(store["unexpected"] == 0 for store in result["stores"])
    assert "Traceback" not in run.err


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[str]:
    """The control address of a twin that runs by itself."""
    run = Run("twin", "--port", "0", "--control-port", "0", "--folder", str(tmp_path / "twin"), "--json")
    try:
        assert run.process.stdout is not None
        ready = json.loads(run.process.stdout.readline())
        yield f"{ready['host']}:{ready['control_port']}"
    finally:
        run.process.send_signal(signal.SIGINT)
        run.finish(300)


def test_a_second_run_into_the_same_store_is_not_confused_by_the_first(tmp_path: Path, twin: str) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text(target_section={"kind": "local", "attach": twin}))
    results: list[dict[str, Any]] = []
    for name in ("first", "second"):
        run = buoy("run", str(fleet_file), "--out", str(tmp_path / name))
        assert run.process.returncode == ExitCode.OK, run.out + run.err
        results.append(result_of(tmp_path / name))
    for result in results:
        for store in result["stores"]:
            assert store["expected"] == store["found"] == 900
            assert store["unexpected"] == store["duplicated"] == 0
    # Verified again after the second, the first is what it was: its stores are read anew, not its counters.
    first = only_folder(tmp_path / "first")
    for part in first.glob("stores/*/*.parquet"):
        part.unlink()
    again = buoy("verify", str(first))
    assert again.process.returncode == ExitCode.OK, again.out + again.err
    assert "read again: timestream, s3" in again.out + again.err
    result = result_of(tmp_path / "first")
    assert len(result["run"].pop("verified_again_ns")) == 1
    for part in ("boards", "stores", "stages", "thresholds", "diagnoses"):
        assert result[part] == results[0][part]


def test_an_unwritable_place_for_runs_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text())
    (tmp_path / "file").write_text("not a folder")
    run = buoy("run", str(fleet_file), "--out", str(tmp_path / "file" / "runs"))
    assert run.process.returncode in (ExitCode.USAGE, ExitCode.PREFLIGHT), run.out + run.err
    assert "--out" in run.err


def test_too_few_descriptors_are_a_preflight_failure_with_the_command_to_type(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text(ids="1-500"))

    def few_descriptors() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    run = Run("run", str(fleet_file), "--out", str(tmp_path / "runs"), before=few_descriptors)
    assert run.finish() == ExitCode.PREFLIGHT, run.out + run.err
    assert re.search(r"ulimit -\w*n 659", run.err)


def test_a_twin_of_many_boards_keeps_descriptors_for_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 19,800 boards and a limit of 20,000: the twin refused boards, and its functions found no file to open.
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (20_000, 20_000))
    found = {}
    for boards in (18_600, 19_800):
        path = tmp_path / f"{boards}.yaml"
        path.write_text(fleet_text(ids=f"1-{boards}"))
        checks = check_machine(load_fleet(path), tmp_path, boards)
        found[boards] = {check.name: check.passed for check in checks}["descriptors"]
    assert found == {18_600: True, 19_800: False}


def test_a_report_can_be_made_again_from_the_folder(tmp_path: Path) -> None:
    fleet_file = tmp_path / "boards.yaml"
    fleet_file.write_text(fleet_text(run={"messages": 3}))
    out = tmp_path / "runs"
    assert buoy("run", str(fleet_file), "--out", str(out)).process.returncode == ExitCode.OK
    page = only_folder(out) / "report.html"
    page.unlink()
    run = buoy("report", str(only_folder(out)))
    assert run.process.returncode == ExitCode.OK, run.out + run.err
    assert page.exists()
    # The twin ended with the run: what it left is verified as before.
    again = buoy("verify", str(only_folder(out)))
    assert again.process.returncode == ExitCode.OK, again.out + again.err
    assert "nothing outlives a run" in again.out + again.err
    assert result_of(out)["run"]["verified_again_ns"]
