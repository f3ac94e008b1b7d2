"""The Device Shadow service: requests on `…/shadow/get`, `update` and `delete`, and what it answers.

AWS IoT Core developer guide, "Device Shadow MQTT topics".
"""

import json
from collections.abc import Callable
from typing import Any, Final

from buoyfleet.cloud.local.broker.account import Reply
from buoyfleet.cloud.local.things.shadow_document import (
    Document,
    Refused,
    Request,
    ShadowError,
    State,
    parse,
    times_of,
    updated,
)

OPERATIONS: Final = ("get", "update", "delete")
_VERSION_KEPT_S: Final = 48 * 3600
"""A shadow that is made again within this time goes on with the version of the deleted one."""


class Shadows:
    """All shadows of the account, by thing and name ("" for the classic one)."""

    def __init__(self, utc_s: Callable[[], float]) -> None:
        self._utc_s = utc_s
        self._documents: dict[tuple[str, str], Document] = {}
        self._deleted: dict[tuple[str, str], tuple[int, float]] = {}
        """Versions of deleted shadows, and when they were deleted."""

    def request(self, thing: str, name: str, operation: str, payload: bytes) -> list[Reply]:
        """What the service publishes because of a request."""
        prefix = f"$aws/things/{thing}/shadow/" + (f"name/{name}/" if name else "")
        now_s = int(self._utc_s())
        token: str | None = None
        try:
            request = parse(payload, needs_state=operation == "update")
            token = request.token
            if operation == "update":
                answers = self._update((thing, name), request, now_s)
            elif operation == "get":
                answers = {"get/accepted": _shown(self._find((thing, name)), now_s)}
            else:
                answers = {"delete/accepted": self._delete((thing, name), now_s)}
        except ShadowError as error:
            if isinstance(error, Refused):
                token = error.token
            said = {"code": error.code, "message": error.message, "timestamp": now_s}
            answers = {f"{operation}/rejected": said}
        return [Reply(prefix + ending, _json(said, token)) for ending, said in answers.items()]

    def get(self, thing: str, name: str = "") -> State | None:
        """The document as `GetThingShadow` gives it; None: there is none."""
        document = self._documents.get((thing, name))
        return None if document is None else _shown(document, int(self._utc_s()))

    def names(self, thing: str) -> list[str]:
        """Names of the thing's named shadows, sorted."""
        return sorted(name for owner, name in self._documents if owner == thing and name)

    def _find(self, key: tuple[str, str]) -> Document:
        document = self._documents.get(key)
        if document is None:
            # A named shadow is called THING~NAME in this sentence.
            raise ShadowError(404, f"No shadow exists with name: '{'~'.join(filter(None, key))}'")
        return document

    def _version(self, key: tuple[str, str], now_s: int) -> int:
        document = self._documents.get(key)
        if document is not None:
            return document.version
        version, deleted_s = self._deleted.get(key, (0, 0.0))
        return version if now_s - deleted_s <= _VERSION_KEPT_S else 0

    def _update(self, key: tuple[str, str], request: Request, now_s: int) -> dict[str, State]:
        before = self._documents.get(key)
        after = updated(before, self._version(key, now_s), request, now_s)
        self._documents[key] = after
        self._deleted.pop(key, None)
        stamp: State = {"version": after.version, "timestamp": now_s}
        times = {
            section: {} if change is None else times_of(change, now_s)
            for section, change in request.state.items()
        }
        answers: dict[str, State] = {
            "update/accepted": {"state": request.state, "metadata": times, **stamp},
        }
        state, since = after.delta()
        if state:
            answers["update/delta"] = {**stamp, "state": state, "metadata": since}
        answers["update/documents"] = {
            "previous": None if before is None else _whole(before),
            "current": _whole(after),
            "timestamp": now_s,
        }
        return answers

    def _delete(self, key: tuple[str, str], now_s: int) -> State:
        document = self._find(key)
        del self._documents[key]
        self._deleted[key] = (document.version, now_s)
        return {"version": document.version, "timestamp": now_s}


def _whole(document: Document) -> State:
    return {"state": document.state, "metadata": document.metadata, "version": document.version}


def _shown(document: Document, now_s: int) -> State:
    delta, _ = document.delta()
    state = {**document.state, "delta": delta} if delta else document.state
    return {
        "state": state,
        "metadata": document.metadata,
        "version": document.version,
        "timestamp": now_s,
    }


def _json(said: dict[str, Any], token: str | None) -> bytes:
    if token is not None:
        said = {**said, "clientToken": token}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
