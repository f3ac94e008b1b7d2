"""`buoy` and `sensors` are those of a board, whatever a user's folder holds under the same names."""

import subprocess
import sys

import pytest


def run(code: str, folder) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path):
    """A user's folder, first on the path of what is started in it, with packages of the same names."""
    for name in ("sensors", "buoy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('of the user')\n")
    return tmp_path


def test_a_users_packages_of_the_same_names_are_not_taken_for_a_boards(folder):
    code = "import buoyfleet, sensors.catalog, buoy.commands; print(sensors.catalog.KEYS[0])"
    assert run(code, folder) == "do\n"


def test_a_package_of_another_program_that_is_loaded_already_is_named(folder):
    (folder / "sensors" / "__init__.py").write_text("")
    text = run("import sensors, buoyfleet", folder)
    assert f"a package `sensors` of another program is loaded ({folder}/sensors/__init__.py)" in text
    assert "import buoyfleet first" in text
