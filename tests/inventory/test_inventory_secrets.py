"""Secrets: resolved when used, never shown, never written."""

import copy
import json
import pickle
from pathlib import Path

import pytest
from fleet_files import GOOD, load, problems_of, text_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buoyfleet.cli.console import pretty_problems
from buoyfleet.inventory.document import fleet_document, fleet_yaml
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.secrets import Secret, resolve_secret, secrets_of
from buoyfleet.model.errors import ConfigurationError, PreflightError
from buoyfleet.model.fleet import SecretRef

SECRET = "hunter2XYZZY"


def with_target(target: str) -> str:
    return text_of(("target: local", target))


def secrets_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secrets.yaml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return folder / "fleet.yaml"


def failure(reference: SecretRef, fleet_file: Path) -> PreflightError:
    with pytest.raises(PreflightError) as caught:
        resolve_secret(reference, fleet_file)
    assert SECRET not in str(caught.value)
    return caught.value


def test_a_secret_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("BROKER_PASSWORD", SECRET)
    assert resolve_secret(SecretRef("env", "BROKER_PASSWORD"), tmp_path / "f.yaml").reveal() == SECRET


def test_a_secret_comes_from_secrets_yaml_beside_the_fleet_file(tmp_path):
    fleet_file = secrets_file(tmp_path, f"broker: {SECRET}\nother: '123'\n")
    assert resolve_secret(SecretRef("file", "broker"), fleet_file).reveal() == SECRET
    assert resolve_secret(SecretRef("file", "other"), fleet_file).reveal() == "123"


def test_a_number_as_secret_keeps_its_digits(tmp_path):
    assert resolve_secret(SecretRef("file", "pin"), secrets_file(tmp_path, "pin: 0042\n")).reveal() == "0042"


@pytest.mark.parametrize(("value", "state"), [(None, "is not set"), ("", "is empty")])
def test_a_variable_that_is_not_there_says_how_to_set_it(value, state, monkeypatch, tmp_path):
    monkeypatch.delenv("BROKER_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("BROKER_PASSWORD", value)
    error = failure(SecretRef("env", "BROKER_PASSWORD"), tmp_path / "f.yaml")
    assert error.what == f"the environment variable BROKER_PASSWORD {state}"
    assert error.next_step == "read -rs BROKER_PASSWORD && export BROKER_PASSWORD"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_secrets_file_that_others_may_use_is_refused(mode, tmp_path):
    error = failure(SecretRef("file", "broker"), secrets_file(tmp_path, f"broker: {SECRET}\n", mode))
    assert error.what == f"others may use the file (its mode is {mode:04o})"
    assert error.next_step.startswith("chmod 600 ")


def test_a_missing_secrets_file_says_how_to_make_one(tmp_path):
    error = failure(SecretRef("file", "broker"), tmp_path / "fleet.yaml")
    assert error.where == str(tmp_path / "secrets.yaml")
    assert error.next_step.startswith("install -m 600 /dev/null ")


def test_a_missing_key_is_guessed_without_showing_values(tmp_path):
    error = failure(SecretRef("file", "brokr"), secrets_file(tmp_path, f"broker: {SECRET}\n"))
    assert (error.what, error.next_step) == ("it has no key `brokr`", "did you mean `broker`?")


@pytest.mark.parametrize(
    "text", [f"broker:\n\t{SECRET}", f"- {SECRET}", f"broker: *{SECRET}", "", f"'{SECRET}"]
)
def test_a_broken_secrets_file_is_told_without_its_text(text, tmp_path):
    error = failure(SecretRef("file", "broker"), secrets_file(tmp_path, text))
    assert error.what == "this is no flat YAML of `name: value`"


def test_a_secret_shows_itself_to_nobody():
    secret = Secret(SECRET)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", repr([secret])]
    assert not [text for text in shown if SECRET in text]
    assert copy.deepcopy({"a": secret})["a"].reveal() == SECRET
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_fleet_keeps_references_only(monkeypatch, tmp_path):
    monkeypatch.setenv("BROKER_PASSWORD", SECRET)
    fleet = load(tmp_path, with_target("target: {kind: broker, password: '${env:BROKER_PASSWORD}'}"))
    assert secrets_of(fleet) == [("target.password", SecretRef("env", "BROKER_PASSWORD"))]
    written = [repr(fleet), json.dumps(fleet_document(fleet)), fleet_yaml(fleet)]
    assert not [text for text in written if SECRET in text]
    assert fleet_document(fleet)["target"]["password"] == "${env:BROKER_PASSWORD}"


def test_a_fleet_without_secrets_refers_to_none(tmp_path):
    assert secrets_of(load(tmp_path, GOOD)) == []


LEAKS = [
    f"target: {{kind: broker, password: {SECRET}}}",
    f"target: {{kind: broker, password: {SECRET}, usrname: bob, hots: x}}",
    f"target: {{kind: broker, passwort: {SECRET}}}",
    f"target: {{kind: broker, pasword: '{SECRET}', port: x}}",
    f"target: {{kind: broker, psasword: {SECRET}}}",
    f"target:\n  kind: broker\n  password: |\n    {SECRET}\n    more\n  prt: 5",
    f'target:\n  kind: broker\n  password: "{SECRET}\n    more"\n  prt: 5',
    f"target:\n  kind: broker\n  password: [{SECRET}]",
    f"target:\n  kind: broker\n  password: {{{SECRET}: {SECRET}}}",
    f"target:\n  kind: broker\n  password: !{SECRET} x",
    f"target:\n  kind: broker\n  password: *{SECRET}",
    f"target:\n  kind: broker\n  password: &{SECRET}",
    f"target:\n  kind: broker\n  password: &p {SECRET}\n  username: *p\n  port: *p\n  host: *p",
    f"target:\n  kind: broker\n  port: &p {SECRET}\n  password: *p",
    f"target:\n  kind: &p {SECRET}\n  password: *p",
    f"target:\n  kind: broker\n  password: {SECRET}\n  password: {SECRET}",
    f"target:\n  kind: broker\n  password: {SECRET}: x",
    f"target:\n  kind: broker\n  password:{SECRET}\n  host: x",
    f"target:\n  kind: broker\n  password: @{SECRET}",
    f"target:\n\tkind: broker\n\tpassword: {SECRET}",
    f"target: mqtt://bob:{SECRET}@broker.example",
    f"target: {{kind: broker, host: 'bob:{SECRET}@broker.example', username: 'mqtt://bob:{SECRET}@x'}}",
    f'target: "x\n  password: {SECRET}\n  y"',
    f"password: {SECRET}",
    f"secrets: {{a: {SECRET}}}",
    f"token: {SECRET}",
    f"target: {{kind: {{password: {SECRET}}}}}",
]


@pytest.mark.parametrize("target", LEAKS)
def test_no_mistake_shows_a_secret(target, tmp_path):
    if "'bob:" in target:
        target = target.replace(f"'bob:{SECRET}@broker.example'", "'a b'")
    problems = problems_of(tmp_path, with_target(target))
    error = ConfigurationError(problems)
    shown = [str(error), repr(problems), *(text.plain for text in pretty_problems(problems))]
    assert not [text for text in shown if SECRET in text]


def test_the_rest_of_the_file_is_still_shown(tmp_path):
    text = text_of(
        ("target: local", f"target: {{kind: broker, password: {SECRET}}}"), ("messages: 100", "messages: x")
    )
    sources = [problem.source_line for problem in problems_of(tmp_path, text)]
    assert sources == ["target: {kind: broker, password: •••", "  messages: x"]


AROUND = (
    "fleet: harbour\ntarget:\n  kind: broker\n  host: h\n{secret}\n  username: bob\n"
    + GOOD.split("local\n")[1]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 120),
            st.integers(0, 6),
            st.text("{}[]'\"&*!|>:-#,\n\t ax", max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_damage_around_a_secret_shows_it(cuts, tmp_path):
    before, after = AROUND.split("{secret}")
    for early, start, length, new in cuts:
        if early:
            before = before[:start] + new + before[start + length :]
        else:
            after = after[:start] + new + after[start + length :]
    path = tmp_path / "fleet.yaml"
    path.write_text(f"{before}  password: {SECRET}{after}", encoding="utf-8")
    try:
        fleet = load_fleet(path)
    except ConfigurationError as error:
        shown = f"{error}{error.problems!r}"
    else:
        shown = repr(fleet)
    assert SECRET not in shown


def test_git_ignores_secrets(project_root):
    assert "secrets.yaml" in (project_root / ".gitignore").read_text().splitlines()
