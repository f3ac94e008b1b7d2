"""Ways to reset a board, tried in turn until one works."""

import contextlib
import time

from host.model.errors import BoardError, PreflightError
from host.serial.esptool import Esptool
from host.serial.port import open_port

EN_LOW_S = 0.1
"""The capacitor at EN needs a few milliseconds; esptool holds it as long."""


def press_reset(port: str) -> str:
    """Reset a board as its button does; returns by which way.

    With modem lines RTS pulls EN low. Without them (a PTY, `socket://`), esptool calls the boot loader and
    lets the chip go again. The caller holds the lock and has the port closed.

    Raises:
        BoardError: neither worked.
    """
    with contextlib.suppress(OSError, PreflightError):
        if _pulse(port):
            return "RTS"
    try:
        Esptool(port).identify(flash=False)
    except BoardError as error:
        raise BoardError(
            f"could not be reset: {error.what}",
            where=port,
            cause=error.cause,
            next_step="press EN (reset) on the board, or unplug it and plug it in again",
        ) from error
    return "esptool"


def _pulse(port: str) -> bool:
    line = open_port(port)
    try:
        line.dtr = False
        line.rts = True
        time.sleep(EN_LOW_S)
        line.rts = False
    except OSError:
        return False  # a PTY: no such lines
    finally:
        line.close()
    return True
