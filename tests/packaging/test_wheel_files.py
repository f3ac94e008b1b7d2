"""The wheel holds the package and the files of a board, and no more."""

import subprocess
import zipfile
from pathlib import PurePosixPath

import pytest
from wheel import build


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    with zipfile.ZipFile(build(tmp_path_factory.mktemp("wheel"))) as archive:
        return set(archive.namelist())


def test_one_package_and_the_plugin_of_pytest_land_in_site_packages(names):
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"buoyfleet", "pytest_buoyfleet.py"}


def test_every_file_of_the_tree_that_is_used_at_run_time_is_in_it_and_no_other(names, project_root):
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=project_root,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    ).stdout.split("\n")
    moved = ("firmware/", "sensors/", "docs/", "scenarios/", "boards.yaml")
    expected = {
        name.removeprefix("host/") if name.startswith("host/") else f"buoyfleet/files/{name}"
        for name in listed
        if name.startswith(("host/", *moved)) and (project_root / name).exists()
    }
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_neither_tests_nor_caches_are_in_it(names):
    strange = {"tests", "__pycache__", ".tools", "benchmarks"}
    assert [name for name in names if strange & set(PurePosixPath(name).parts) or "/test_" in name] == []
    assert [name for name in names if PurePosixPath(name).parts[0] == "runs"] == []
