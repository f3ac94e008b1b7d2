"""When connections may begin: evenly spread, so that a fleet stays below a broker's rate of connections."""

_CATCH_UP_S = 0.02
"""A turn that a busy loop missed by less than this is made up for; after a longer pause no burst follows."""


class Turns:
    """Turns to connect, `per_s` of them a second. First connections and later ones share them."""

    __slots__ = ("_pause_s", "due_s")

    def __init__(self, per_s: float) -> None:
        self._pause_s = 1 / per_s
        self.due_s = 0.0
        """Time of the next turn, by the clock that `take` is given."""

    def take(self, now_s: float) -> None:
        """Use the turn that is due."""
        self.due_s = max(self.due_s, now_s - _CATCH_UP_S) + self._pause_s
