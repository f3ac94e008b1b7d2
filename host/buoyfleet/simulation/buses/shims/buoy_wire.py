"""The wire from a MicroPython process to its bench: one line of JSON out, one answer back, over a stream.

    request   [time in µs or null, operation, argument, …] and a newline
    reply     six digits, the length of the JSON that follows:
              [value, changes, {pin: rising edges}]   or   ["!", exception, argument, …]
    strings   "s:text", bytes "b:hex"

A null time leaves the clock to the bench (a board in real time). The length stands first because raw files of
MicroPython read exactly as much as they are asked for.
"""

import json
import sys
import time
from binascii import hexlify, unhexlify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    ticks: Any
else:
    ticks = time  # ticks_us, ticks_diff, sleep_us: MicroPython's

_ERRORS = {"ValueError": ValueError, "OSError": OSError, "RuntimeError": RuntimeError}
_current: "list[Wire]" = []


def _outward(value: "Any") -> "Any":
    if isinstance(value, str):
        return "s:" + value
    if isinstance(value, (bytes, bytearray)):
        return "b:" + hexlify(value).decode()
    return value


def _inward(value: "Any") -> "Any":
    if isinstance(value, str):
        return unhexlify(value[2:]) if value[0] == "b" else value[2:]
    if isinstance(value, list) and value and isinstance(value[0], str):
        return [_inward(item) for item in value]
    return value


class Wire:
    """The call interface of a bench at the other end of a stream.

    Args:
        stream: binary, both ways, unbuffered.
        simulated: the clock is set by `now_us`; otherwise it is the interpreter's.
    """

    def __init__(self, stream: "Any", simulated: bool = False) -> None:
        self._stream = stream
        self.simulated = simulated
        self._now_us = 0
        self._last_us: "int | None" = None
        self.changes = 0
        self._handlers: "dict[int, tuple[Callable[[int], None], int]]" = {}
        self._timers: "list[Callable[[int], None]]" = []
        self.gate: "Any" = self
        """Entered and left around each exchange: no Ctrl-C may come in its middle."""

    @property
    def now_us(self) -> int:
        """The board's clock in µs; growing, never wrapping."""
        if self.simulated:
            return self._now_us
        now_us = ticks.ticks_us()
        if self._last_us is not None:
            self._now_us += ticks.ticks_diff(now_us, self._last_us)
        self._last_us = now_us
        return self._now_us

    @now_us.setter
    def now_us(self, now_us: int) -> None:
        self._now_us = now_us
        self.poll()

    def call(self, operation: str, *arguments: "Any") -> "Any":
        """One exchange."""
        now = self._now_us if self.simulated else None
        return self._exchange(json.dumps([now, operation] + [_outward(item) for item in arguments]))

    def bind(self, operation: str, *arguments: "Any") -> "Callable[..., Any]":
        """A callable that makes this call; further arguments may follow."""

        def bound(*more: "Any") -> "Any":
            return self.call(operation, *(arguments + more))

        return bound

    def wait_us(self, duration_us: int) -> bool:
        """Whether time passed."""
        if self.simulated:
            return False
        ticks.sleep_us(duration_us)
        return True

    def on_edge(self, gpio: int, handler: "Callable[[int], None] | None", trigger: int) -> None:
        """Call `handler(gpio)` for every edge that a reply reports; None: no more."""
        if handler is None:
            self._handlers.pop(gpio, None)
        else:
            self._handlers[gpio] = (handler, trigger)
        self.call("watch_edges", gpio, handler is not None)

    def add_timer(self, service: "Callable[[int], None]") -> None:
        """Have `service(now_us)` called at every `poll`."""
        self._timers.append(service)

    def remove_timer(self, service: "Callable[[int], None]") -> None:
        """No more."""
        if service in self._timers:
            self._timers.remove(service)

    def poll(self) -> None:
        """Serve timers and interrupts; a board's main loop calls it where nothing else does an exchange."""
        for service in list(self._timers):
            service(self.now_us)
        if self._handlers:
            self.call("edges")

    def _exchange(self, request: str) -> "Any":
        self.gate.enter()
        try:
            self._stream.write(request + "\n")
            head = self._stream.read(6)
            if not head:
                self._end()
            body = self._stream.read(int(head))
        finally:
            self.gate.leave()
        reply = json.loads(body)
        if reply[0] == "!":
            raise _ERRORS.get(reply[1], RuntimeError)(*[_inward(item) for item in reply[2:]])
        self.changes = reply[1]
        if len(reply) > 2:
            self._deliver(reply[2])
        return _inward(reply[0])

    def enter(self) -> None:
        """For a process that nobody interrupts."""

    def leave(self) -> None:
        """The same."""

    def _end(self) -> None:
        """The supervisor is gone and this process with it: nothing that a program catches may hold it up."""
        raise SystemExit(1)

    def _deliver(self, edges: "dict[str, int]") -> None:
        for pin in edges:
            handler, trigger = self._handlers.get(int(pin), (None, 0))
            if handler is not None:
                for _ in range(edges[pin] * (2 if trigger == 3 else 1)):
                    handler(int(pin))


def connect(stream: "Any", simulated: bool = False) -> Wire:
    """Make a stream the wire of this process."""
    wire = Wire(stream, simulated)
    _current[:] = [wire]
    return wire


def connect_fd(descriptor: int, simulated: bool = False) -> Wire:
    """The same for an open file descriptor, e.g. one end of a socket pair that was inherited."""
    return connect(open(descriptor, "r+b", 0), simulated)


def current() -> Wire:
    """The wire of this process."""
    if not _current:
        raise RuntimeError("no bench: call buoy_wire.connect_fd first")
    return _current[0]


def modules(name: str) -> "Any":
    """A module for drivers on the simulated clock: `time` is the board's."""
    if name == "time":
        name = "simulated_time"
    return sys.modules[name] if name in sys.modules else __import__(name)
