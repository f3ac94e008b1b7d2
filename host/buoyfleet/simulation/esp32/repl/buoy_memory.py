# ruff: noqa
# mypy: ignore-errors
"""The Python heap of an ESP32 inside a larger one of the Unix port, which can neither begin small nor grow.

On the chip the heap is areas: the first, and further ones that are taken from the RAM of Wi-Fi and TLS when what
is alive no longer fits. Here
- ballast holds what the chip has not got, so that a MemoryError comes where it would come there;
- `gc.threshold` makes a collection fall due when the areas would be full; what is alive then decides on growth;
- the collector closes a forgotten pipe, whose signal tells that it ran: objects of Python have no finaliser;
- what the simulation itself has in this heap is subtracted.
Known to differ: the areas here are one piece, so MARGIN stands for what an area cannot use when it is fragmented.
"""

import ffi
import gc as _gc
import sys
from array import array
from utime import ticks_diff as _ticks_diff, ticks_ms as _ticks_ms

import micropython as _micropython

FIRST_AREA = 56 * 1024  # MICROPY_GC_INITIAL_HEAP_SIZE of the ESP32
BARE = 1800  # in use at the prompt of a stock image
UMQTT = 848  # what importing the frozen umqtt.simple takes there; here it is loaded as source, before anything counts
LEAST = 2048  # of a further area: py/gc.c adds so much to what did not fit
MARGIN = 2048
SELDOM = 16384
ASKED_MS = 250  # so old may the largest block be
# Words of 64 bit: what the firmware takes there for each byte on words of 32.
WIDE = 152 if sys.maxsize > 1 << 32 else 100

_wire = None
_areas = [FIRST_AREA]
_ballast = []
_ballast_bytes = 0
_own = 0  # of the simulation, in this heap
_room = 0  # of this heap
_limit = -1  # gc.threshold of the program
_largest = 0
_asked = 0
_working = False
_end = array("i", (-1, -1))
_signals = False


def pool(size):
    """Bytes of an area that hold objects: of 65.5, its tables take 1.5."""
    return size * 128 // 131


def capacity():
    total = 0
    for size in _areas:
        total += pool(size)
    return total


def used():
    """Bytes that a chip would count."""
    return max(0, _gc.mem_alloc() - _own - _ballast_bytes) * 100 // WIDE


def start(wire):
    """From here on what is allocated is the program's."""
    global _wire, _own, _room
    _wire = wire
    _fill_gaps()
    _watch()
    chip = BARE + (UMQTT if "umqtt.simple" in sys.modules else 0)
    _own = _gc.mem_alloc() - chip * WIDE // 100
    _room = _gc.mem_alloc() + _gc.mem_free()
    refresh()


def _fill_gaps():
    """Compiling the simulation's modules left small gaps between them, which a chip has not got."""
    global _gaps
    _gc.collect()
    top = []
    try:
        while True:
            top.append(bytearray(4080))
    except MemoryError:
        pass
    size = 2048
    chain = None
    while size >= 32:
        try:
            chain = (chain, bytearray(size - 16))
        except MemoryError:
            size >>= 1
    _gaps = chain
    top = None
    _gc.collect()


def excuse(size):
    """So many bytes more are the simulation's."""
    global _own
    _own += size


def refresh():
    """Other users of the chip's RAM took or gave some: see what Python may still have."""
    global _working
    if _working:
        return
    _working = True
    try:
        _ask()
        _fit()
    finally:
        _working = False


def _ask():
    global _largest, _asked
    _largest = _wire.call("idf_largest")
    _asked = _ticks_ms()


def _fit():
    """Ballast and threshold by areas and largest block."""
    global _ballast_bytes
    grows = pool(_largest) if _largest >= LEAST + 16 else 0
    wanted = _room - _own - (capacity() + grows) * WIDE // 100
    while _ballast and _ballast_bytes > wanted + 256:
        _ballast_bytes -= len(_ballast.pop()) + 16
    size = 4096
    while wanted - _ballast_bytes >= 256:
        piece = min(size, wanted - _ballast_bytes) & -16
        try:
            _ballast.append(bytearray(piece - 16))
            _ballast_bytes += piece
        except MemoryError:
            if size == 4096:
                _gc.collect()
            size >>= 1
            if size < 256:
                break
    left = max(1024, (capacity() - used()) * WIDE // 100)
    # What a program asks for itself is met less often than on a chip, where flash, pins and sockets make no garbage.
    # What is alive afterwards is the same.
    _gc.threshold(left if _limit < 0 else min(left, max(_limit, SELDOM)))


def _watch():
    """Have the next collection signal."""
    global _signals
    if not _signals:
        libc = ffi.open(None)
        global _pipe, _fcntl, _close, _pid, _callback
        _pipe, _close = libc.func("i", "pipe", "p"), libc.func("i", "close", "i")
        _fcntl = libc.func("i", "fcntl", "iii")
        _pid = libc.func("i", "getpid", "")()
        _callback = ffi.callback("v", _signal, "i", lock=True)
        libc.func("P", "signal", "iC")(29, _callback)  # SIGIO
        _signals = True
    if _end[0] >= 0:
        _close(_end[0])
    _pipe(_end)
    _fcntl(_end[0], 8, _pid)  # F_SETOWN
    _fcntl(_end[0], 4, 0x2800)  # F_SETFL: O_ASYNC, O_NONBLOCK
    open(_end[1], "wb")  # nobody keeps it


def _collected(_):
    """The collector ran."""
    gate = _wire.gate
    gate.enter()
    if _working or gate.shut > 1:  # in the middle of a call: as soon as it is over
        _schedule(_collected, None)
    else:
        _measure()
    gate.leave()


def _measure():
    """See whether the heap has to grow."""
    global _working
    _working = True
    try:
        _watch()
        live = used()
        _wire.call("python_live", live)
        while live > capacity() - MARGIN:
            total = 0
            for size in _areas:
                total += size
            size = _wire.call("idf_grow", len(_areas) + 1, total, max(0, live - capacity()) + LEAST)
            if not size:
                break
            _areas.append(size)
            _ask()
        if _ticks_diff(_ticks_ms(), _asked) > ASKED_MS:
            _ask()
        _fit()
    finally:
        _working = False


_schedule = _micropython.schedule


def _signal(_number):
    _schedule(_collected, None)


class Gc:
    """The module `gc`."""

    def mem_alloc(self):
        return used()

    def mem_free(self):
        # As the port: what could still be taken counts as free.
        _ask()
        return max(0, capacity() - used()) + _largest

    def threshold(self, amount=None):
        global _limit
        if amount is None:
            return _limit
        _limit = amount
        _fit()

    def __getattr__(self, name):
        return getattr(_gc, name)


def mem_info(verbose=None):
    total = capacity()
    now = used()
    print("stack: 1040 out of 15360")
    print(
        "GC: total: %d, used: %d, free: %d, max new split: %d" % (total, now, max(0, total - now), _largest)
    )


def weigh(module, name):
    """Excuse what an object of a simulated module takes here: on the chip it lies outside the heap. Once for each
    first argument, since the chip has each pin and converter once."""
    base = getattr(module, name)
    seen = set()

    class Weighed(base):
        def __init__(self, *arguments, **named):
            key = repr(arguments[0]) if arguments else ""
            if key in seen:
                super().__init__(*arguments, **named)
                return
            seen.add(key)
            # Its buffers may change what Python may have: ballast is no part of it.
            _gc.collect()
            before = _gc.mem_alloc() - _ballast_bytes
            super().__init__(*arguments, **named)
            _gc.collect()
            excuse(_gc.mem_alloc() - _ballast_bytes - before)

    setattr(module, name, Weighed)
