"""Who has the bench: one browser works on it, the others see what it does and take over only by asking."""

import time
from collections.abc import Callable
from dataclasses import dataclass

AWAY_S = 30.0
"""A browser that was not heard of for that long has closed its page: whoever asks gets the bench."""


@dataclass(slots=True)
class Holder:
    """The right to work on something, which one session has at a time."""

    now: Callable[[], float] = time.monotonic
    key: str = ""
    """Of the session that has it; empty: nobody."""
    name: str = ""
    asked_key: str = ""
    """Of the session that asks for it."""
    asked_name: str = ""
    _seen_s: float = 0.0

    def seen(self, key: str) -> None:
        """The page of a session is open."""
        if key == self.key:
            self._seen_s = self.now()

    def is_free(self) -> bool:
        """Whether nobody has it, or who has it went away."""
        return not self.key or self.now() - self._seen_s > AWAY_S

    def ask(self, key: str, name: str) -> bool:
        """Have it at once if it is free; else the holder is asked. Returns whether the session has it now."""
        if key == self.key or self.is_free():
            self._take(key, name)
            return True
        self.asked_key, self.asked_name = key, name
        return False

    def give(self, key: str) -> None:
        """The holder gives it to the session that asks."""
        if key == self.key and self.asked_key:
            self._take(self.asked_key, self.asked_name)

    def keep(self, key: str) -> None:
        """The holder refuses."""
        if key == self.key:
            self.asked_key = self.asked_name = ""

    def _take(self, key: str, name: str) -> None:
        self.key, self.name, self._seen_s = key, name, self.now()
        self.asked_key = self.asked_name = ""
