"""Why a board refuses a request: the codes of its console (docs/firmware.md)."""

from enum import IntEnum

from buoy import console


class RefusalCode(IntEnum):
    """As the firmware has them. Decide by these, never by the text beside them."""

    UNSAID = 0
    """The firmware is older than the codes."""
    UNKNOWN_COMMAND = console.UNKNOWN_COMMAND
    INVALID = console.INVALID
    """A field is wrong or missing."""
    BUSY = console.BUSY
    """Something else is under way; the same request is followed later."""
    OPEN = console.OPEN
    """An interrupted calibration waits to be restored."""
    NOT_RUNNING = console.NOT_RUNNING
    """The application does not run."""
    NO_TIME = console.NO_TIME
    """The board does not know the time."""
    FAILED = console.FAILED
    """The board or a circuit could not do it."""


def refusal_code(value: object) -> RefusalCode:
    """The code of an answer; one that this version does not know counts as unsaid."""
    try:
        return RefusalCode(value)  # type: ignore[arg-type]
    except ValueError:
        return RefusalCode.UNSAID
