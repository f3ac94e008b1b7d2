"""Liquid level: DFRobot SEN0204 (XKC-Y25-T12V), HIGH where liquid is.

Source: restatements of the maker's page. With a pull-down an unplugged switch reads dry, as a beached buoy
does: only the other sensors can tell (sensors.crosscheck).
"""

from sensors import quality
from sensors.driver import Driver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Modules, Steps
    from sensors.power import Rail

SPACING_MS = 500  # response time of the switch
EQUAL_SAMPLES = 3  # over one second: a splash is shorter
MAX_SAMPLES = 11  # five seconds of flicker


class Liqlev(Driver):
    """True where there is liquid; raw is the level of the pin."""

    key = "liqlev"
    raw_unit = "level"

    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        super().__init__(settings, modules, rail)
        pin = modules("machine").Pin
        self._pin = pin(self.settings["pin"], pin.IN, pin.PULL_DOWN)

    def _read(self) -> "Steps":
        yield from self._warm()
        level = self._pin.value()
        equal = 1
        for _ in range(MAX_SAMPLES - 1):
            yield self.now_ms + SPACING_MS
            now = self._pin.value()
            equal = equal + 1 if now == level else 1
            level = now
            if equal == EQUAL_SAMPLES:
                self._end(bool(level) != self.settings["inverted"], bool(level))
                return
        self._end(None, bool(level), quality.RANGE, "flickers: splashed, or a loose wire")
