"""`esp32`: non-volatile storage and the pulse counter, led to a simulated board."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WIRED = ("NVS", "PCNT", "idf_heap_info")

WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH = 0, 1
HEAP_DATA, HEAP_EXEC = 4, 1


def _wire(wire: "Any") -> "Any":
    return __import__("buoy_wire").current() if wire is None else wire


class NVS:
    """A namespace of the storage; what is not committed does not survive a reset."""

    def __init__(self, namespace: str, wire: "Any" = None) -> None:
        self._wire = _wire(wire)
        self._namespace = namespace

    def set_i32(self, key: str, value: int) -> None:
        if not -0x80000000 <= value <= 0x7FFFFFFF:
            raise OverflowError("overflow converting long int to machine word")
        self._wire.call("nvs_set", self._namespace, key, value)

    def get_i32(self, key: str) -> int:
        value: int = self._wire.call("nvs_get_i32", self._namespace, key)
        return value

    def set_blob(self, key: str, value: "bytes | bytearray | str") -> None:
        data = value.encode() if isinstance(value, str) else bytes(value)
        self._wire.call("nvs_set", self._namespace, key, data)

    def get_blob(self, key: str, buffer: bytearray) -> int:
        data: bytes = self._wire.call("nvs_get_blob", self._namespace, key)
        if len(data) > len(buffer):
            raise OSError(-4364, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(data)] = data
        return len(data)

    def erase_key(self, key: str) -> None:
        self._wire.call("nvs_erase", self._namespace, key)

    def commit(self) -> None:
        self._wire.call("nvs_commit")


class PCNT:
    """Pulse counter unit (since MicroPython 1.26): 16 bit, back to zero at its limits."""

    INCREMENT, DECREMENT, IGNORE = 1, 2, 0
    NORMAL, HOLD, REVERSE = 0, 1, 2
    IRQ_ZERO, IRQ_MIN, IRQ_MAX = 1, 4, 2

    def __init__(self, id: int, wire: "Any" = None, **more: "Any") -> None:
        if not 0 <= id <= 7:
            raise ValueError("id")
        self._wire = _wire(wire)
        self._count: "Callable[[], int] | None" = None
        self._step = 0
        self._limit = 32768
        self._running = False
        self._kept = 0
        self._zero = 0
        self.init(**more)

    def init(
        self,
        pin: "Any" = None,
        rising: int = 0,
        falling: int = 0,
        max: int = 0,
        filter: int = 0,
        value: int = 0,
        **_more: "Any",
    ) -> None:
        if not 0 <= filter <= 1023:
            raise ValueError("filter")
        if pin is not None:
            self._count = self._wire.bind("count", pin.id)
            steps = (0, 1, -1)
            self._step = steps[rising] + steps[falling]
        self._limit = max or 32768
        self._kept = 0
        self._zero = self._pulses()

    def _pulses(self) -> int:
        return self._count() if self._count is not None and self._running else 0

    def value(self, value: "int | None" = None) -> int:
        counted = self._kept + (self._pulses() - self._zero) * self._step
        # At its limit the counter starts over from zero.
        current = counted % self._limit if counted >= 0 else -(-counted % self._limit)
        if value is not None:
            if value != 0:
                raise ValueError("value")
            self._kept = 0
            self._zero = self._pulses()
        return current

    def start(self) -> None:
        self._running = True
        self._zero = self._pulses()

    def stop(self) -> None:
        self._kept += (self._pulses() - self._zero) * self._step
        self._running = False
        self._zero = 0

    def deinit(self) -> None:
        self.stop()


def raw_temperature() -> int:
    """Of the chip, °F."""
    return 128


def idf_heap_info(capabilities: int, wire: "Any" = None) -> "list[tuple[int, int, int, int]]":
    """Of each region outside the first Python area: total, free, largest free block, least free ever."""
    regions = _wire(wire).call("idf_heap_info", capabilities)
    return [(region[0], region[1], region[2], region[3]) for region in regions]
