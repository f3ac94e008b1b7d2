"""`buoy report` makes the reports again, finds the run that is meant and says what is wrong with it."""

import errno
import json
import os
from pathlib import Path

import pytest
import run_results

from buoyfleet.cli.report import report
from buoyfleet.model.errors import PreflightError, UsageError
from buoyfleet.model.result import Result
from buoyfleet.report import files
from buoyfleet.report.load import find_run, read_result
from buoyfleet.report.write import write_reports


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs; the second is the latest."""
    folder = tmp_path / "runs"
    for number, name in enumerate(("20261123T101500Z-original", "20261123T231737Z-original")):
        (folder / name).mkdir(parents=True)
        write_reports(run_results.passed(boards=2, messages=3), folder / name)
        os.utime(folder / name / "result.json", (1000 + number, 1000 + number))
    return folder


def test_a_result_comes_back_as_it_was(tmp_path):
    for make in (run_results.lost, run_results.hostile, run_results.interrupted):
        result = make()
        write_reports(result, tmp_path)
        assert read_result(tmp_path) == result


def test_reports_are_made_again_and_the_result_is_left_alone(runs, capsys):
    folder = runs / "20261123T101500Z-original"
    before = (folder / "result.json").stat().st_mtime_ns
    page = (folder / "report.html").read_text()
    for name in ("report.html", "junit.xml"):
        (folder / name).unlink()
    report(str(folder), runs)
    assert (folder / "report.html").read_text() == page
    assert (folder / "junit.xml").exists()
    assert (folder / "result.json").stat().st_mtime_ns == before
    assert capsys.readouterr().out.startswith("✓ passed")


def test_json_prints_the_result_and_nothing_else(runs, capsys):
    report("latest", runs, json=True)
    printed = capsys.readouterr().out
    assert Result.model_validate_json(printed) == run_results.passed(boards=2, messages=3)


def test_quiet_prints_one_line(runs, capsys):
    report("latest", runs, quiet=True)
    assert capsys.readouterr().out.count("\n") == 1


def test_latest_is_the_run_that_ended_last(runs):
    assert find_run("latest", runs).name == "20261123T231737Z-original"
    os.utime(runs / "20261123T101500Z-original" / "result.json", (9000, 9000))
    assert find_run("latest", runs).name == "20261123T101500Z-original"


def test_latest_passes_over_runs_without_a_result(runs):
    (runs / "20261124T000000Z-original").mkdir()
    assert find_run("latest", runs).name == "20261123T231737Z-original"


def test_the_beginning_of_a_name_or_path_is_enough(runs, monkeypatch):
    assert find_run("20261123T10", runs).name == "20261123T101500Z-original"
    assert find_run(str(runs / "20261123T23"), Path("elsewhere")).name == "20261123T231737Z-original"
    monkeypatch.chdir(runs.parent)
    assert find_run("runs/20261123T10", Path("runs")).name == "20261123T101500Z-original"


def test_a_result_file_means_its_run(runs):
    folder = runs / "20261123T101500Z-original"
    assert find_run(str(folder / "result.json"), runs) == folder


def test_a_beginning_of_several_runs_names_them(runs):
    with pytest.raises(
        UsageError, match="beginning of 2 runs: 20261123T101500Z-original, 20261123T231737Z-original"
    ):
        find_run("20261123T", runs)


def test_a_name_of_nothing_says_what_there_is(runs):
    with pytest.raises(UsageError) as caught:
        find_run("2025", runs)
    assert "there is no run '2025'" in str(caught.value)
    assert "20261123T231737Z-original" in caught.value.cause


def test_latest_of_nothing_says_what_to_type(tmp_path):
    with pytest.raises(UsageError) as caught:
        find_run("latest", tmp_path / "runs")
    assert "buoy run" in caught.value.next_step


def test_a_folder_of_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not the folder of a run"):
        read_result(tmp_path)


def test_a_run_that_was_killed_before_its_verdict_says_where_its_data_is(tmp_path):
    (tmp_path / "ledger").mkdir()
    with pytest.raises(UsageError) as caught:
        read_result(tmp_path)
    assert "ended before its verdict" in caught.value.cause
    assert caught.value.next_step == f"buoy verify {tmp_path}"


def changed(runs: Path, **changes: object) -> Path:
    folder = runs / "20261123T101500Z-original"
    path = folder / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def test_a_result_of_a_newer_version_asks_for_an_update(runs):
    with pytest.raises(UsageError) as caught:
        read_result(changed(runs, schema_version=2, new_field={}))
    assert "schema version 2; this buoyfleet reads up to 1" in str(caught.value)
    assert "update buoyfleet" in caught.value.next_step


def test_a_field_of_the_wrong_kind_is_named(runs):
    with pytest.raises(UsageError, match=r"losses_total: .*integer"):
        read_result(changed(runs, losses_total="many"))


def test_a_list_in_place_of_a_result_is_refused(runs):
    folder = changed(runs)
    (folder / "result.json").write_text("[]")
    with pytest.raises(UsageError, match="no result of a run"):
        read_result(folder)


@pytest.mark.parametrize("damage", [b"", b'{"schema_version": 1,', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_result_is_a_message(runs, damage):
    folder = changed(runs)
    (folder / "result.json").write_bytes(damage)
    with pytest.raises(UsageError, match="damaged"):
        read_result(folder)


def test_a_full_disk_leaves_the_old_report_and_says_so(runs, monkeypatch):
    folder = runs / "20261123T101500Z-original"
    before = (folder / "result.json").read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(PreflightError, match="No space left on device"):
        write_reports(run_results.lost(), folder)
    assert (folder / "result.json").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "report.html", "result.json"]
