"""The set-up works once, goes on after an interruption, and says what to install where it cannot help."""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, project_root: Path) -> SimpleNamespace:
    """The modules of tools/, which import each other by their plain names."""
    monkeypatch.syspath_prepend(str(project_root / "tools"))
    import console
    import environment
    import programs
    import system_packages

    return SimpleNamespace(
        console=console, environment=environment, programs=programs, system_packages=system_packages
    )


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
        return tools.console.Finished(0, "")

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
    assert any("[test]" in word for word in checkout.installed[-1])


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


def test_the_packages_to_fetch_are_read_from_the_simulation(tools):
    output = """Reading package lists...
Inst libcjson1 (1.7.15-1+deb12u2 Debian:12.11/stable [amd64])
Inst libssl3 [3.0.15-1~deb12u1] (3.0.17-1~deb12u2 Debian:12.12/stable, X:12/security [amd64])
Inst python3-pip-whl (23.0.1+dfsg-1 Debian:12.11/stable [all])
Conf libcjson1 (1.7.15-1+deb12u2 Debian:12.11/stable [amd64])
"""
    assert tools.system_packages.parse_simulation(output) == [
        "libcjson1:amd64=1.7.15-1+deb12u2",
        "libssl3:amd64=3.0.17-1~deb12u2",
        "python3-pip-whl=23.0.1+dfsg-1",
    ]


def script(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def test_an_old_interpreter_in_path_is_not_used(tools, tmp_path, monkeypatch):
    script(tmp_path / "path" / "micropython", "echo version 1.22")
    script(tmp_path / "new", "echo version 1.24; echo year 2000")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")
    program = tools.programs.MICROPYTHON
    found = tools.programs.which("micropython", tmp_path / "tools")
    assert found == tmp_path / "path" / "micropython"
    assert not tools.programs.works(program, found)
    assert tools.programs.works(program, tmp_path / "new")


def test_an_interpreter_that_keeps_the_clock_of_this_computer_is_not_used(tools, tmp_path):
    script(tmp_path / "kind", "echo version 1.25; date '+year %Y'")
    assert not tools.programs.works(tools.programs.MICROPYTHON, tmp_path / "kind")


def test_the_clock_of_a_fetched_interpreter_is_its_own_only_where_a_file_says_it(tools, tmp_path):
    base = tmp_path / "micropython"
    script(base / "usr/bin/micropython", 'echo "${LD_PRELOAD:-none}"')
    library = base / "usr/lib/arch/faketime/libfaketime.so.1"
    library.parent.mkdir(parents=True)
    library.touch()
    for loader in (None, base / "usr/lib/ld-linux.so.2"):
        if loader is not None:
            script(loader, 'test "$1" = --preload && echo "$2" || echo none')
        tools.programs._write_wrappers(tools.programs.MICROPYTHON, base, tmp_path / "bin")
        for given, expected in (({}, "none"), ({"FAKETIME_TIMESTAMP_FILE": "clock"}, str(library))):
            done = subprocess.run(
                [tmp_path / "bin" / "micropython"],
                env={"PATH": os.environ["PATH"], **given},
                capture_output=True,
                text=True,
                timeout=100,
            )
            # The system's loader says that an empty file is no library.
            assert done.stdout.strip() == expected


def test_an_unpacked_program_gets_its_arguments_and_keeps_its_pid_wherever_the_folder_is(tools, tmp_path):
    folder = tmp_path / "the tools"
    script(folder / "mosquitto/usr/sbin/mosquitto", 'echo "$$ $LD_LIBRARY_PATH $#: $2"')
    for name in ("mosquitto_pub", "mosquitto_sub"):
        script(folder / "mosquitto/usr/bin" / name, "true")
    (folder / "mosquitto/usr/lib/arch").mkdir(parents=True)
    (folder / "mosquitto/usr/lib/arch/libx.so.1").touch()
    tools.programs._write_wrappers(tools.programs.MOSQUITTO, folder / "mosquitto", folder / "bin")
    moved = folder.rename(tmp_path / "moved tools")
    process = subprocess.Popen(
        [moved / "bin" / "mosquitto", "-c", "a b"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    output, _ = process.communicate(timeout=100)
    assert output == f"{process.pid} {moved}/mosquitto/usr/lib/arch 2: a b\n"


def test_a_program_that_cannot_be_had_is_named_with_what_to_install(tools, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools.programs, "DAEMON_FOLDERS", ())
    with pytest.raises(tools.console.SetupError) as caught:
        tools.programs.ensure(tools.programs.MOSQUITTO, tmp_path / "tools")
    assert "apt-get install mosquitto mosquitto-clients" in str(caught.value)
    assert not (tmp_path / "tools" / "bin").exists()


def test_a_program_past_its_deadline_is_ended(tools):
    with pytest.raises(tools.console.SetupError, match="did not finish within 0 s"):
        tools.console.run(["sleep", "60"], timeout_s=0.1)


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


def test_a_machine_without_32_bit_programs_is_told_once_why_its_boards_have_other_words(
    tools, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(tools.programs.platform, "machine", lambda: "aarch64")
    tools.programs.ensure_board_interpreter(tmp_path)
    tools.programs.ensure_board_interpreter(tmp_path)
    assert capsys.readouterr().out.count("aarch64") == 1
    reason = (tmp_path / tools.programs.NO_NARROW_WORDS).read_text()
    assert reason == "a aarch64 processor runs no i386 programs\n"


def test_the_reason_is_gone_once_the_32_bit_interpreter_is_there(tools, tmp_path, monkeypatch):
    note = tmp_path / tools.programs.NO_NARROW_WORDS
    note.touch()
    os.utime(note, (0, 0))
    monkeypatch.setattr(tools.programs, "ensure_of_architecture", lambda *_: tmp_path)
    monkeypatch.setattr(tools.programs.platform, "machine", lambda: "x86_64")
    tools.programs.ensure_board_interpreter(tmp_path)
    assert not note.exists()
