"""The bench of one board: its parts, its clock, and the calls that the simulated modules make.

Modules reach it by `call(operation, *arguments)`, or `bind(…)` for what is called often: in process directly,
from a MicroPython process over a stream (buoyfleet.simulation.buses.server). The caller owns the clock.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from buoyfleet.simulation.buses import chip_calls, memory_calls
from buoyfleet.simulation.buses.chip import Chip, mac_of
from buoyfleet.simulation.buses.ports import Ports
from buoyfleet.simulation.buses.wiring import Wiring, wiring_of
from buoyfleet.simulation.parts.adc import Esp32Adc
from buoyfleet.simulation.parts.part import Part
from buoyfleet.simulation.water.medium import Medium

IRQ_RISING, IRQ_FALLING = 1, 2


class Bench(Ports):
    """One board's parts on its pins.

    Args:
        parts: key → part; a missing key is a part that is not fitted.
        wiring: which pin leads where; None: the default pin map.
        adc: the chip's converter; None: a nominal one.
        chip: the rest of the chip.
        seed: individual dividers.
        spread: scale of their tolerance.
    """

    __slots__ = ("_handlers", "_timers")

    def __init__(
        self,
        parts: Mapping[str, Part],
        wiring: Wiring | None = None,
        adc: Esp32Adc | None = None,
        chip: Chip | None = None,
        seed: str = "",
        spread: float = 1.0,
    ) -> None:
        super().__init__(
            parts,
            wiring or wiring_of(),
            adc or Esp32Adc(spread=0.0),
            chip or Chip(mac_of(0)),
            seed,
            spread,
        )
        self._handlers: dict[int, tuple[Callable[[int], None], int]] = {}
        self._timers: list[Callable[[int], None]] = []

    def advance_to_us(self, now_us: int) -> None:
        """Set the clock; interrupts and timers that were due are served.

        Raises:
            ValueError: the clock would go backwards.
        """
        if now_us < self.now_us:
            raise ValueError(f"the bench's clock stands at {self.now_us} µs and cannot go back to {now_us}")
        self.now_us = now_us
        if self._handlers or self._timers:
            self._serve()

    def advance_to_ms(self, now_ms: float) -> None:
        """The same in milliseconds."""
        self.advance_to_us(int(now_ms * 1000))

    def put(self, medium: Medium, *keys: str) -> None:
        """Put probes (all, if none is named) into another medium, e.g. `vessel("ph-7", 20.0)`."""
        for key in keys or tuple(self.parts):
            self.part(key).put(medium, self.t_s)
        self.changes += 1

    def inject(self, key: str, fault: str) -> None:
        """Switch a part's fault on.

        Raises:
            ValueError: no such part or fault; names those there are.
        """
        self.part(key).inject(fault, self.t_s)
        self.changes += 1

    def clear(self, key: str | None = None, fault: str | None = None) -> None:
        """Switch faults off: one, all of a part, or all."""
        for name in (key,) if key else tuple(self.parts):
            self.part(name).clear(fault, self.t_s)
        self.changes += 1

    def part(self, key: str) -> Part:
        """The part of a key.

        Raises:
            ValueError: not fitted.
        """
        part = self.parts.get(key)
        if part is None:
            raise ValueError(f"no part {key!r} on this board; it has {', '.join(self.parts)}")
        return part

    # What the simulated modules use

    def call(self, operation: str, *arguments: Any) -> Any:
        """One call of a simulated module."""
        return OPERATIONS[operation](self, *arguments)

    def bind(self, operation: str, *arguments: Any) -> Callable[..., Any]:
        """A callable that makes this call; further arguments may follow."""
        return partial(OPERATIONS[operation], self, *arguments)

    def wait_us(self, _duration_us: int) -> bool:
        """Whether time passes while a module waits. Simulated time does not: the caller owns it."""
        return False

    def on_edge(self, gpio: int, handler: Callable[[int], None] | None, trigger: int) -> None:
        """Call `handler(gpio)` for every edge from now on; None: no more."""
        if handler is None:
            self._handlers.pop(gpio, None)
            self.watch_edges(gpio, False)
        else:
            self.watch_edges(gpio, True)
            self._handlers[gpio] = (handler, trigger)

    def add_timer(self, service: Callable[[int], None]) -> None:
        """Have `service(now_us)` called whenever the clock was set."""
        self._timers.append(service)

    def remove_timer(self, service: Callable[[int], None]) -> None:
        """No more."""
        if service in self._timers:
            self._timers.remove(service)

    def _serve(self) -> None:
        for service in list(self._timers):
            service(self.now_us)
        for gpio in list(self._handlers):
            handler, trigger = self._handlers[gpio]
            times = 2 if trigger == IRQ_RISING | IRQ_FALLING else 1
            for _ in range(self.new_edges(gpio) * times):
                handler(gpio)


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(Bench, name)
        for name in (
            "pin_init", "pin_set", "pin_get", "watch_edges", "count", "adc_check", "adc_uv", "adc_raw",
            "uart_open", "uart_close", "uart_out", "uart_in", "ow_reset", "ow_write", "ow_read",
            "ow_write_bit", "ow_read_bit", "ow_scan",
        )
    },
    **chip_calls.OPERATIONS,
    **memory_calls.OPERATIONS,
}  # fmt: skip
