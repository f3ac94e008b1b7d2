"""Runs before main.py. After a reset that was no wake-up it leaves 3 s in which Ctrl-C stops everything.

The watchdog is not running yet: once started it cannot be stopped, and would reset the board in the middle of
a file being copied.
"""

import machine

if machine.reset_cause() not in (machine.DEEPSLEEP_RESET, machine.SOFT_RESET):
    import time

    print("# info boot: 3 s for Ctrl-C")
    time.sleep(3)
