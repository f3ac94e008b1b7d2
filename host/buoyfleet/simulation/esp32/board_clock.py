"""The clock of a simulated board's interpreter: libfaketime's file says how far it is from this computer's.

Mbed TLS judges certificates by it, and files get their times from it, as on a chip. The chip's own clock
(`buoyfleet.simulation.buses.chip`) leads; the file follows.
"""

import time
from pathlib import Path

AGREES_US = 5000
"""Nearer than this the file is left alone."""


class BoardClock:
    """What one board's interpreter takes for the time.

    Args:
        path: of its file, in a folder of the board's own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset_us: int | None = None

    def follow(self, utc_us: int) -> None:
        """It is `utc_us` (since 1970) by the chip's clock; written where that is news."""
        offset_us = utc_us - time.time_ns() // 1000
        if self._offset_us is not None and abs(offset_us - self._offset_us) < AGREES_US:
            return
        self._offset_us = offset_us
        new = self.path.with_name(f".{self.path.name}.new")
        new.write_text(f"{offset_us / 1e6:+.6f}")
        # Whole at every moment: the interpreter reads it whenever it asks for the time.
        new.replace(self.path)
