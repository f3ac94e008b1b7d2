"""`machine` of MicroPython's ESP32 port, led to a simulated board."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

WIRED = (
    "Pin", "ADC", "ADCBlock", "UART", "Counter", "Timer", "RTC", "WDT", "reset", "soft_reset", "deepsleep",
    "lightsleep", "reset_cause", "wake_reason", "unique_id",
)  # fmt: skip

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
PIN_WAKE, EXT0_WAKE, EXT1_WAKE, TIMER_WAKE, TOUCHPAD_WAKE, ULP_WAKE = 2, 2, 3, 4, 5, 6

# A burst of conversions stays good for this long on the board's clock.
FRESH_US = 250000


# Its neighbour in this folder, under the name that this interpreter found the folder by.
_clocks: "Any" = __import__(__name__[: -len("machine")] + "machine_clocks", None, None, ("Timer",))
Timer, RTC, WDT = _clocks.Timer, _clocks.RTC, _clocks.WDT


def _wire(wire: "Any") -> "Any":
    return __import__("buoy_wire").current() if wire is None else wire


class Pin:
    """A GPIO."""

    IN, OUT, OPEN_DRAIN = 1, 3, 7
    PULL_DOWN, PULL_UP = 1, 2
    IRQ_RISING, IRQ_FALLING = 1, 2
    WAKE_LOW, WAKE_HIGH = 4, 5

    def __init__(
        self,
        id: "int | Pin",
        mode: int = -1,
        pull: "int | None" = -1,
        value: "int | None" = None,
        wire: "Any" = None,
    ) -> None:
        if isinstance(id, Pin):
            id = id.id
        self.id: int = id
        self._wire = _wire(wire)
        self._get: "Callable[[], int]" = self._wire.bind("pin_get", id)
        self._handler: "Callable[[Pin], None] | None" = None
        self.init(mode, pull, value)

    def init(self, mode: int = -1, pull: "int | None" = -1, value: "int | None" = None) -> None:
        if value is not None:
            self._wire.call("pin_set", self.id, 1 if value else 0)
        self._wire.call("pin_init", self.id, mode, 0 if pull is None else pull)

    def value(self, x: "Any" = None) -> "int | None":
        if x is None:
            return self._get()
        self._wire.call("pin_set", self.id, 1 if x else 0)
        return None

    def __call__(self, x: "Any" = None) -> "int | None":
        return self.value(x)

    def on(self) -> None:
        self.value(1)

    def off(self) -> None:
        self.value(0)

    def irq(
        self, handler: "Callable[[Pin], None] | None" = None, trigger: int = 3, wake: "Any" = None
    ) -> "Pin":
        self._handler = handler
        self._wire.on_edge(self.id, None if handler is None else self._edge, trigger)
        return self

    def _edge(self, _gpio: int) -> None:
        if self._handler is not None:
            self._handler(self)

    def __repr__(self) -> str:
        return "Pin(%d)" % self.id


class ADC:
    """One input of the converter. `read_uv` is corrected by eFuse, `read` and `read_u16` are not."""

    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = 0, 1, 2, 3
    WIDTH_9BIT, WIDTH_10BIT, WIDTH_11BIT, WIDTH_12BIT = 9, 10, 11, 12

    def __init__(self, pin: "Pin | int", atten: int = 0, wire: "Any" = None) -> None:
        self._wire = _wire(wire)
        self._id: int = pin.id if isinstance(pin, Pin) else pin
        self._wire.call("adc_check", self._id)
        self._bits = 12
        self.atten(atten)

    def init(self, atten: int = 0) -> None:
        self.atten(atten)

    def atten(self, atten: int) -> None:
        if not 0 <= atten <= 3:
            raise ValueError("invalid atten")
        self._burst: "list[int]" = []
        self._until_us = 0
        self._changes = 0
        self._fetch: "Callable[[], list[int]]" = self._wire.bind("adc_uv", self._id, atten)
        self._raw: "Callable[[], int]" = self._wire.bind("adc_raw", self._id, atten)

    def width(self, bits: int) -> None:
        if not 9 <= bits <= 12:
            raise ValueError("invalid bits")
        self._bits = bits

    def read_uv(self) -> int:
        burst = self._burst
        wire = self._wire
        if not burst or wire.changes != self._changes or wire.now_us > self._until_us:
            burst = self._burst = self._fetch()
            self._changes = wire.changes
            self._until_us = wire.now_us + FRESH_US
        return burst.pop()

    def read(self) -> int:
        return self._raw() >> (12 - self._bits)

    def read_u16(self) -> int:
        raw = self._raw()
        return raw << 4 | raw >> 8


class ADCBlock:
    """The converter as a whole: `ADCBlock(1).connect(Pin(36))`."""

    def __init__(self, id: int, bits: int = 12, wire: "Any" = None) -> None:
        if id not in (1, 2):
            raise ValueError("invalid block id")
        self._wire = _wire(wire)
        self._block = id
        self.init(bits)

    def init(self, bits: int = 12) -> None:
        if not 9 <= bits <= 12:
            raise ValueError("invalid bits")
        self._bits = bits

    def connect(self, source: "Pin | int", pin: "Pin | None" = None, atten: int = 0) -> ADC:
        if pin is None and not isinstance(source, Pin):
            # Channels of ADC1 0–7 are GPIO 36, 37, 38, 39, 32, 33, 34, 35.
            source = ((36, 37, 38, 39, 32, 33, 34, 35), (4, 0, 2, 15, 13, 12, 14, 27, 25, 26))[
                self._block - 1
            ][source]
        adc = ADC(source if pin is None else pin, atten=atten, wire=self._wire)
        adc.width(self._bits)
        return adc


class UART:
    """A UART; in simulated time nothing is waited for, so `timeout` matters only on a running board."""

    PINS = ((1, 3), (10, 9), (17, 16))
    IRQ_RX, IRQ_RXIDLE, IRQ_BREAK = 1, 2, 4

    def __init__(
        self, id: int, baudrate: int = 115200, *args: "Any", wire: "Any" = None, **more: "Any"
    ) -> None:
        if not 0 <= id <= 2:
            raise ValueError("UART(%d) does not exist" % id)
        self._wire = _wire(wire)
        self._id = id
        self._tx, self._rx = self.PINS[id]
        self._size = 256
        self._timeout_ms = 0
        self._buffer = b""
        self._fetch: "Callable[[], bytes]" = self._wire.bind("uart_in", id)
        self._out: "Callable[[bytes], None]" = self._wire.bind("uart_out", id)
        self.init(baudrate, *args, **more)

    def init(
        self,
        baudrate: int = 115200,
        *_framing: "int | None",
        tx: "Pin | int | None" = None,
        rx: "Pin | int | None" = None,
        rxbuf: "int | None" = None,
        timeout: "int | None" = None,
        **_more: "Any",
    ) -> None:
        if tx is not None:
            self._tx = tx.id if isinstance(tx, Pin) else tx
        if rx is not None:
            self._rx = rx.id if isinstance(rx, Pin) else rx
        if rxbuf is not None:
            self._size = rxbuf & 0xFFFF  # uint16_t in ports/esp32/machine_uart.c
        if timeout is not None:
            self._timeout_ms = timeout
        self._buffer = b""
        self._wire.call("uart_open", self._id, self._tx, self._rx, baudrate, self._size)

    def deinit(self) -> None:
        self._wire.call("uart_close", self._id)

    def _pull(self) -> bytes:
        arrived = self._fetch()
        if arrived:
            # A full buffer takes no more: what comes then is lost.
            self._buffer = (self._buffer + arrived)[: self._size]
        return self._buffer

    def any(self) -> int:
        return len(self._pull())

    def _wait_for(self, count: int) -> None:
        left_ms = self._timeout_ms
        while len(self._pull()) < count and left_ms > 0 and self._wire.wait_us(1000):
            left_ms -= 1

    def read(self, nbytes: int = -1) -> "bytes | None":
        self._wait_for(1 if nbytes < 0 else nbytes)
        data = self._buffer if nbytes < 0 else self._buffer[:nbytes]
        self._buffer = self._buffer[len(data) :]
        return data or None

    def readinto(self, buf: bytearray, nbytes: int = -1) -> "int | None":
        data = self.read(len(buf) if nbytes < 0 else min(nbytes, len(buf)))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def readline(self) -> "bytes | None":
        self._wait_for(1)
        end = self._buffer.find(b"\n") + 1
        return self.read(end or len(self._buffer)) if self._buffer else None

    def write(self, buf: "bytes | str") -> int:
        data = buf.encode() if isinstance(buf, str) else bytes(buf)
        self._out(data)
        return len(data)

    def flush(self) -> None:
        pass

    def txdone(self) -> bool:
        return True


class Counter:
    """Pulse counter (since MicroPython 1.26)."""

    RISING, FALLING = 1, 2
    UP, DOWN = 1, -1

    def __init__(self, id: int, src: "Pin | int", wire: "Any" = None, **more: "Any") -> None:
        if not 0 <= id <= 7:
            raise ValueError("id")
        self._wire = _wire(wire)
        self.init(src, **more)

    def init(self, src: "Pin | int", edge: int = 1, direction: int = 1, filter_ns: int = 0) -> None:
        if not 0 <= filter_ns <= 12787:
            # 1023 ticks of 12.5 ns; the library takes the longest filter that is not longer.
            filter_ns = 12787
        self._count: "Callable[[], int]" = self._wire.bind("count", src.id if isinstance(src, Pin) else src)
        self._direction = direction
        self._zero = self._count()

    def value(self, value: "int | None" = None) -> int:
        count = self._count()
        current: int = (count - self._zero) * self._direction
        if value is not None:
            self._zero = count - value * self._direction
        return current

    def deinit(self) -> None:
        pass


def reset(wire: "Any" = None) -> None:
    """Hard reset."""
    _wire(wire).call("reset", "reset")


def soft_reset(wire: "Any" = None) -> None:
    """Soft reset."""
    _wire(wire).call("reset", "soft_reset")


def deepsleep(time_ms: int = 0, wire: "Any" = None) -> None:
    """Deep sleep; 0: until something else wakes it."""
    _wire(wire).call("reset", "deepsleep", time_ms)


def lightsleep(time_ms: int = 0, wire: "Any" = None) -> None:
    """Light sleep."""
    _wire(wire).call("reset", "lightsleep", time_ms)


def reset_cause(wire: "Any" = None) -> int:
    """One of the *_RESET constants."""
    cause: int = _wire(wire).call("reset_cause")
    return cause


def wake_reason(wire: "Any" = None) -> int:
    """TIMER_WAKE after a deep sleep, else 0."""
    return TIMER_WAKE if reset_cause(wire) == DEEPSLEEP_RESET else 0


def unique_id(wire: "Any" = None) -> bytes:
    """The MAC."""
    mac: bytes = _wire(wire).call("unique_id")
    return mac


def freq(hz: "int | None" = None) -> "int | None":
    """160 MHz, the port's default; setting it changes nothing here."""
    return 160000000 if hz is None else None


def idle() -> None:
    """Nothing to gate in a simulation."""


def disable_irq() -> int:
    """Interrupts come only between calls here."""
    return 0


def enable_irq(state: int = 0) -> None:
    """See `disable_irq`."""
