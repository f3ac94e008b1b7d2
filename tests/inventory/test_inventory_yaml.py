"""YAML itself: syntax errors with line and column, bounds, and nothing that any text can break."""

import re
from pathlib import Path

import pytest
import yaml
from drawn import at_most
from fleet_files import GOOD, problems_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.yaml_nodes import MAX_DEPTH, compose, plain_data
from buoyfleet.model.errors import ConfigurationError, Problem


def data(text: str) -> object:
    report = Reporter("test", text)
    root = compose(text, report)
    assert report.problems == []
    assert root is not None
    return plain_data(root)


def test_plain_words_follow_yaml_1_2():
    assert data("[yes, no, on, off, true, False, null, ~]") == [
        *("yes", "no", "on", "off"),
        *(True, False, None, None),
    ]
    assert data("[010, 0x1F, 1_000, 12:30, .5, 1e3, -7, 2026-01-01]") == [
        *(10, "0x1F", "1_000", "12:30", 0.5, 1000.0),
        *(-7, "2026-01-01"),
    ]


def test_quoted_words_are_texts():
    assert data("""['5', "true", ~, '']""") == ["5", "true", None, ""]


def test_merged_keys_give_way_to_the_mappings_own():
    assert data("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {y: 4, <<: [*a, {z: 5}]}") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 4, "z": 5},
    }


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ("fleet:harbour\nrun: 5\n", 2, 4, "a key is followed by a colon and a space"),
        ("fleet: a: b\n", 1, 9, "put a text that contains `: ` in quotes, and every key on its own line"),
        ("fleet: 'harbour\nrun: 5\n", 3, 0, "a quote is not closed"),
        ("fleet: @home\n", 1, 8, "put a text that begins with this character in quotes"),
        ("run: {a: 1\nboards: 2\n", 2, 7, "compare the indentation with the lines around it"),
    ],
)
def test_text_that_is_no_yaml_is_told_with_line_and_column(text, line, column, hint, tmp_path):
    [problem] = problems_of(tmp_path, text)
    assert (problem.line, problem.column, problem.hint) == (line, column, hint)
    assert problem.message.startswith("not YAML: ")
    assert f"at column {column}" in problem.message or not column


def test_every_line_with_a_tab_is_told(tmp_path):
    problems = problems_of(tmp_path, "fleet: a\nrun:\n\tmessages: 5\n  \tqos: 1\n")
    assert [(problem.line, problem.message) for problem in problems] == [
        (3, "a tab indents this line; YAML allows spaces only"),
        (4, "a tab indents this line; YAML allows spaces only"),
    ]


def test_control_characters_are_told_with_their_line(tmp_path):
    [problem] = problems_of(tmp_path, "fleet: a\nrun: \x07\n")
    assert (problem.line, problem.message) == (2, "U+0007 is not allowed in YAML")
    assert "\x07" not in problem.source_line


def test_a_second_document_is_told(tmp_path):
    [problem] = problems_of(tmp_path, GOOD + "---\nfleet: b\n")
    assert (problem.line, problem.message.split(";")[0]) == (9, "a second document begins here (`---`)")


def test_a_list_as_key_is_told(tmp_path):
    assert problems_of(tmp_path, GOOD + "? [a]\n: b\n")[0].message == "a list cannot be a key"


def test_an_alias_without_anchor_is_told(tmp_path):
    [problem] = problems_of(tmp_path, "fleet: *nobody\n")
    assert problem.message == "the alias `*nobody` has no anchor `&nobody` above it"


def test_an_alias_inside_itself_is_told(tmp_path):
    [problem] = problems_of(tmp_path, "fleet: &a [*a]\n")
    assert problem.message == "the alias `*a` stands inside itself"


def test_aliases_that_grow_without_end_are_stopped(tmp_path):
    # Unfolded they would be 10^29 values: without the limit this test would never end.
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    [problem] = problems_of(tmp_path, "\n".join(["a0: &a0 [1, 2]", *levels]))
    assert problem.message == "aliases make this more than 200000 values"


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 50_000, "{a: " * 20_000])
def test_nesting_without_end_is_stopped(text, tmp_path):
    [problem] = problems_of(tmp_path, text)
    assert problem.message == f"nested deeper than {MAX_DEPTH} levels"
    assert len(problem.source_line) < 200


@pytest.mark.parametrize(
    "text",
    [
        "pass" * 40_000,
        "://" * 40_000,
        "a: " + "9" * 400_000,
        "\n".join(f"k{n}: x" for n in range(10_000)),
    ],
)
@pytest.mark.timeout(60)  # seconds; what is quadratic in the text would take many minutes
def test_large_nonsense_is_refused(text, tmp_path):
    assert problems_of(tmp_path, text)


# Whatever the text, the answer is a fleet or a list of problems.


def mistakes(path: Path) -> list[Problem]:
    try:
        load_fleet(path)
    except ConfigurationError as error:
        return error.problems or [Problem("", 0, "", "an error without a problem")]
    return []


def outcome(folder: Path, text: str) -> None:
    path = folder / "fleet.yaml"
    path.write_text(text, encoding="utf-8")
    lines = len(re.split("\r\n|[\n\r\x85\u2028\u2029]", text))
    for problem in mistakes(path):
        assert problem.file == str(path)
        assert 0 <= problem.line <= lines + 1
        assert 0 < len(problem.message) < 2000
        assert "\n" not in problem.message + problem.hint + problem.path + problem.source_line


fuzz = settings(
    max_examples=at_most(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

keys = st.sampled_from(
    [
        "fleet",
        "target",
        "run",
        "boards",
        "thresholds",
        "kind",
        "ids",
        "sensors",
        "link",
        "messages",
        "interval",
        "rate",
        "overrides",
        "twin",
        "faults",
        "tls",
        "password",
        "late_after",
        "backoff",
        "others",
        "ph",
        "<<",
        "x",
    ]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["5 s", "10/s", "100-103", "virtual", "local", "broker", "counter", "${env:A}", "s3.late == 0"]
    ),
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(keys | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=30,
)


@fuzz
@given(text=st.text())
def test_any_text_is_a_fleet_or_a_list_of_problems(text, tmp_path):
    outcome(tmp_path, text)


@fuzz
@given(document=st.dictionaries(keys, documents, max_size=8), flow=st.booleans())
def test_any_document_is_a_fleet_or_a_list_of_problems(document, flow, tmp_path):
    outcome(tmp_path, yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True))


@fuzz
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, 2500), st.integers(0, 12), st.text(max_size=3)), min_size=1, max_size=4
    )
)
def test_any_damage_to_the_default_fleet_is_a_fleet_or_a_list_of_problems(cuts, tmp_path, project_root):
    text = (project_root / "boards.yaml").read_text(encoding="utf-8")
    for start, length, new in cuts:
        text = text[:start] + new + text[start + length :]
    outcome(tmp_path, text)


@fuzz
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_fleet_or_a_list_of_problems(data, tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError):
        load_fleet(path)
