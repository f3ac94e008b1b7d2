"""What a wrong fleet file is told: every mistake, with its line, the value, what is allowed and a guess."""

import pytest
from fleet_files import GOOD, lines_of, problems_of, text_of
from fleet_mistakes import KINDS_OF_TIME, MISTAKES

from buoyfleet.inventory.overrides import Overrides


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_line_value_and_hint(name, tmp_path):
    changes, expected = MISTAKES[name]
    assert lines_of(tmp_path, text_of(*changes)) == [f"fleet.yaml:{line}" for line in expected]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path):
    text = text_of(
        ("fleet: harbour", "fleet: Harbour"),
        ("messages: 100", "messages: -1"),
        ("rate: 10/s", "rate: 10"),
        ("kind: virtual", "kind: vitual"),
        ("100-103", "9-8"),
    )
    assert [problem.line for problem in problems_of(tmp_path, text)] == [1, 4, 5, 7, 8]


def test_a_refused_value_causes_no_second_complaint(tmp_path):
    text = text_of(("messages: 100", "messages: x"), ("rate: 10/s", "rate: x"), ("100-103", "x"))
    assert [problem.path for problem in problems_of(tmp_path, text)] == [
        "run.messages",
        "run.rate",
        "boards[0].ids",
    ]


def test_mistakes_between_keys_stand_among_those_of_values(tmp_path):
    text = text_of(("rate: 10/s", "rate: 10/s\n  interval: 1 s"), ("kind: virtual", "kind: virtua"))
    assert [problem.line for problem in problems_of(tmp_path, text)] == [6, 8]


def test_nobody_is_called_strange_while_ids_are_unknown(tmp_path):
    fault = "{stage: s3, kind: lost, buoys: 7}"
    text = text_of(("target: local", f"target: {{kind: local, twin: {{faults: [{fault}]}}}}"))
    problems = problems_of(tmp_path, text + "  - {kind: virtual, ids: x}\n", Overrides(boards="8"))
    assert [problem.path for problem in problems] == ["boards[1].ids"]


def test_a_mistake_comes_with_the_text_of_its_line(tmp_path):
    [problem] = problems_of(tmp_path, text_of(("messages: 100", "messages: x   # per board")))
    assert problem.source_line == "  messages: x   # per board"
    assert (problem.line, problem.column) == (4, 13)


def test_options_are_checked_like_keys(tmp_path):
    overrides = Overrides(count="0", interval="3", boards="100-105", target="lokal", seed="x", duration="1")
    assert lines_of(tmp_path, GOOD, overrides) == [
        f"command line: --interval: 3 has no unit; {KINDS_OF_TIME} (did you mean `3 s`?)",
        "command line: --count: 0 is too small; write a whole number from 1 to 10000000",
        f"command line: --duration: 1 has no unit; {KINDS_OF_TIME} (did you mean `1 s`?)",
        "command line: --target: unknown target 'lokal'; one of local, aws, broker (did you mean `local`?)",
        "command line: --seed: 'x' is not a whole number from 0 to 2147483647",
        "command line: --boards: 100-105 is not in the fleet (100-103)",
    ]


def test_mistakes_of_file_and_options_come_together(tmp_path):
    found = lines_of(tmp_path, text_of(("messages: 100", "messages: x")), Overrides(seed="-1"))
    assert [line.split(":")[0] for line in found] == ["fleet.yaml", "command line"]


@pytest.mark.parametrize(
    "overrides",
    [
        Overrides(interval="1 s", rate="1/s"),
        Overrides(interval="1 s", flat_out=True),
        Overrides(rate="1/s", flat_out=True),
    ],
)
def test_two_options_for_the_pace_are_one_too_many(overrides, tmp_path):
    [line] = lines_of(tmp_path, GOOD, overrides)
    assert line.endswith(": only one of these can set the pace (leave the others out)")


def test_a_run_that_an_option_makes_too_short_is_the_options_fault(tmp_path):
    [problem] = problems_of(tmp_path, GOOD, Overrides(duration="500 ms"))
    assert (problem.file, problem.path) == ("command line", "--duration")
