"""Shadow documents: the guide's examples, its errors, and what holds for any sequence of updates."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.cloud.local.things.shadow import Shadows
from buoyfleet.cloud.local.things.shadow_document import Document, ShadowError, parse, updated


class Service:
    """The service with a clock turned by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.shadows = Shadows(lambda: self.now_s)

    def ask(self, operation: str, body: Any = None, name: str = "") -> dict[str, Any]:
        """End of the topic → JSON."""
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        found = self.shadows.request("buoy-100", name, operation, payload)
        return {reply.topic.partition("/shadow/")[2]: json.loads(reply.payload) for reply in found}

    def update(self, **state: Any) -> dict[str, Any]:
        return self.ask("update", {"state": state})


def test_the_guides_example_of_a_version_conflict() -> None:
    service = Service()
    for _ in range(10):
        service.update(desired={"colors": ["RED", "GREEN", "BLUE"]})
    request = {"state": {"desired": {"colors": ["BLUE"]}}, "version": 9, "clientToken": "426bfd96"}
    assert service.ask("update", request) == {
        "update/rejected": {
            "code": 409,
            "message": "Version conflict",
            "timestamp": 100,
            "clientToken": "426bfd96",
        }
    }
    answers = service.ask("update", {**request, "version": 10})
    assert answers["update/accepted"]["version"] == 11
    assert service.ask("get")["get/accepted"]["state"]["desired"] == {"colors": ["BLUE"]}


def test_null_removes_an_attribute_and_a_section() -> None:
    service = Service()
    service.update(desired={"color": {"r": 10, "g": 1}, "engine": "ON"}, reported={"engine": "ON"})
    answers = service.update(desired={"engine": None, "color": {"g": None}})
    assert answers["update/accepted"]["state"] == {"desired": {"engine": None, "color": {"g": None}}}
    assert answers["update/accepted"]["metadata"] == {"desired": {"color": {}}}
    assert answers["update/documents"]["current"]["state"]["desired"] == {"color": {"r": 10}}
    service.update(desired=None)
    shown = service.ask("get")["get/accepted"]
    assert shown["state"] == {"reported": {"engine": "ON"}}
    assert list(shown["metadata"]) == ["reported"]


def test_the_delta_holds_all_that_differs_and_nothing_else() -> None:
    service = Service()
    service.update(
        desired={"a": 1, "b": {"c": 1, "d": 2}, "e": [1, 2], "same": True},
        reported={"b": {"c": 1, "d": 3}, "e": [2, 1], "same": True, "only": 1},
    )
    service.now_s = 200.0
    answers = service.update(reported={"a": 1.0})
    delta = answers["update/delta"]
    assert delta["state"] == {"a": 1, "b": {"d": 2}, "e": [1, 2]}
    assert delta["metadata"] == {
        "a": {"timestamp": 100},
        "b": {"d": {"timestamp": 100}},
        "e": {"timestamp": 100},
    }
    answers = service.update(reported={"a": 1, "b": {"d": 2}, "e": [1, 2]})
    assert "update/delta" not in answers
    assert service.ask("get")["get/accepted"]["metadata"]["reported"]["only"] == {"timestamp": 100}
    answers = service.update(reported={"same": None})
    assert answers["update/delta"]["state"] == {"same": True}, "deleted from reported, still desired"
    assert service.update(reported={"same": 1})["update/delta"]["state"] == {"same": True}


def test_a_deleted_shadow_goes_on_with_its_version_for_two_days() -> None:
    service = Service()
    for _ in range(3):
        service.update(reported={"a": 1})
    assert service.ask("delete")["delete/accepted"] == {"version": 3, "timestamp": 100}
    assert service.ask("delete")["delete/rejected"]["code"] == 404
    assert service.update(reported={"a": 1})["update/accepted"]["version"] == 4
    service.ask("delete")
    service.now_s += 48 * 3600 + 1
    assert service.update(reported={"a": 1})["update/accepted"]["version"] == 1


def test_shadows_of_other_names_and_things_are_others() -> None:
    service = Service()
    service.update(reported={"a": 1})
    assert service.ask("get", name="b")["name/b/get/rejected"]["code"] == 404
    assert (
        service.ask("update", {"state": {"reported": {"a": 2}}}, "b")["name/b/update/accepted"]["version"]
        == 1
    )
    assert service.ask("get")["get/accepted"]["state"]["reported"] == {"a": 1}


NESTED: Any = 1
for _ in range(6):
    NESTED = {"n": NESTED}


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"{", 400, "Invalid JSON"),
        (b"", 400, "Invalid JSON"),
        (b"[]", 400, "Invalid JSON"),
        (b'{"state":{"reported":{"a":NaN}}}', 400, "Invalid JSON"),
        (b'{"state":"\xff"}', 415, "Unsupported documented encoding; supported encoding is UTF-8"),
        ({}, 400, "Missing required node: state"),
        ({"state": 1}, 400, "State node must be an object"),
        ({"state": None}, 400, "State node must be an object"),
        ({"state": {"desired": 1}}, 400, "Desired node must be an object"),
        ({"state": {"reported": []}}, 400, "Reported node must be an object"),
        ({"state": {"wanted": {}}}, 400, "State contains an invalid node: 'wanted'"),
        ({"state": {}, "version": "1"}, 400, "Invalid version"),
        ({"state": {}, "version": True}, 400, "Invalid version"),
        ({"state": {}, "clientToken": 1}, 400, "Invalid clientToken"),
        ({"state": {}, "clientToken": "t" * 65}, 400, "Invalid clientToken"),
        (
            {"state": {"desired": {"n": NESTED}}},
            400,
            "JSON contains too many levels of nesting; maximum is 6",
        ),
        (
            {"state": {"desired": {"a": [None]}}},
            400,
            "State contains an invalid node: arrays can't have null values",
        ),
        ({"state": {"desired": {"a": "x" * 8200}}}, 413, "The payload exceeds the maximum size allowed"),
        ({"state": {}, "version": 1}, 409, "Version conflict"),
    ],
)
def test_what_the_service_refuses(body: Any, code: int, words: str) -> None:
    service = Service()
    refused = service.ask("update", body)["update/rejected"]
    assert (refused["code"], refused["message"]) == (code, words)
    assert service.shadows.get("buoy-100") is None


def test_state_is_bounded_as_a_whole_and_six_levels_are_taken() -> None:
    service = Service()
    assert "update/accepted" in service.update(desired=NESTED)
    assert "update/accepted" in service.update(desired={"a": "x" * 4000})
    assert service.update(reported={"a": "x" * 4300})["update/rejected"]["code"] == 413
    assert "a" not in service.ask("get")["get/accepted"]["state"].get("reported", {})


_VALUES = st.recursive(
    st.one_of(st.integers(-2, 2), st.booleans(), st.sampled_from(["x", ""]), st.none()),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
_SECTIONS = st.one_of(st.none(), st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3))


@given(
    st.lists(st.fixed_dictionaries({}, optional={"desired": _SECTIONS, "reported": _SECTIONS}), max_size=6)
)
def test_after_any_updates_metadata_has_the_shape_of_the_state_and_reporting_the_delta_ends_it(
    updates: list[dict[str, Any]],
) -> None:
    def shape(value: Any) -> Any:
        return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else "leaf"

    def times(value: Any) -> Any:
        return "leaf" if set(value) == {"timestamp"} else {key: times(inner) for key, inner in value.items()}

    document: Document | None = None
    for number, state in enumerate(updates):
        try:
            request = parse(json.dumps({"state": state}).encode(), needs_state=True)
        except ShadowError:
            continue
        document = updated(document, number, request, number)
        assert "null" not in json.dumps(document.state)
        assert times(document.metadata) == shape(document.state)
    if document is None:
        return
    state, metadata = document.delta()
    assert times(metadata) == shape(state)
    if state:
        report = parse(json.dumps({"state": {"reported": state}}).encode(), needs_state=True)
        assert updated(document, 9, report, 9).delta() == ({}, {})
