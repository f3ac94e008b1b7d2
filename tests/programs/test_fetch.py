"""Programs are found, tried, or fetched; where that fails, the message says what to install."""

import os
import subprocess
from pathlib import Path

import pytest

from buoyfleet.model.errors import PreflightError
from buoyfleet.programs import catalogue, fetch, find, process, system_packages


def test_the_packages_to_fetch_are_read_from_the_simulation():
    output = """Reading package lists...
Inst libcjson1 (1.7.15-1+deb12u2 Debian:12.11/stable [amd64])
Inst libssl3 [3.0.15-1~deb12u1] (3.0.17-1~deb12u2 Debian:12.12/stable, X:12/security [amd64])
Inst python3-pip-whl (23.0.1+dfsg-1 Debian:12.11/stable [all])
Conf libcjson1 (1.7.15-1+deb12u2 Debian:12.11/stable [amd64])
"""
    assert system_packages.parse_simulation(output) == [
        "libcjson1:amd64=1.7.15-1+deb12u2",
        "libssl3:amd64=3.0.17-1~deb12u2",
        "python3-pip-whl=23.0.1+dfsg-1",
    ]


def script(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def test_an_old_interpreter_in_path_is_not_used(tmp_path, monkeypatch):
    script(tmp_path / "path" / "micropython", "echo version 1.22")
    script(tmp_path / "new", "echo version 1.24; echo year 2000")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")
    program = catalogue.MICROPYTHON
    found = find.which("micropython", tmp_path / "tools")
    assert found == tmp_path / "path" / "micropython"
    assert not find.works(program, found)
    assert find.works(program, tmp_path / "new")


def test_an_interpreter_that_keeps_the_clock_of_this_computer_is_not_used(tmp_path):
    script(tmp_path / "kind", "echo version 1.25; date '+year %Y'")
    assert not find.works(catalogue.MICROPYTHON, tmp_path / "kind")


def test_the_clock_of_a_fetched_interpreter_is_its_own_only_where_a_file_says_it(tmp_path):
    base = tmp_path / "micropython"
    script(base / "usr/bin/micropython", 'echo "${LD_PRELOAD:-none}"')
    library = base / "usr/lib/arch/faketime/libfaketime.so.1"
    library.parent.mkdir(parents=True)
    library.touch()
    for loader in (None, base / "usr/lib/ld-linux.so.2"):
        if loader is not None:
            script(loader, 'test "$1" = --preload && echo "$2" || echo none')
        fetch._write_wrappers(catalogue.MICROPYTHON, base, tmp_path / "bin")
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


def test_an_unpacked_program_gets_its_arguments_and_keeps_its_pid_wherever_the_folder_is(tmp_path):
    folder = tmp_path / "the tools"
    script(folder / "mosquitto/usr/sbin/mosquitto", 'echo "$$ $LD_LIBRARY_PATH $#: $2"')
    for name in ("mosquitto_pub", "mosquitto_sub"):
        script(folder / "mosquitto/usr/bin" / name, "true")
    (folder / "mosquitto/usr/lib/arch").mkdir(parents=True)
    (folder / "mosquitto/usr/lib/arch/libx.so.1").touch()
    fetch._write_wrappers(catalogue.MOSQUITTO, folder / "mosquitto", folder / "bin")
    moved = folder.rename(tmp_path / "moved tools")
    started = subprocess.Popen(
        [moved / "bin" / "mosquitto", "-c", "a b"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    output, _ = started.communicate(timeout=100)
    assert output == f"{started.pid} {moved}/mosquitto/usr/lib/arch 2: a b\n"


@pytest.fixture
def bare_system(tmp_path, monkeypatch):
    """Neither the programs nor apt."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(find, "DAEMON_FOLDERS", ())
    return tmp_path / "path"


def test_a_program_that_apt_does_not_have_is_named_with_what_to_install(tmp_path, bare_system):
    for name in ("apt-get", "dpkg", "dpkg-deb"):
        script(bare_system / name, "exit 100")
    with pytest.raises(PreflightError) as caught:
        fetch.ensure(catalogue.MOSQUITTO, tmp_path / "tools", print)
    assert caught.value.next_step.endswith("apt-get install mosquitto mosquitto-clients")
    assert not (tmp_path / "tools" / "bin").exists()


@pytest.mark.usefixtures("bare_system")
def test_a_system_without_apt_gets_the_names_of_the_packages(tmp_path):
    with pytest.raises(PreflightError) as caught:
        fetch.ensure(catalogue.MICROPYTHON, tmp_path / "tools", print)
    assert "no apt-get" in caught.value.what
    assert "micropython 1.24 or later and libfaketime" in caught.value.next_step
    assert "apt-get" not in caught.value.next_step


def test_a_program_that_is_there_and_works_is_not_fetched(tmp_path, bare_system, capsys):
    for name in catalogue.MOSQUITTO.commands:
        script(bare_system / name, "echo version 2.1")
    fetch.ensure(catalogue.MOSQUITTO, tmp_path / "tools", print)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "tools").exists()


def test_a_program_past_its_deadline_is_ended():
    with pytest.raises(PreflightError, match="did not finish within 0 s"):
        process.run(["sleep", "60"], timeout_s=0.1)


def test_a_machine_without_32_bit_programs_is_told_once_why_its_boards_have_other_words(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(fetch.platform, "machine", lambda: "aarch64")
    fetch.ensure_board_interpreter(tmp_path, print)
    fetch.ensure_board_interpreter(tmp_path, print)
    assert capsys.readouterr().out.count("aarch64") == 1
    reason = find.why_no_narrow(tmp_path).read_text()
    assert reason == "a aarch64 processor runs no i386 programs\n"


def test_the_reason_is_gone_once_the_32_bit_interpreter_is_there(tmp_path, monkeypatch):
    note = find.why_no_narrow(tmp_path)
    note.touch()
    os.utime(note, (0, 0))
    monkeypatch.setattr(fetch, "ensure_of_architecture", lambda *_: tmp_path)
    monkeypatch.setattr(fetch.platform, "machine", lambda: "x86_64")
    fetch.ensure_board_interpreter(tmp_path, print)
    assert not note.exists()


def test_a_command_is_named_as_it_can_be_typed(tmp_path, bare_system):
    kept = tmp_path / "kept"
    typed = lambda: find.typed(catalogue.MOSQUITTO, "mosquitto_sub", kept)  # noqa: E731
    assert typed() == f"buoy setup mosquitto, then: {kept}/bin/mosquitto_sub"
    script(kept / "bin" / "mosquitto_sub", "true")
    assert typed() == f"{kept}/bin/mosquitto_sub"
    script(bare_system / "mosquitto_sub", "true")
    assert typed() == "mosquitto_sub"


def test_everything_that_cannot_be_had_is_named_and_the_rest_is_fetched(tmp_path, bare_system):
    with pytest.raises(PreflightError) as caught:
        fetch.prepare([catalogue.MICROPYTHON, catalogue.MOSQUITTO], tmp_path, bare_system / "python", print)
    said = str(caught.value)
    assert "micropython 1.24" in said
    assert "mosquitto 2.0" in said
    assert find.why_no_narrow(tmp_path).exists()
