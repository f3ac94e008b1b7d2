"""Redox potential: Atlas EZO-ORP. Source: the maker's data sheet. The circuit compensates no temperature."""

from sensors.ezo import Ezo
from sensors.ezo_line import READING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sensors.ezo_line import Exchange


class Orp(Ezo):
    """Redox potential in mV; raw is the circuit's reading."""

    key = "orp"
    raw_unit = "mV"
    circuit_type = "orp"
    reading_ms = 900

    def _measure(self) -> "Exchange":
        status = yield from self.exchange("R", READING, process_ms=self.reading_ms)
        return status

    def _judge(self, reading: float, flags: int, note: str) -> None:
        self._end(reading, reading, flags, note)
