"""Which thermometer tells the temperature of the solution, and how sure it is."""

from dataclasses import dataclass

from buoyfleet.calibration.board import BenchBoard

BOARD_U_C = 0.29
"""Standard uncertainty of an uncorrected DS18B20: ±0.5 °C, rectangular (data sheet)."""
CORRECTED_U_C = 0.12
"""Of one with its offset found on the bench: ±0.2 °C, rectangular."""
TYPED_U_C = 0.12
"""Of a laboratory thermometer of ±0.2 °C."""
EVERY_S = 5.0


@dataclass(slots=True)
class Thermometer:
    """The board's own probe in the same beaker, or a value that was typed.

    Args:
        board: whose probe it is.
        typed_c: what an instrument showed; None: the board's probe is asked.
        instrument: its name, for the certificate.
    """

    board: BenchBoard
    typed_c: float | None = None
    instrument: str = ""
    standard_c: float = BOARD_U_C
    fitted: bool = True
    """Whether the board has a probe of its own."""
    _last: tuple[float, float | None] | None = None

    @property
    def name(self) -> str:
        """For the certificate."""
        if self.typed_c is not None:
            return self.instrument or "typed by the operator"
        return "the board's own probe (temp)"

    @property
    def present(self) -> bool:
        """Whether anything tells the temperature."""
        return self.typed_c is not None or self.fitted

    def celsius(self, now_s: float) -> float | None:
        """The temperature now, at most `EVERY_S` old; None if nothing tells it."""
        if self.typed_c is not None or not self.fitted:
            return self.typed_c
        if self._last is None or now_s - self._last[0] >= EVERY_S:
            reading = self.board.read("temp")["temp"]
            celsius = None
            # A probe that was just moved steps faster than a river does: it is flagged, and right.
            if not reading.missing and isinstance(reading.measured, float | int):
                celsius = float(reading.measured)
            self._last = (now_s, celsius)
        return self._last[1]


def thermometer(board: BenchBoard, typed_c: float | None, instrument: str) -> Thermometer:
    """The thermometer for a session."""
    if typed_c is not None:
        return Thermometer(board, typed_c, instrument, TYPED_U_C)
    own = board.settings().get("sensors", {}).get("temp", {})
    corrected = own.get("correction") is not None
    fitted = own.get("mode") == "hardware"
    return Thermometer(board, None, "", CORRECTED_U_C if corrected else BOARD_U_C, fitted)
