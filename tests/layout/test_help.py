"""The command line explains itself: by job, with examples, in the shell, and without delay."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from buoyfleet.cli.commands import root
from buoyfleet.cli.main import invoke
from buoyfleet.cli.table import COMMANDS, JOBS, help_text
from buoyfleet.model.errors import UsageError


def commands(command, path):
    """(words, command) of every command and group."""
    yield " ".join(path), command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, [*path, name])


@pytest.fixture(scope="module")
def helps():
    """Words → help, of every command and group but the whole."""
    return {
        words: command.get_help(command.make_context(words, [], resilient_parsing=True))
        for words, command in commands(root(), ["buoy"])
        if words != "buoy"
    }


def test_every_command_shows_how_it_is_typed(helps):
    groups = {words for words in helps if any(other.startswith(f"{words} ") for other in helps)}
    assert len(helps) - len(groups) > 40
    typed = {words: text.split("\n", 1)[1] for words, text in helps.items() if words not in groups}
    assert [words for words, text in typed.items() if words not in text] == []


def test_every_help_has_debug(helps):
    assert [words for words, text in helps.items() if "--debug" not in text] == []
    assert "--debug" in help_text()


@pytest.mark.parametrize(
    "words",
    [["--debug", "check", "none.yaml"], ["check", "--debug", "none.yaml"], ["check", "none.yaml", "--debug"]],
)
def test_debug_gives_the_traceback_wherever_it_stands(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        invoke(words)


def test_what_follows_two_dashes_is_the_commands_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert invoke(["check", "--", "--debug"]) == 2
    assert capsys.readouterr().err.startswith("--debug:")


def test_the_help_lists_every_command_once_under_its_job(capsys):
    assert invoke(["--help"]) == 0
    text = capsys.readouterr().out
    listed = re.findall(r"^  ([a-z]+)  ", text, re.MULTILINE)
    assert listed == list(COMMANDS) == list(root().commands)
    assert sum(len(commands) for commands in JOBS.values()) == len(COMMANDS)
    places = [text.index(f"\n{job}:\n") for job in JOBS]
    assert places == sorted(places)
    assert max(map(len, text.splitlines())) <= 100


def test_the_help_loads_no_command_and_no_library():
    code = (
        "import sys; from buoyfleet.cli.main import invoke; invoke(['--help']); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
        "; print(*(name for name in sys.modules if name.startswith('buoyfleet.cli.')))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], env=python_path(), **QUIET)
    assert done.returncode == 0, done.stderr
    *_, packages, modules = done.stdout.splitlines()
    assert set(packages.split()) <= {"__main__", "__mp_main__", "buoyfleet"}
    assert set(modules.split()) == {"buoyfleet.cli.main", "buoyfleet.cli.table"}


QUIET = {"capture_output": True, "text": True, "timeout": 200, "check": False}


def python_path():
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("buoy cali", {"calibrate", "calibration"}),
        ("buoy twin stat", {"status"}),
        ("buoy check --int", {"--interval"}),
    ],
)
def test_a_shell_completes_commands_and_options(typed, offered):
    words = {"_BUOY_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    code = "from buoyfleet.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=python_path() | words, **QUIET)
    assert set(done.stdout.split()) == offered, done.stderr


def test_the_completion_script_of_the_shell_that_asks_is_printed():
    program = f"{shlex.quote(sys.executable)} -c 'from buoyfleet.cli.main import main; main()'"
    command = ["bash", "-c", f"{program} --show-completion; true"]
    done = subprocess.run(command, env=python_path(), **QUIET)
    assert "_BUOY_COMPLETE=complete_bash" in done.stdout, done.stderr


def test_an_unknown_command_is_named_with_what_is_like_it(capsys):
    assert invoke(["calibrat"]) == 2
    assert "'calibrate'" in capsys.readouterr().err
