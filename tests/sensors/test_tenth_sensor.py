"""A further sensor needs its driver, its simulated part, its procedure and one row; nothing else changes."""

import shutil
import subprocess
import sys

import pytest

TENTH = "tests/sensors/tenth"
BEFORE = '    {\n        "key": "ph",\n'


def test_the_files_of_a_tenth_sensor_are_a_driver_a_part_a_procedure_and_a_row(project_root):
    files = [file for file in (project_root / TENTH).rglob("*") if file.suffix in (".py", ".txt")]
    assert sorted(str(file.relative_to(project_root / TENTH)) for file in files) == [
        "host/buoyfleet/calibration/procedures/redox.py",
        "host/buoyfleet/simulation/parts/ezo_orp.py",
        "row.txt",
        "sensors/orp.py",
    ]


@pytest.mark.soak
def test_with_them_alone_it_is_read_faked_configured_calibrated_and_installed(project_root, tmp_path):
    tree = tmp_path / "tree"
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("host", "sensors", "firmware", "docs", "scenarios", "tests/calibration"):
        shutil.copytree(project_root / name, tree / name, ignore=skip)
    for name in ("pyproject.toml", "boards.yaml", "constraints.txt"):
        shutil.copy(project_root / name, tree / name)
    shutil.copytree(project_root / TENTH, tree, ignore=skip, dirs_exist_ok=True)
    rows = tree / "sensors" / "rows.py"
    text = rows.read_text()
    assert text.count(BEFORE) == 1
    rows.write_text(text.replace(BEFORE, (tree / "row.txt").read_text() + BEFORE))
    done = subprocess.run(
        [sys.executable, project_root / "tests" / "sensors" / "tenth_program.py", tree],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "calibration passed orp 180",
        "reading mV ok",
        "fleet orp ph",
        "fake True",
        "firmware True True",
    ]
