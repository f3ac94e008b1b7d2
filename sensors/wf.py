"""Water flow: DFRobot SEN0217, Hall pulses. Source: the maker's wiki.

Zero means less than 1 L/min, where the rotor stalls. The count is of a window, not a total: nothing counts in
deep sleep.
"""

from sensors import once, quality
from sensors.driver import Driver
from sensors.transfer import FLOW_PULSES_PER_L, flow_l_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Modules, Steps
    from sensors.power import Rail

NOISE_HZ = 300  # the meter ends at 30 L/min, 225 Hz
FILTER_NS = 12800  # the longest of the ESP32's PCNT
MIN_WINDOW_US = 100000  # shorter: the clock was stopped or set, not a window


class Wf(Driver):
    """L/s; raw is pulses per second."""

    key = "wf"
    uncal_above = 0.06  # 405 pulses/L instead of 450
    raw_unit = "Hz"

    @once
    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        super().__init__(settings, modules, rail)
        machine = modules("machine")
        self._time = modules("time")
        pin = machine.Pin(self.settings["pin"], machine.Pin.IN)
        self._irq_pulses = 0
        # PCNT came to MicroPython with 1.26; before it, an interrupt that only counts.
        counter = getattr(machine, "Counter", None)
        self._counter = None
        if counter is not None:
            self._counter = counter(self.settings["counter"], pin, filter_ns=FILTER_NS)
        else:
            pin.irq(self._pulse, machine.Pin.IRQ_RISING)
        self._pin = pin

    def _pulse(self, _pin: "Any") -> None:
        self._irq_pulses += 1

    def pulses(self) -> int:
        """Counted since the sensor was made."""
        return self._irq_pulses if self._counter is None else self._counter.value()

    def _read(self) -> "Steps":
        yield from self._warm()
        begin = self.pulses()
        begin_us = self._time.ticks_us()
        yield self.now_ms + self.settings["window_ms"]
        pulses = self.pulses() - begin
        window_us = self._time.ticks_diff(self._time.ticks_us(), begin_us)
        if window_us < MIN_WINDOW_US:
            self._end(None, None, quality.PARSE, "window of %d µs" % window_us)
            return
        hertz = pulses * (1000000 / window_us)
        if hertz > NOISE_HZ:
            note = "%.0f Hz: electrical noise, the meter ends at 225 Hz" % hertz
            self._end(None, hertz, quality.RANGE, note)
            return
        pulses_per_l = self.settings["pulses_per_l"]
        flags = quality.OK
        if pulses_per_l is None:
            pulses_per_l = FLOW_PULSES_PER_L
            flags = quality.UNCAL
        self._end(flow_l_s(pulses, window_us, pulses_per_l), hertz, flags)
