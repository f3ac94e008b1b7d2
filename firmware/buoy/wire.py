"""A socket for umqtt.simple that never blocks it: packets leave whole and are read only when whole."""

import select
import socket as system_socket

from buoy.shims import ticks_diff, ticks_ms
from sensors import seldom

# A configuration message is some hundred bytes; more than this is no message for a buoy.
MAX_PACKET_BYTES = 4096
FIRST_BUFFER_BYTES = 128  # both grow with what is sent and received


class Parked(Exception):
    """umqtt wants to wait for an answer; the link does that."""


class Wire:
    """Stands where umqtt expects a socket.

    `wrap` makes a TLS socket of a connected one, or is None; `deadline_ms` ends connecting.
    """

    @seldom
    def __init__(self, deadline_ms, wrap):
        self._deadline_ms = deadline_ms
        self._wrap = wrap
        self.socket = None
        self._out = bytearray(FIRST_BUFFER_BYTES)
        self._out_end = 0
        self._out_start = 0
        self._packet_start = 0
        self._in = bytearray(FIRST_BUFFER_BYTES)
        self._in_end = 0
        self._in_start = 0
        self._in_stop = 0  # end of the packet that umqtt may read now
        self._rest = 0  # bytes to come of a packet that is too large
        self.too_large = None  # its topic
        self.connecting = True

    # What umqtt calls

    @seldom
    def connect(self, address):
        """Within the deadline; leaves nothing open when it fails."""
        raw = system_socket.socket()
        try:
            remaining_ms = ticks_diff(self._deadline_ms, ticks_ms())
            if remaining_ms <= 0:
                raise OSError(110)
            raw.settimeout(remaining_ms / 1000)
            raw.connect(address)
            self.socket = raw if self._wrap is None else self._wrap(raw)
            self.socket.setblocking(False)
        except BaseException:
            # Also what the TLS wrapper raises: an open socket would eat memory at every retry.
            raw.close()
            raise

    def write(self, data, size=None):
        """Gather; nothing leaves before `flush`."""
        if isinstance(data, str):  # umqtt writes the client id as it was given
            data = data.encode()
        if size is None:
            size = len(data)
        end = self._out_end + size
        if end > len(self._out):
            self._compact()
            end = self._out_end + size
            if end > len(self._out):
                self._out.extend(bytes(end - len(self._out)))
        self._out[self._out_end : end] = data if size == len(data) else memoryview(data)[:size]
        self._out_end = end
        return size

    def read(self, size):
        """From the whole packet that is there; while connecting, wait for CONNACK within the deadline."""
        if self.connecting:
            self._await(size)
        elif self._in_start >= self._in_stop:
            raise Parked
        start = self._in_start
        end = min(start + size, self._in_stop)
        if end - start < size:
            raise OSError("a packet is shorter than its content")
        self._in_start = end
        return bytes(memoryview(self._in)[start:end])

    def settimeout(self, seconds):
        """The deadlines are the link's."""

    def setblocking(self, flag):
        """Never."""

    def close(self):
        """Safe to call twice."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    # What the transport calls

    def begin_packet(self):
        """What is written next is one packet."""
        self._packet_start = self._out_end

    def drop_packet(self):
        """Forget what was written since `begin_packet`."""
        self._out_end = self._packet_start

    def mark_duplicate(self):
        """Set DUP in the PUBLISH written since `begin_packet`."""
        self._out[self._packet_start] |= 0x08

    def backlog(self):
        """Bytes gathered that did not leave yet."""
        return self._out_end - self._out_start

    def flush(self):
        """Send what can be sent without waiting."""
        while self._out_start < self._out_end:
            count = self.socket.write(memoryview(self._out)[self._out_start : self._out_end])
            if not count:  # None: the system's buffer is full
                return
            self._out_start += count
        self._out_start = self._out_end = self._packet_start = 0

    def fill(self):
        """Read what is there; True if there may be more. Raises OSError when the peer closed."""
        if self._in_start:
            self._in[: self._in_end - self._in_start] = self._in[self._in_start : self._in_end]
            self._in_end -= self._in_start
            self._in_start = self._in_stop = 0
        room = len(self._in) - self._in_end
        if not room:
            return False  # next_packet makes room for the packet that has begun
        count = self.socket.readinto(memoryview(self._in)[self._in_end :])
        if count is None:
            return False
        if count == 0:
            raise OSError("closed by the broker")
        end = self._in_end + count
        if self._rest:
            # All that is in the buffer is of a packet that is too large.
            gone = min(self._rest, end)
            self._rest -= gone
            self._in[: end - gone] = self._in[gone:end]
            end -= gone
        self._in_end = end
        return count == room

    def next_packet(self):
        """First byte of the next whole packet, which umqtt may then read; None if there is none.

        With `too_large` set it is a PUBLISH of that topic, and its content is left out: what a broker keeps
        for a buoy would else end every connection.
        """
        start = self._in_start = max(self._in_start, self._in_stop)
        length = 0
        shift = 0
        for position in range(start + 1, min(start + 5, self._in_end)):
            byte = self._in[position]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                head = position + 1
                if length > MAX_PACKET_BYTES:
                    return self._leave_out(start, head, head + length)
                if not self._has(head + length):
                    return None
                self._in_stop = head + length
                return self._in[start]
        if self._in_end - start >= 5:
            raise OSError("a packet without a length")
        return None

    def _has(self, stop):
        """Whether what has begun is there up to `stop`; else there is room for it."""
        if stop <= self._in_end:
            return True
        missing = stop - self._in_start - len(self._in)
        if missing > 0:
            self._in.extend(bytes(missing))
        return False

    @seldom
    def _leave_out(self, start, head, stop):
        first = self._in[start]
        if not self._has(head + 2):
            return None
        topic = head + 2
        end = topic + (self._in[head] << 8 | self._in[head + 1])
        if first & 0xF0 != 0x30 or end - topic > MAX_PACKET_BYTES:
            raise OSError("a packet of %d bytes" % (stop - head))
        if not self._has(end + 2):
            return None
        self.too_large = bytes(self._in[topic:end])
        if first & 6:
            self.write(b"\x40\x02" + bytes(self._in[end : end + 2]))  # PUBACK, or it comes again and again
        self._in_stop = min(stop, self._in_end)
        self._rest = stop - self._in_stop
        return first

    def skip_packet(self):
        """Whatever umqtt left unread of the packet."""
        self._in_start = self._in_stop

    @seldom
    def _compact(self):
        waiting = self._out_end - self._out_start
        self._out[:waiting] = self._out[self._out_start : self._out_end]
        self._packet_start -= self._out_start
        self._out_start = 0
        self._out_end = waiting

    @seldom
    def _await(self, size):
        """Block until `size` bytes are there: CONNACK, under the one deadline of `open`."""
        poller = select.poll()
        poller.register(self.socket, select.POLLIN)
        while self._in_end - self._in_start < size:
            self.flush()
            remaining_ms = ticks_diff(self._deadline_ms, ticks_ms())
            if remaining_ms <= 0:
                raise OSError(110)
            poller.poll(min(remaining_ms, 50))
            self.fill()
        self._in_stop = self._in_start + size
