"""Starts the program; whatever ends it unasked restarts the board, and Ctrl-C leaves it to the REPL."""

from start import begin

kept = begin()
del begin
try:
    from buoy.esp32_board import run
except Exception as error:
    if not kept:
        raise
    import sys

    import machine

    # A new program that cannot be loaded: after some tries the old one runs again.
    sys.print_exception(error)
    machine.reset()
run(kept)
