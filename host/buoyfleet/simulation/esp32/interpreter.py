"""MicroPython of simulated boards as the set-up found it: with the 32-bit words of an ESP32 if they run."""

from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.model.places import KEPT, SETUP
from buoyfleet.programs import find, umqtt
from buoyfleet.programs.catalogue import MICROPYTHON

NARROW = find.narrow(KEPT)
WHY_NOT = find.why_no_narrow(KEPT)


def interpreter() -> Path:
    """The program that simulated boards run: 32-bit words, else this machine's own.

    Raises:
        PreflightError: neither, it is too old, or it does not follow a board's clock.
    """
    found = NARROW if NARROW.exists() else find.which(MICROPYTHON.commands[0], KEPT)
    if found is None:
        raise PreflightError(f"simulated boards need {MICROPYTHON.wanted}: none was found", next_step=SETUP)
    try:
        find.version(MICROPYTHON, found)
    except PreflightError as error:
        raise PreflightError(error.what, cause=error.cause, next_step=SETUP) from error
    return found


def frozen_modules() -> Path:
    """Folder of what a stock image has frozen in and the Unix port has not: umqtt.

    Raises:
        PreflightError: it was not fetched; without it no board connects.
    """
    if not umqtt.present(KEPT):
        raise PreflightError(
            "simulated boards need umqtt, which stock images have frozen in: there is no copy",
            where=str(umqtt.place(KEPT)),
            next_step=SETUP,
        )
    return umqtt.place(KEPT)


def check_programs() -> None:
    """See that simulated boards can run here.

    Raises:
        PreflightError: they cannot; says what to type.
    """
    interpreter()
    frozen_modules()


def word_note() -> str:
    """What to say where boards run without 32-bit words; empty where they have them."""
    if NARROW.exists():
        return ""
    reason = WHY_NOT.read_text().strip() if WHY_NOT.exists() else f"it was not fetched yet; `{SETUP}`"
    return (
        f"Simulated boards run on 64-bit words, their heap scaled by two: memory figures are less exact. "
        f"No 32-bit MicroPython: {reason}"
    )
