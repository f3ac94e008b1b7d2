# ruff: noqa
# mypy: ignore-errors
"""MicroPython side: Ctrl-C as on a chip, between two bytecodes of a program.

The Unix port raises KeyboardInterrupt in the signal's handler, wherever the interpreter is: also where it has
locked its heap or its names, which then stay locked for ever. Here the handler only stores the exception where the
interpreter looks for a pending one, as `mp_sched_keyboard_interrupt` does on a chip. That place follows the
dictionaries of locals and globals in `mp_state_thread_t` (py/mpstate.h), and is tried before it is used.
A pending exception is raised at the next jump of a program, or when a wait is interrupted.
"""

import ffi
import struct
import uctypes

_WORD = struct.calcsize("P")
_KIND = uctypes.UINT32 if _WORD == 4 else uctypes.UINT64


class Gate:
    """Shut while the simulation does in Python what a chip does in one piece: its flash, a call to its parts.

    A Ctrl-C that came before or meanwhile is raised behind it. No jumps in here, as in `_came`.
    """

    def __init__(self):
        self.shut = 0
        self.missed = 0  # one was pending as the gate was shut
        self.came = 0  # while it was shut; only `_came` counts here
        self.seen = 0  # of these

    def enter(self):
        self.shut += 1
        self.missed |= _pending_low.p
        _pending.p = 0

    def leave(self):
        self.shut -= 1
        now = (self.missed + self.came - self.seen > 0) * _on > self.shut
        self.missed *= not now
        self.seen += (self.came - self.seen) * now
        _targets[now].p = _exception_at


def _address(thing):
    found = id(thing)
    return found if found >= 0 else found + (1 << (8 * _WORD - 1))


def _word(address):
    return uctypes.struct(address, {"p": _KIND | 0})


def _variables():
    """Where the interpreter's own variables begin and end."""
    first = last = 0
    with open("/proc/self/maps") as file:
        for line in file:
            words = line.split()
            start, end = [int(word, 16) for word in words[0].split("-")]
            if words[1][:2] != "rw":
                continue
            if len(words) > 5 and words[5].rsplit("/", 1)[-1].startswith("micropython"):
                first, last = start, end
            elif len(words) < 6 and start == last:
                return first, end
    return first, last


def _find(globals_of_this):
    """The word of the pending exception; to be called while this module is loaded."""
    first, last = _variables()
    both = struct.pack("PP", globals_of_this, globals_of_this)
    at = uctypes.bytearray_at(first, last - first).find(both)
    for number in range(2, 8 if at >= 0 else 0):
        word = _word(first + at + number * _WORD)
        if word.p:
            continue
        try:
            word.p = _exception_at
            for _ in range(2):
                pass
            word.p = 0
        except KeyboardInterrupt:
            return word
    raise RuntimeError("this MicroPython is built in a way that simulated boards do not know: no Ctrl-C")


def on():
    """A program begins: from here on Ctrl-C interrupts."""
    global _on
    _on = 1


def off():
    """It has ended. No jump in here: a pending exception would be raised there."""
    global _on
    _on = gate.missed = 0
    gate.seen = gate.came
    _pending.p = 0


def _came(_number):
    """Ctrl-C, at any moment of the interpreter: nothing may be allocated, locked or scheduled here. So there is no
    jump, at which it would look for what is pending."""
    _pending.p = 0  # of one before, not raised yet
    _tell(b"h")
    _trace.p = 0
    gate.came += gate.shut > 0
    _pending.p = _values[_on > gate.shut]


def _nudged(_number):
    """Ends a wait that began as Ctrl-C came: just before, it was looked for in vain."""


def start(tell):
    """Take the signals; `tell` sends a status byte to the supervisor."""
    global _tell, _handlers
    _tell = tell
    libc = ffi.open(None)
    _handlers = []
    for number, handler in ((2, _came), (10, _nudged)):  # SIGINT, SIGUSR1
        _handlers.append(ffi.callback("v", handler, "i"))
        libc.func("P", "signal", "iC")(number, _handlers[-1])
        libc.func("i", "siginterrupt", "ii")(number, 1)  # no wait goes on by itself


_on = 0
_exception = KeyboardInterrupt()
while not _address(_exception) & 0xFFFF:
    _exception = (KeyboardInterrupt(), _exception)[0]
_exception_at = _address(_exception)
_trace = _word(_exception_at + 2 * _WORD)  # `traceback_data` of it (py/objexcept.h)
_values = (0, _exception_at)
gate = Gate()
_pending = _find(_address(globals()))
_pending_low = uctypes.struct(uctypes.addressof(_pending), {"p": uctypes.UINT16 | 0})
_nowhere = bytearray(_WORD)
_targets = (_word(uctypes.addressof(_nowhere)), _pending)
