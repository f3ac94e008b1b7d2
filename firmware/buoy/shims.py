"""The one place that knows which interpreter runs the application."""

import sys

MICROPYTHON = sys.implementation.name == "micropython"


if MICROPYTHON:
    from collections import OrderedDict as new_ordered_dict  # its plain dict keeps no order
    from time import ticks_add, ticks_diff, ticks_ms
else:
    import time

    new_ordered_dict = dict

    def ticks_ms():
        """Milliseconds of a monotonic clock."""
        return time.monotonic_ns() // 1000000

    def ticks_add(ticks, delta):
        """The time `delta` ms later."""
        return ticks + delta

    def ticks_diff(later, earlier):
        """Milliseconds between two times."""
        return later - earlier


def forget(package, names):
    """Take modules out of a board's memory that only few moments need: whoever needs one imports it again.

    CPython keeps its modules, which others hold too.
    """
    if not MICROPYTHON:
        return
    holder = sys.modules[package]
    for name in names:
        if sys.modules.pop(package + "." + name, None) is not None and hasattr(holder, name):
            delattr(holder, name)


def new_random(seed):
    """A function that returns the next number in [0, 1): small, seeded, equal on both interpreters.

    Numerical Recipes' 32-bit linear congruential generator; only its upper 16 bits are used, so that a
    single-precision float holds the result exactly.
    """
    state = [(seed ^ 0x5DEECE66) & 0xFFFFFFFF]

    def draw():
        state[0] = (state[0] * 1664525 + 1013904223) & 0xFFFFFFFF
        return (state[0] >> 16) / 65536

    return draw
