"""The set-up works once, goes on after an interruption, and says what to install where it cannot help."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from buoyfleet.model.errors import PreflightError
from buoyfleet.programs.process import Finished


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, project_root: Path) -> SimpleNamespace:
    """The modules of tools/, which import each other by their plain names."""
    monkeypatch.syspath_prepend(str(project_root / "tools"))
    import environment
    import packages

    return SimpleNamespace(environment=environment, packages=packages)


@pytest.fixture
def checkout(tools: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A project in which `python -m venv` and installations are counted instead of run."""
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

    def install(_venv, _pins, arguments):
        if state.fail is not None:
            raise state.fail
        state.installed.append(arguments)

    monkeypatch.setattr(tools.environment, "run", make)
    monkeypatch.setattr(tools.packages, "install", install)
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


@pytest.fixture
def commands(tools, tmp_path, monkeypatch) -> SimpleNamespace:
    """Installations of which the commands are kept instead of run; `code` says how each program ends."""
    (tmp_path / "bin").mkdir()
    state = SimpleNamespace(run=[], code={}, configuration="", venv=tmp_path)

    def note(command, **options):
        words = [str(word) for word in command]
        program = "uv" if words[0].endswith("/uv") else words[3]
        state.run.append((program, words, options["env"]))
        return Finished(state.code.get(program, 0), state.configuration)

    monkeypatch.setattr(tools.packages, "run", note)
    state.install = lambda: tools.packages.install(tmp_path, tmp_path / "constraints.txt", ["paho-mqtt"])
    return state


def test_uv_installs_from_the_indexes_that_pip_is_configured_for(commands):
    (commands.venv / "bin" / "uv").touch()
    commands.configuration = (
        ":env:.cert='/etc/ssl/own.crt'\n:env:.default-timeout='180'\n"
        "global.extra-index-url='file:///a file:///b'\ninstall.index-url='http://mirror/simple'\n"
    )
    commands.install()
    (program, words, variables) = commands.run[-1]
    assert program == "uv"
    line = " ".join(words)
    assert "--index file:///a --index file:///b --default-index http://mirror/simple" in line
    assert "180" not in words
    assert words[-1] == "paho-mqtt"
    assert variables["SSL_CERT_FILE"] == "/etc/ssl/own.crt"


def test_pip_installs_where_uv_is_missing_or_fails(commands, capfd):
    commands.code["uv"] = 2
    (commands.venv / "bin" / "uv").touch()
    commands.install()
    assert [program for program, _, _ in commands.run] == ["config", "uv", "install"]
    assert commands.run[-1][1][-1] == "paho-mqtt"
    assert "pip does it" in "".join(capfd.readouterr())


def test_a_failed_installation_names_the_log_and_what_to_do(commands):
    commands.code = {"uv": 2, "install": 1}
    with pytest.raises(PreflightError, match=r"setup\.log(.|\n)*no connection to the package index"):
        commands.install()


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
