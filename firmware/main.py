"""Starts the board; whatever ends it unasked restarts it, and Ctrl-C leaves it to the REPL."""

from buoy.esp32_board import run

run()
