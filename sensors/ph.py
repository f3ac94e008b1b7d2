"""pH: Atlas EZO-pH. Source: the maker's data sheet."""

from sensors import once, quality, seldom
from sensors.ezo import Ezo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Modules
    from sensors.power import Rail

RAILS = (0.0, 14.0)  # what a floating or shorted input reads, exactly
WANDER_PH = 0.1  # standard deviation of a floating input within ten seconds
WANDER_MS = 10000
WANDER_READINGS = 5
STANDSTILL_PH = 0.01  # less movement than this
STANDSTILL_MS = 24 * 3600 * 1000  # in this time no river shows
STANDSTILL_READINGS = 12  # fewer say nothing: a river has the same pH at the same hour of two days


class Ph(Ezo):
    """pH; raw is the circuit's reading. `slope` is (acid %, base %, zero mV or None) or None."""

    key = "ph"
    uncal_below = uncal_above = 0.6  # a zero of 30 mV
    raw_unit = "pH"
    circuit_type = "ph"
    reading_ms = 900

    @once
    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        super().__init__(settings, modules, rail)
        self.slope: "tuple[float, float, float | None] | None" = None
        self._recent: "list[tuple[float, float]]" = []
        self._still_since_ms: "float | None" = None
        self._still_readings = 0
        self._lowest = 0.0
        self._highest = 0.0

    @seldom
    def _judge(self, reading: float, flags: int, note: str) -> None:
        if reading in RAILS:
            self._end(reading, reading, flags | quality.RANGE, "exactly %.3f: probe unplugged" % reading)
            return
        deviation = self._deviation(reading)
        if deviation > WANDER_PH:
            flags |= quality.RANGE
            note = "wanders by %.2f in ten seconds: probe unplugged" % deviation
        if self._stands_still(reading):
            flags |= quality.STALE
            note = "less than 0.01 in 24 hours: glass cracked, or connector wet"
        self._end(reading, reading, flags, note)

    @seldom
    def _deviation(self, reading: float) -> float:
        """Standard deviation of the readings of the last ten seconds; 0 while there are too few."""
        recent = self._recent
        recent.append((self.now_ms, reading))
        while recent[0][0] < self.now_ms - WANDER_MS:
            recent.pop(0)
        count = len(recent)
        if count < WANDER_READINGS:
            return 0.0
        mean = sum([value for _, value in recent]) / count
        return float((sum([(value - mean) ** 2 for _, value in recent]) / (count - 1)) ** 0.5)

    @seldom
    def _stands_still(self, reading: float) -> bool:
        since_ms = self._still_since_ms
        if since_ms is not None:
            lowest = min(self._lowest, reading)
            highest = max(self._highest, reading)
            if highest - lowest < STANDSTILL_PH:
                self._lowest = lowest
                self._highest = highest
                self._still_readings += 1
                day_over = self.now_ms - since_ms >= STANDSTILL_MS
                return day_over and self._still_readings >= STANDSTILL_READINGS
        self._still_since_ms = self.now_ms
        self._still_readings = 1
        self._lowest = self._highest = reading
        return False
