"""Who may use the server: one token, which opens sessions that expire."""

import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

SESSION_S = 12 * 3600.0
"""A session ends then, whatever it does: a shift, and no tablet stays signed in over night."""
MOST_SESSIONS = 1000
MOST_FAILURES, FAILURES_OVER_S = 10, 60.0
"""Wrong tokens of one address before it has to wait."""
_MOST_ADDRESSES = 1000
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Those that nobody mistakes for others when they are typed from a screen."""
_GROUPS, _GROUP = 4, 4
"""31 letters, 16 of them: 79 bits."""
Theme = Literal["auto", "light", "dark"]


@dataclass(slots=True)
class Session:
    """One signed-in browser."""

    key: str
    """Of its cookie; never shown on a page."""
    ends_s: float
    """Of the clock of `Sessions`."""
    theme: Theme = "auto"
    name: str = ""
    """What other browsers see of it: `browser 3`."""


def make_token() -> str:
    """A new token, as people type it: `ABCD-EFGH-JKMN-PQRS`."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def _plain(token: str) -> bytes:
    return token.replace("-", "").replace(" ", "").upper().encode()


@dataclass(slots=True)
class Sessions:
    """All sessions of a server."""

    token: str = ""
    """Opens a session; empty: whoever may open a page may have one."""
    now: Callable[[], float] = time.monotonic
    length_s: float = SESSION_S
    _open: dict[str, Session] = field(default_factory=dict)
    _failures: dict[str, deque[float]] = field(default_factory=dict)
    """Address → times of wrong tokens."""
    _number: int = 0

    def begin(self) -> Session:
        """A new session."""
        self._drop_ended()
        while len(self._open) >= MOST_SESSIONS:
            del self._open[next(iter(self._open))]
        self._number += 1
        session = Session(
            secrets.token_urlsafe(32), self.now() + self.length_s, name=f"browser {self._number}"
        )
        self._open[session.key] = session
        return session

    def find(self, key: str) -> Session | None:
        """The session of a cookie, unless it ended."""
        session = self._open.get(key)
        return session if session is not None and session.ends_s > self.now() else None

    def end(self, key: str) -> None:
        """Sign out."""
        self._open.pop(key, None)

    def left_s(self, session: Session) -> float:
        """Until it ends; 0 if it did."""
        return max(0.0, session.ends_s - self.now()) if session.key in self._open else 0.0

    def must_wait(self, address: str) -> bool:
        """Whether too many wrong tokens came from there."""
        times = self._failures.get(address)
        while times and times[0] < self.now() - FAILURES_OVER_S:
            times.popleft()
        return times is not None and len(times) >= MOST_FAILURES

    def fits(self, token: str, address: str) -> bool:
        """Whether this is the token; a wrong one is counted."""
        if hmac.compare_digest(_plain(token), _plain(self.token)):
            self._failures.pop(address, None)
            return True
        while len(self._failures) >= _MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self._failures.setdefault(address, deque(maxlen=MOST_FAILURES)).append(self.now())
        return False

    def _drop_ended(self) -> None:
        now = self.now()
        for key in [key for key, session in self._open.items() if session.ends_s <= now]:
            del self._open[key]
