"""Requests of a console that wait for their answers."""

import random
import threading
from dataclasses import dataclass, field
from typing import Final

from buoyfleet.serial.lines import Answer

_IDS: Final = 1 << 24
"""Small integers of a 32-bit board go up to 2**30."""


@dataclass(slots=True)
class Waiting:
    """One who waits; whichever try is answered first, also late, is the answer."""

    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    failure: str = ""
    at_ns: int = 0
    sent_ns: dict[int, int] = field(default_factory=dict)
    """Of each try, by its id."""


class Requests:
    """All that wait; may be used from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: dict[int, Waiting] = {}
        # An answer to whoever had the port before may come late; it must not be taken for one of ours.
        self._next_id = random.randrange(1, _IDS)

    def begin(self, waiting: Waiting) -> int:
        """The id of one more try."""
        with self._guard:
            request_id, self._next_id = self._next_id, self._next_id + 1
            self._waiting[request_id] = waiting
            waiting.sent_ns[request_id] = 0
            if waiting.answer is None:
                waiting.failure = ""
                waiting.done.clear()
        return request_id

    def end(self, waiting: Waiting) -> None:
        """Nobody waits for its tries any more."""
        with self._guard:
            for request_id in waiting.sent_ns:
                del self._waiting[request_id]

    def answered(self, said: Answer, at_ns: int) -> None:
        """An answer came."""
        with self._guard:
            waiting = self._waiting.get(said.request_id)
        if waiting is not None and waiting.answer is None:
            waiting.answer, waiting.at_ns = said, at_ns
            waiting.done.set()

    def give_up(self, reason: str) -> None:
        """Whoever waits for an answer waits no more."""
        with self._guard:
            all_of_them = list(self._waiting.values())
        for one in all_of_them:
            if one.answer is None:
                one.failure = reason
                one.done.set()
