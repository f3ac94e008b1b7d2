"""MicroPython of simulated boards as the set-up found it: with the 32-bit words of an ESP32 if they run."""

import shutil
from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.model.places import KEPT
from buoyfleet.simulation.esp32.board_clock import check_clock

NARROW = KEPT / "i386" / "bin" / "micropython"
WHY_NOT = KEPT / "no-32-bit-micropython"
"""Written by the set-up where it could not get the one with 32-bit words: the reason."""


def interpreter() -> Path:
    """The program that simulated boards run: 32-bit words, else this machine's own.

    Raises:
        PreflightError: neither, or it does not follow a board's clock.
    """
    fetched = (NARROW, KEPT / "bin" / "micropython")
    found = next((path for path in fetched if path.exists()), None) or shutil.which("micropython")
    if found is None:
        raise PreflightError(
            "no micropython", cause="the set-up did not run", next_step="make setup, or install micropython"
        )
    check_clock(Path(found))
    return Path(found)


def word_note() -> str:
    """What to say where boards run without 32-bit words; empty where they have them."""
    if NARROW.exists():
        return ""
    reason = WHY_NOT.read_text().strip() if WHY_NOT.exists() else "the set-up did not fetch it; `make setup`"
    return (
        f"Simulated boards run on 64-bit words, their heap scaled by two: memory figures are less exact. "
        f"No 32-bit MicroPython: {reason}"
    )
