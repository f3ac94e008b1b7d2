"""`buoy check` and how mistakes are printed."""

import io
import json

import pytest
from fleet_files import text_of

from buoyfleet.cli.check import show_check
from buoyfleet.cli.console import mark, pretty_problems, print_checks, print_error, summary, write_line
from buoyfleet.cli.main import invoke
from buoyfleet.cloud.target import Check
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.model.errors import ConfigurationError, PreflightError, Problem, UsageError
from buoyfleet.model.exit_codes import ExitCode

READY = [Check("descriptors", True, "158 needed")]


@pytest.fixture
def fleet_file(tmp_path):
    def write(*changes):
        path = tmp_path / "fleet.yaml"
        path.write_text(text_of(*changes))
        return path

    return write


def check(path, preflight=lambda _fleet, _plan: READY, *, as_json=False, **options):
    return show_check(path, Overrides(**options), preflight=preflight, as_json=as_json)


def test_check_says_what_would_run_and_that_it_could(fleet_file, capsys):
    assert check(fleet_file()) is ExitCode.OK
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("fleet     harbour (")
    assert (
        "  100-103: virtual, 100 messages, 10/s, sensors counter, link fleet, starting at 0 s to 750 ms"
        in printed
    )
    assert "  ✓ descriptors  158 needed" in printed
    assert printed[-1] == "ready; nothing was sent"


def test_the_whole_command_checks_machine_and_target(fleet_file, capsys, tmp_path):
    assert invoke(["check", str(fleet_file()), "--out", str(tmp_path / "runs"), "--count", "3"]) == 0
    printed = capsys.readouterr().out
    assert "12 messages with 108 measures" in printed
    assert "✓ clock" in printed
    assert not (tmp_path / "runs").exists()


def test_a_failed_check_is_exit_3_and_says_what_to_type(fleet_file, capsys):
    failed = [*READY, Check("port", False, "1883 is taken", "stop the other broker")]
    assert check(fleet_file(), lambda _fleet, _plan: failed) is ExitCode.PREFLIGHT
    printed = capsys.readouterr().out
    assert "  ✗ port         1883 is taken\n                 next: stop the other broker\n" in printed
    assert printed.endswith("1 of 2 checks failed; nothing was sent\n")


def test_a_preflight_that_breaks_off_is_a_failed_check(fleet_file, capsys):
    def broken(_fleet, _plan):
        raise PreflightError("the twin cannot start", where="/x", cause="no space", next_step="df -h")

    assert check(fleet_file(), broken) is ExitCode.PREFLIGHT
    assert "✗ preflight  /x: the twin cannot start (no space)\n" in capsys.readouterr().out


def test_a_missing_secret_fails_the_check_before_the_target_is_asked(fleet_file, capsys, monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    path = fleet_file(("target: local", "target: {kind: broker, password: '${env:NO_SUCH}'}"))

    def never(_fleet, _plan):
        raise AssertionError("asked without its password")

    assert check(path, never) is ExitCode.PREFLIGHT
    printed = capsys.readouterr().out
    assert "✗ target.password (${env:NO_SUCH})" in printed
    assert "read -rs NO_SUCH && export NO_SUCH" in printed


def test_a_secret_that_is_there_is_only_said_to_be_set(fleet_file, capsys, monkeypatch):
    monkeypatch.setenv("BROKER_PASSWORD", "hunter2XYZZY")
    path = fleet_file(("target: local", "target: {kind: broker, password: '${env:BROKER_PASSWORD}'}"))
    assert check(path) is ExitCode.OK
    assert check(path, as_json=True) is ExitCode.OK
    printed = capsys.readouterr().out
    assert "✓ target.password (${env:BROKER_PASSWORD})  set" in printed
    assert "hunter2XYZZY" not in printed


def test_missing_files_of_tls_are_counted(fleet_file, capsys, tmp_path):
    (tmp_path / "ca.pem").touch()
    (tmp_path / "buoy-100.pem").touch()
    tls = "{ca: ca.pem, certificate: '{thing}.pem', key: '{thing}.key'}"
    path = fleet_file(("target: local", f"target: {{kind: broker, tls: {tls}}}"))
    assert check(path) is ExitCode.PREFLIGHT
    printed = capsys.readouterr().out
    assert "✓ target.tls.ca " in printed
    assert f"{tmp_path}/{{thing}}.pem: 1 of 4 there" in printed
    assert f"next: put {tmp_path}/buoy-101.pem there, or change target.tls.certificate" in printed


def test_json_holds_fleet_totals_and_checks(fleet_file, capsys):
    assert check(fleet_file(), as_json=True, count=3) is ExitCode.OK
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is True
    assert document["totals"] == {
        "boards": 4,
        "messages": 12,
        "measures": 108,
        "duration_s": pytest.approx(0.95),
    }
    assert document["checks"] == [
        {"name": "descriptors", "passed": True, "detail": "158 needed", "next_step": ""}
    ]
    assert document["fleet"]["boards"][0]["messages"] == 3


def test_json_holds_the_mistakes(fleet_file, capsys):
    assert check(fleet_file(("messages: 100", "messages: x")), as_json=True) is ExitCode.USAGE
    document = json.loads(capsys.readouterr().out)
    assert (document["passed"], document["exit_code"]) == (False, 2)
    [problem] = document["problems"]
    assert (problem["line"], problem["path"]) == (4, "run.messages")


def test_mistakes_are_exit_2_and_a_line_each_in_a_pipe(fleet_file, capsys):
    path = fleet_file(("messages: 100", "messages: x"), ("rate: 10/s", "rate: 5"))
    assert invoke(["check", str(path), "--seed", "x"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines[:3]] == [f"{path}:4", f"{path}:5", "command line"]
    assert lines[3] == f"2 mistakes in {path}, 1 on the command line; nothing was sent"
    assert len(lines) == 4


def mistakes(path) -> list[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        load_fleet(path)
    return caught.value.problems


def test_on_a_terminal_mistakes_stand_under_their_lines(fleet_file):
    path = fleet_file(
        ("messages: 100", "messages: x"), ("target: local", "target: {kind: local, prt: 1, x: 2}")
    )
    assert (
        "\n".join(text.plain for text in pretty_problems(mistakes(path)))
        == f"""\
{path}:2
  2 │ target: {{kind: local, prt: 1, x: 2}}
    ╵ target: unknown key 'prt' of target `local`; one of kind, port, attach, twin
      did you mean `port`?
    ╵ target: unknown key 'x' of target `local`; one of kind, port, attach, twin

{path}:4
  4 │   messages: x
    ╵ run.messages: 'x' is not a whole number from 1 to 10000000

3 mistakes in {path}; nothing was sent"""
    )


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_markup_in_a_fleet_file_is_printed_as_it_is(fleet_file, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    path = fleet_file(("messages: 100", "messages: '[red]x[/nope]'"))
    terminal = Terminal()
    print_error(ConfigurationError(mistakes(path)), terminal)
    assert "[red]x[/nope]" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()


def test_other_errors_say_cause_and_next_step():
    stream = io.StringIO()
    print_error(UsageError("no such thing", where="here", cause="a typo", next_step="try again"), stream)
    assert stream.getvalue() == "error: here: no such thing\n  likely cause: a typo\n  next: try again\n"


def test_a_single_mistake_is_singular():
    assert summary([Problem("a.yaml", 1, "", "x")]) == "1 mistake in a.yaml; nothing was sent"


def test_a_terminal_without_check_marks_gets_words():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_checks([Check("a", True, "fine"), Check("b", False, "µ")], stream)
    write_line("├", stream)
    stream.seek(0)
    assert stream.read() == "  ok   a  fine\n  FAIL b  ?\n?\n"
    assert mark(True, stream) == "ok  "
