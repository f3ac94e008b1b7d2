"""Ways to reset a board, tried in turn until one works."""

import contextlib
import time
from collections.abc import Callable, Iterator

from buoyfleet.model.errors import BoardError, PreflightError
from buoyfleet.serial.esptool import Esptool
from buoyfleet.serial.port import SerialPort, open_port
from buoyfleet.serial.raw_repl import RawRepl

_PROMPT_S = 15.0
"""For the prompt, once Ctrl-C has stopped what would have run; only who is not caught takes so long."""
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
    with contextlib.suppress(BoardError):
        # A program that floods the line can drown the answers of this attempt.
        Esptool(port).identify(flash=False)
        return "esptool"
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


@contextlib.contextmanager
def caught_at_boot(port: str, on_text: Callable[[bytes], None] | None = None) -> Iterator[RawRepl]:
    """Reset a board and keep its main.py from running; the raw REPL, which is left at the end.

    Raises:
        BoardError: no way to reset it worked, or there is no prompt all the same.
    """
    line = open_port(port)
    try:
        if not _pulse_on(line):
            line.close()
            press_reset(port)
            line = open_port(port)
        repl = RawRepl(line, port, on_text)
        repl.catch_boot()
        repl.enter(_PROMPT_S)
        yield repl
        repl.leave()
    finally:
        with contextlib.suppress(OSError):
            line.close()


def _pulse(port: str) -> bool:
    line = open_port(port)
    try:
        return _pulse_on(line)
    finally:
        line.close()


def _pulse_on(line: SerialPort) -> bool:
    try:
        line.dtr = False
        line.rts = True
        time.sleep(EN_LOW_S)
        line.rts = False
    except OSError:
        return False  # a PTY: no such lines
    return True
