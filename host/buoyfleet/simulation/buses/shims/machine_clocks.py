"""The part of `machine` that has to do with time: timers, clock and watchdog."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _wire(wire: "Any") -> "Any":
    return __import__("buoy_wire").current() if wire is None else wire


class Timer:
    """A timer of the running board or of the simulated clock; late calls are made up one by one."""

    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, id: int = -1, wire: "Any" = None, **more: "Any") -> None:
        self._wire = _wire(wire)
        self._callback: "Callable[[Timer], None] | None" = None
        self._period_us = 0
        self._due_us = 0
        if more:
            self.init(**more)

    def init(
        self,
        mode: int = 1,
        freq: "float | None" = None,
        period: int = -1,
        callback: "Callable[[Timer], None] | None" = None,
    ) -> None:
        self.deinit()
        self._mode = mode
        self._period_us = int(1000000 / freq) if freq else period * 1000
        if self._period_us <= 0:
            raise ValueError("period")
        self._callback = callback
        self._due_us = self._wire.now_us + self._period_us
        self._wire.add_timer(self._service)

    def deinit(self) -> None:
        if self._period_us:
            self._wire.remove_timer(self._service)
        self._period_us = 0

    def value(self) -> int:
        value: int = (self._wire.now_us + self._period_us - self._due_us) // 1000
        return value

    def _service(self, now_us: int) -> None:
        while self._period_us and now_us >= self._due_us:
            self._due_us += self._period_us
            if self._mode == self.ONE_SHOT:
                self.deinit()
            if self._callback is not None:
                self._callback(self)


class RTC:
    """Date and time, and the memory that survives deep sleep."""

    def __init__(self, wire: "Any" = None) -> None:
        self._wire = _wire(wire)

    def datetime(self, datetimetuple: "Any" = None) -> "tuple[int, ...] | None":
        if datetimetuple is None:
            return tuple(self._wire.call("rtc_get"))
        self._wire.call("rtc_set", list(datetimetuple))
        return None

    def init(self, datetimetuple: "Any") -> None:
        self.datetime(datetimetuple)

    def memory(self, data: "bytes | None" = None) -> "bytes | None":
        if data is None:
            memory: bytes = self._wire.call("rtc_memory")
            return memory
        self._wire.call("rtc_memory", bytes(data))
        return None


class WDT:
    """The watchdog: once started it cannot be stopped."""

    def __init__(self, id: int = 0, timeout: int = 5000, wire: "Any" = None) -> None:
        if id != 0:
            raise ValueError("WDT")
        self._feed: "Callable[[], None]" = _wire(wire).bind("wdt_feed")
        _wire(wire).call("wdt_start", timeout)

    def feed(self) -> None:
        self._feed()
