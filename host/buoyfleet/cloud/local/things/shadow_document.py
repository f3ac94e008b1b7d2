"""What a shadow document is and how an update changes it. No topics, no clock: times are seconds since 1970.

AWS IoT Core developer guide, "Device Shadow service documents".
"""

import json
from dataclasses import dataclass
from typing import Any, Final

SECTIONS: Final = ("desired", "reported")
MAX_STATE_BYTES: Final = 8 * 1024
"""State of one shadow; metadata does not count (guide, "Document properties"; quotas)."""
MAX_DEPTH: Final = 6
"""Levels inside `desired` or `reported` (guide, "Shadow error messages")."""
TOKEN_BYTES: Final = 64

State = dict[str, Any]


class ShadowError(Exception):
    """A request that the Device Shadow service refuses, in its words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request."""

    state: State
    """What was under `state`; empty for a request that carries none."""
    version: int | None
    token: str | None


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a shadow."""

    state: State
    metadata: State
    version: int

    def delta(self) -> tuple[State, State]:
        """What is desired and not reported so, and since when: (state, metadata)."""
        return _difference(
            self.state.get("desired", {}), self.state.get("reported", {}), self.metadata.get("desired", {})
        )


def parse(payload: bytes, *, needs_state: bool) -> Request:
    """Read a request; an empty one is allowed where no state is needed.

    Raises:
        ShadowError: with the code and the words of the guide.
    """
    if not payload and not needs_state:
        return Request({}, None, None)
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise ShadowError(415, "Unsupported documented encoding; supported encoding is UTF-8") from None
    try:
        body = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        if not needs_state:
            return Request({}, None, None)
        raise ShadowError(400, "Invalid JSON") from None
    if not isinstance(body, dict):
        raise ShadowError(400, "Invalid JSON")
    token, version = body.get("clientToken"), body.get("version")
    if token is not None and (not isinstance(token, str) or len(token.encode()) > TOKEN_BYTES):
        raise ShadowError(400, "Invalid clientToken")
    if not needs_state:
        return Request({}, None, token)
    try:
        if version is not None and (type(version) is not int or version < 0):
            raise ShadowError(400, "Invalid version")
        return Request(_checked(body), version, token)
    except ShadowError as error:
        raise Refused(error.code, error.message, token) from None


class Refused(ShadowError):
    """With the token of the request, which the answer repeats."""

    def __init__(self, code: int, message: str, token: str | None) -> None:
        super().__init__(code, message)
        self.token = token


def updated(document: Document | None, version: int, request: Request, now_s: int) -> Document:
    """The document after an update.

    Args:
        document: the one before; None: there is none.
        version: of the one before, a deleted one included; 0: there never was one.
        request: of the client.
        now_s: the time of the update.

    Raises:
        ShadowError: another version than the one that the client knows, or too much state.
    """
    if request.version is not None and request.version != version:
        raise ShadowError(409, "Version conflict")
    state: State = {} if document is None else document.state
    metadata: State = {} if document is None else document.metadata
    new_state, new_metadata = dict(state), dict(metadata)
    for section, change in request.state.items():
        if change is None:
            new_state.pop(section, None)
            new_metadata.pop(section, None)
            continue
        merged, times = _merged(new_state.get(section, {}), new_metadata.get(section, {}), change, now_s)
        if merged:
            new_state[section], new_metadata[section] = merged, times
        else:
            new_state.pop(section, None)
            new_metadata.pop(section, None)
    if len(json.dumps(new_state, separators=(",", ":"), ensure_ascii=False).encode()) > MAX_STATE_BYTES:
        raise ShadowError(413, "The payload exceeds the maximum size allowed")
    return Document(new_state, new_metadata, version + 1)


def times_of(change: Any, now_s: int) -> Any:
    """Metadata of what an update carried; what it removed has none."""
    if isinstance(change, dict):
        return {key: times_of(value, now_s) for key, value in change.items() if value is not None}
    return {"timestamp": now_s}


def _checked(body: State) -> State:
    """`state` of a request.

    Raises:
        ShadowError: it is missing, or holds what no shadow holds.
    """
    if "state" not in body:
        raise ShadowError(400, "Missing required node: state")
    state = body["state"]
    if not isinstance(state, dict):
        raise ShadowError(400, "State node must be an object")
    for section, change in state.items():
        if section not in SECTIONS:
            raise ShadowError(400, f"State contains an invalid node: '{section}'")
        if change is not None and not isinstance(change, dict):
            raise ShadowError(400, f"{section.capitalize()} node must be an object")
        if _depth(change) > MAX_DEPTH:
            raise ShadowError(400, f"JSON contains too many levels of nesting; maximum is {MAX_DEPTH}")
        if _has_null_in_array(change):
            raise ShadowError(400, "State contains an invalid node: arrays can't have null values")
    return state


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(inner) for inner in value), default=0)
    return 0


def _has_null_in_array(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_null_in_array(inner) for inner in value.values())
    return isinstance(value, list) and any(inner is None or _has_null_in_array(inner) for inner in value)


def _merged(state: State, metadata: State, change: State, now_s: int) -> tuple[State, State]:
    """State and metadata of a section after a change: objects are merged, null removes, the rest replaces."""
    state, metadata = dict(state), dict(metadata)
    for key, value in change.items():
        if value is None:
            state.pop(key, None)
            metadata.pop(key, None)
        elif isinstance(value, dict):
            known, times = state.get(key), metadata.get(key)
            if not isinstance(known, dict) or not isinstance(times, dict):
                known, times = {}, {}
            state[key], metadata[key] = _merged(known, times, value, now_s)
            if not state[key]:
                del state[key], metadata[key]
        else:
            state[key], metadata[key] = value, {"timestamp": now_s}
    return state, metadata


def _difference(desired: State, reported: State, metadata: State) -> tuple[State, State]:
    state: State = {}
    times: State = {}
    for key, value in desired.items():
        there = reported.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            inner, inner_times = _difference(value, there, metadata.get(key, {}))
            if inner:
                state[key], times[key] = inner, inner_times
        elif key not in reported or not _same(value, there):
            state[key], times[key] = value, metadata.get(key, {})
    return state, times


def _same(one: Any, other: Any) -> bool:
    """As JSON has it: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
