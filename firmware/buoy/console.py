"""The serial console: one JSON object per line behind a marker, so that log lines and answers share a port.

    to the board     @buoy {"id": 7, "do": "health"}
    from the board   @buoy {"id": 7, "ok": {...}} 1c2d3e4f
                     @buoy {"id": 7, "error": "...", "code": 2} 1c2d3e4f   for people, and for programs
                     @buoy {"n": 12, "event": {...}} 1c2d3e4f  unasked; n counts, so that loss is noticed
                     @buoy {"busy_ms": 15000} 1c2d3e4f         nothing is answered for so long at most
                     # info ...                                a log line

Behind the object stands its CRC-32 in hexadecimal: a line that noise has changed is no line. The board always
writes it, and checks it where it is there; people need not.

Every request with an id is answered exactly once. A line that is too long, breaks off, or is no request is
dropped and counted; what has no id cannot be answered. The console does no I/O: `feed` takes bytes, `take`
gives bytes.
"""

import json
from binascii import crc32

from buoy.jsonobject import parse_object
from sensors import once, seldom

MARKER = b"@buoy "
MAX_LINE_BYTES = 2048
# Beyond it events are dropped, which their numbers show; answers and at most as many log lines are kept.
MAX_WAITING_BYTES = 4096
PIECE_BYTES = 256  # what is sent at once, about

_MAX_REASON = 600  # a longer one is cut: every mistake in a settings file can be many

LEVELS = ("debug", "info", "warning", "error")


# Why a request is refused (docs/firmware.md); programs decide by it, the text is for people.
UNKNOWN_COMMAND = 1
INVALID = 2  # a field is wrong or missing
BUSY = 3  # something else is under way; the same request is followed later
OPEN = 4  # an interrupted calibration waits to be restored
NOT_RUNNING = 5  # the application does not run
NO_TIME = 6  # the time is not known
FAILED = 7  # the board or a circuit could not do it


class Refused(ValueError):
    """A request that cannot be followed: the text of the answer and, if it is not `INVALID`, the code."""


# What a handler returns to answer at a later time, by calling `console.answer(request_id, ...)`.
LATER = object()


def sealed(body):
    """An object's bytes with their CRC-32."""
    return body + b" %08x" % (crc32(body) & 0xFFFFFFFF)


@seldom
def checked(data):
    """The object's bytes; raises ValueError if what stands behind is not their CRC-32."""
    end = data.rfind(b"}") + 1
    body = data[:end]
    tail = data[end:].strip()
    if tail and tail != b"%08x" % (crc32(body) & 0xFFFFFFFF):
        raise ValueError("the line was changed on its way")
    return body


def pieces(value):
    """JSON of a value in texts that are short: a board has no room for an answer in one piece."""
    if not isinstance(value, dict):
        yield json.dumps(value)
        return
    before = "{"
    for key in value:
        yield before + json.dumps(key) + ": "
        yield from pieces(value[key])
        before = ", "
    yield "}" if value else "{}"


class Console:
    """Lines in, lines out.

    Args:
        handlers: command → function(request) that returns what is answered as "ok", or `LATER`, or raises
            `Refused`, with a code if it is not `INVALID`; the request is the parsed object.
        overflow: takes bytes when too many wait, as `port.write`; without it events and logs are dropped.
    """

    @once
    def __init__(self, handlers, level="info", overflow=None):
        self._overflow = overflow
        self.handlers = handlers
        self._line = bytearray()
        self._too_long = False
        self._out = []
        self._waiting = 0  # bytes in _out
        self.ring = None  # where events are kept, while a test is under way
        self.events = 0  # told since the start, dropped ones too
        self.dropped_lines = 0  # that came and were no request
        self.dropped_events = 0
        self.dropped_logs = 0
        self._level = LEVELS.index(level)

    def feed(self, data):
        """Bytes from the port."""
        for byte in data:
            if byte in (10, 13):
                if self._too_long:
                    self.dropped_lines += 1
                elif self._line:
                    self._take_line()
                self._line = bytearray()
                self._too_long = False
            elif not self._too_long:
                if len(self._line) < MAX_LINE_BYTES:
                    self._line.append(byte)
                else:
                    self._too_long = True
                    self._line = bytearray()

    def take(self):
        """Bytes for the port, as many as are wanted in one piece; b"" if there are none."""
        size = count = 0
        for piece in self._out:
            size += len(piece)
            count += 1
            if size >= PIECE_BYTES:
                break
        data = b"".join(self._out[:count])
        self._out = self._out[count:]
        self._waiting -= size
        return data

    def answer(self, request_id, value):
        """The answer to a request whose handler returned `LATER`; once per request."""
        self._put({"id": request_id, "ok": value})

    @seldom
    def refuse(self, request_id, error):
        """The other answer, of what was raised."""
        code = INVALID if isinstance(error, ValueError) else FAILED
        text = isinstance(error, (ValueError, OSError)) and str(error)
        if isinstance(error, Refused) and len(error.args) > 1:
            text, code = error.args
        self._put({"id": request_id, "error": (text or repr(error))[:_MAX_REASON], "code": code})

    def event(self, body):
        """Tell something unasked. It takes its number even if there is no room for it."""
        self.events += 1
        text = json.dumps(body).encode()
        if self.ring is not None:
            self.ring.add(text)
        if self._full():
            self.dropped_events += 1
            return
        self.tell(self.events, text)

    def tell(self, number, text):
        """An event's bytes, for the first time or once more."""
        self._append(MARKER + sealed(b'{"n": %d, "event": ' % number + text + b"}") + b"\r\n")

    @seldom
    def busy(self, ms):
        """Tell whoever asks that the board connects: until the next line, or so long, it does not listen."""
        self._append(MARKER + sealed(b'{"busy_ms": %d}' % ms) + b"\r\n")

    @seldom
    def set_level(self, level):
        """Least level of log lines that are shown; raises Refused."""
        if level not in LEVELS:
            raise Refused("level is %r; one of %s" % (level, ", ".join(LEVELS)))
        self._level = LEVELS.index(level)

    def log(self, text, level="info"):
        """One line of log, never mixed with an answer: it begins with "#" and holds no line end."""
        if LEVELS.index(level) < self._level:
            return
        if self._full():
            self.dropped_logs += 1
            return
        text = text.replace("\r", "\\r").replace("\n", "\\n")
        self._append(("# %s %s\r\n" % (level, text)).encode())

    # Inside

    @seldom
    def _take_line(self):
        line, self._line = self._line, bytearray()
        start = line.find(MARKER)  # noise may stand before it
        if start < 0:
            self.dropped_lines += 1
            return
        try:
            # Nothing holds the text while the request is followed.
            line = checked(line[start + len(MARKER) :])
            request = parse_object(line)
            line = None
        except ValueError:
            self.dropped_lines += 1
            return
        request_id = request.get("id")
        if isinstance(request_id, bool) or not isinstance(request_id, int):
            self.dropped_lines += 1
            return
        name = request.get("do")
        handler = self.handlers.get(name) if isinstance(name, str) else None
        try:
            if handler is None:
                raise Refused(
                    "unknown command %s; one of %s" % (repr(name)[:40], ", ".join(sorted(self.handlers))),
                    UNKNOWN_COMMAND,
                )
            value = handler(request)
            if value is not LATER:
                self.answer(request_id, value)
        except Exception as error:
            # A request comes from outside: whatever it does to the interpreter, the board goes on.
            self.refuse(request_id, error)

    def _full(self):
        if self._waiting > MAX_WAITING_BYTES and self._overflow is not None:
            while self._waiting:
                self._overflow(self.take())
        return self._waiting > MAX_WAITING_BYTES

    @seldom
    def _put(self, body):
        self._append(MARKER)
        crc = 0
        for piece in pieces(body):
            piece = piece.encode()
            crc = crc32(piece, crc)
            if self._waiting >= PIECE_BYTES and self._overflow is not None:
                self._overflow(self.take())
            self._append(piece)
        self._append(b" %08x\r\n" % (crc & 0xFFFFFFFF))

    def _append(self, line):
        self._out.append(line)
        self._waiting += len(line)
