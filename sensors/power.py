"""Power of the parts: a rail is a load switch on a pin that several drivers may share."""

from sensors import once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Rail:
    """Supply of one or more parts.

    Args:
        pin: `machine.Pin` of the load switch, an output; None: the parts are always powered.
        active_high: level that switches on.
        switched: off between readings; otherwise on from the beginning.
    """

    __slots__ = ("_off", "_on", "_pin", "_users", "on_ms", "switched")

    @once
    def __init__(self, pin: "Any" = None, active_high: bool = True, switched: bool = False) -> None:
        self._pin = pin
        self._on = 1 if active_high else 0
        self._off = 1 - self._on
        self.switched = switched and pin is not None
        self._users: "list[str]" = []
        # When it was switched on, at the latest; None while off, and before the first reading.
        self.on_ms: "float | None" = None
        if pin is not None:
            pin.value(self._off if self.switched else self._on)

    def require(self, user: str, now_ms: float) -> float:
        """Switch on for `user`; the time since which the parts are powered (0 if always)."""
        if self._pin is None:
            return 0
        if user not in self._users:
            self._users.append(user)
        if self.on_ms is None:
            self._pin.value(self._on)
            self.on_ms = now_ms
        return self.on_ms

    def release(self, user: str) -> None:
        """`user` is done; a switched rail goes off with its last user."""
        if user in self._users:
            self._users.remove(user)
        if self.switched and not self._users:
            self.off()

    def off(self) -> None:
        """Switch off now, whoever uses it (before deep sleep)."""
        if self._pin is not None:
            self._users = []
            self._pin.value(self._off)
            self.on_ms = None
