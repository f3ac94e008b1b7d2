"""The set-up works once, goes on after an interruption, and says what to install where it cannot help."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from buoyfleet.programs.process import Finished


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, project_root: Path) -> SimpleNamespace:
    """The modules of tools/, which import each other by their plain names."""
    monkeypatch.syspath_prepend(str(project_root / "tools"))
    import environment

    return SimpleNamespace(environment=environment)


@pytest.fixture
def checkout(tools: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A project whose `python -m venv` and `pip install` are counted instead of run."""
    root = tmp_path / "a checkout"
    root.mkdir()
    (root / "pyproject.toml").write_text('[build-system]\nrequires = []\n[project]\nname = "x"\n')
    (root / "constraints.txt").write_text("a==1\n")
    state = SimpleNamespace(root=root, made=0, installed=[], fail=None)

    def make(command, **_):
        state.made += 1
        for name in ("python", "buoy"):
            file = Path(command[3]) / "bin" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return Finished(0, "")

    def pip(_venv, _root, arguments):
        if state.fail is not None:
            raise state.fail
        state.installed.append(arguments)

    monkeypatch.setattr(tools.environment, "run", make)
    monkeypatch.setattr(tools.environment, "_pip", pip)
    monkeypatch.setattr(tools.environment, "_usable", lambda _venv: True)
    state.ensure = lambda goal: tools.environment.ensure(root, root / ".tools", goal)
    return state


def test_what_builds_packages_from_source_is_pinned(tools, project_root):
    # An unpinned one would be satisfied by whatever old version a new environment happens to start with.
    pinned = {line.split("==")[0] for line in (project_root / "constraints.txt").read_text().splitlines()}
    assert set(tools.environment.BUILD_REQUIREMENTS) <= pinned


def test_a_second_set_up_does_nothing(checkout):
    checkout.ensure("test")
    first = len(checkout.installed)
    assert first > 0
    checkout.ensure("test")
    checkout.ensure("run")
    assert len(checkout.installed) == first


def test_the_environment_of_a_run_is_not_enough_for_the_tests(checkout):
    checkout.ensure("run")
    first = len(checkout.installed)
    checkout.ensure("test")
    assert len(checkout.installed) > first
    assert checkout.made == 1
    assert any("[test,docs]" in word for word in checkout.installed[-1])


def test_changed_pins_are_installed(checkout):
    checkout.ensure("run")
    first = len(checkout.installed)
    (checkout.root / "constraints.txt").write_text("a==2\n")
    checkout.ensure("run")
    assert len(checkout.installed) > first


def test_settings_of_linters_do_not_install_anything_again(checkout):
    checkout.ensure("run")
    first = len(checkout.installed)
    with (checkout.root / "pyproject.toml").open("a") as file:
        file.write("[tool.ruff]\nline-length = 90\n")
    checkout.ensure("run")
    assert len(checkout.installed) == first


def test_an_interrupted_installation_starts_from_a_new_environment(checkout):
    checkout.ensure("run")
    (checkout.root / "constraints.txt").write_text("a==2\n")
    checkout.fail = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        checkout.ensure("run")
    checkout.fail = None
    checkout.ensure("run")
    assert checkout.made == 2


def script(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def test_a_machine_without_a_new_python_is_told_what_to_install(project_root, tmp_path):
    script(tmp_path / "python3", "exit 1")
    done = subprocess.run(
        [shutil.which("sh") or "sh", project_root / "tools" / "setup.sh", "run"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 3
    assert "apt-get install python3 python3-venv" in done.stderr


def test_the_set_up_runs_with_a_python_that_has_no_packages(project_root):
    done = subprocess.run(
        [sys.executable, "-E", "-s", "-S", project_root / "tools" / "setup.py", "--help"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
