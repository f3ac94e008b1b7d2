"""How a board's clock stands to the host's, from console pings.

A ping is a question for the time: the board's answer lies between asking and hearing it, whatever the line
and the firmware did in between. The narrowest of a round bounds the offset; several rounds give the drift.
"""

from dataclasses import dataclass

RESOLUTION_NS = 1_000_000
"""Boards tell whole milliseconds."""
DRIFT_BOUND_PPM = 50.0
"""Crystals of ESP32 modules are within ±10 ppm at 25 °C; temperature and ageing take the rest (ESP32 hardware
design guidelines, clock source). An estimate loses this much with every second since it was made."""


@dataclass(frozen=True, slots=True)
class Ping:
    """One question and its answer."""

    sent_ns: int
    """Host UTC before asking."""
    received_ns: int
    """Host UTC after the answer."""
    board_ms: int
    """The board's UTC, whole ms, rounded down."""

    @property
    def at_ns(self) -> int:
        """Middle of the round trip."""
        return (self.sent_ns + self.received_ns) // 2

    @property
    def offset_ns(self) -> int:
        """Host minus board, at best."""
        return self.at_ns - (self.board_ms * 1_000_000 + RESOLUTION_NS // 2)

    @property
    def uncertainty_ns(self) -> int:
        """Of the offset, to either side: it cannot be further off than this."""
        return (self.received_ns - self.sent_ns) // 2 + RESOLUTION_NS // 2


class ClockTrack:
    """Offset and drift of one clock over a run; begun anew when the board was reset."""

    def __init__(self) -> None:
        self._rounds: list[Ping] = []

    def add(self, pings: list[Ping]) -> None:
        """A round of pings, at least one: the narrowest counts."""
        self._rounds.append(min(pings, key=lambda ping: ping.uncertainty_ns))

    def restart(self) -> None:
        """The board's clock was set anew."""
        self._rounds.clear()

    @property
    def known(self) -> bool:
        """Whether there was a round."""
        return bool(self._rounds)

    def offset_ns(self) -> int:
        """Add to the board's time for the host's; by the last round."""
        return self._rounds[-1].offset_ns

    def uncertainty_ns(self, now_ns: int) -> int:
        """Of that offset now: what the round left open, and what the crystal may have drifted since."""
        last = self._rounds[-1]
        return last.uncertainty_ns + int(max(0, now_ns - last.at_ns) * DRIFT_BOUND_PPM * 1e-6)

    def drift_ppm(self) -> float:
        """How much faster the host's clock runs than the board's, from the first to the last round.

        0 while that is less than what the rounds leave open.
        """
        if len(self._rounds) < 2:
            return 0.0
        first, last = self._rounds[0], self._rounds[-1]
        span_ns = last.at_ns - first.at_ns
        change_ns = last.offset_ns - first.offset_ns
        if span_ns <= 0 or abs(change_ns) <= first.uncertainty_ns + last.uncertainty_ns:
            return 0.0
        return change_ns / span_ns * 1e6
