"""The one place that knows which interpreter runs the application."""

import sys

MICROPYTHON = sys.implementation.name == "micropython"
# Places of its modules, two bytes each, little endian; then the compiled modules.
LIBRARY = "/app/buoy/seldom.bin"


if MICROPYTHON:
    from collections import OrderedDict as new_ordered_dict  # its plain dict keeps no order
    from time import ticks_add, ticks_diff, ticks_ms

    # A file may stand in for these modules of the interpreter, so each `import` looks for one in every folder
    # of sys.path: some 100 reads of flash. Those that stand in sys.modules are not looked for.
    for _name in ("binascii", "json", "os", "select", "socket", "struct"):
        sys.modules[_name] = __import__(_name)
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


class _Library:
    """One module of LIBRARY, as a file system that holds nothing else.

    A module with a file of its own leaves three names in a board's table of names, for ever; all these share
    one name.
    """

    def __init__(self, group):
        self._group = group

    def mount(self, _readonly, _mkfs):
        pass

    def umount(self):
        pass

    def stat(self, path):
        if path != "/_.mpy":
            raise OSError(2)
        return (0x8000, 0, 0, 0, 0, 0, 0, 0, 0, 0)  # a file

    def open(self, _path, _mode):
        file = open(LIBRARY, "rb")  # noqa: SIM115 - whoever imports closes it
        begin = file.tell()  # within the file of the program
        file.seek(begin + 2 * self._group)
        file.seek(begin + int.from_bytes(file.read(2), "little"))
        return file


_last = []  # group that was loaded last, and its functions; empty: it is not kept


def keep_last(on):
    """Whether `flash_function` keeps what it loaded last: where it would load the same at every message."""
    _last[:] = (0, None) if on else ()


def flash_function(group, place):
    """A function that seldom runs, loaded from flash for one call; its memory is free when it has ended.

    What is installed has it in LIBRARY; the files of the tree have it where it belongs, marked with
    `sensors.seldom` or `sensors.once`.
    """
    if _last and _last[0] == group:
        return _last[1][place]
    import vfs

    vfs.mount(_Library(group), "/_")
    sys.path.insert(0, "/_")
    try:
        module = __import__("_")
        del sys.modules["_"]
    finally:
        sys.path.pop(0)
        vfs.umount("/_")
    if _last:
        _last[:] = (group, module.items)
    return module.items[place]


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
