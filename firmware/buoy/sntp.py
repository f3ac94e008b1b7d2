"""UTC from a time server (SNTP, RFC 5905)."""

# Seconds from 1900 (NTP, RFC 5905) to 1970.
_NTP_TO_UNIX_S = 2208988800
_ERA_S = 1 << 32
# 2024-01-01: an answer before it is a wrong one, or one of the next NTP era.
_EARLIEST_S = 1704067200

_WAIT_MS = 2000  # for an answer
_RETRY_MIN_MS = 1000
_RETRY_MAX_MS = 60000
REFRESH_MS = 6 * 3600 * 1000  # a crystal of 20 ppm drifts under half a second in that time
PACKET_BYTES = 48


def parse_answer(packet):
    """UTC ms since 1970 at which a server sent its answer; None if that is no time to trust.

    Checked: length, mode 4 (server), leap indicator not "unsynchronised", stratum 1 to 15 (RFC 5905).
    """
    if len(packet) < PACKET_BYTES or packet[0] & 7 != 4 or packet[0] >> 6 == 3 or not 1 <= packet[1] <= 15:
        return None
    seconds = int.from_bytes(bytes(packet[40:44]), "big") - _NTP_TO_UNIX_S
    if seconds < _EARLIEST_S:
        seconds += _ERA_S  # era 1 begins in February 2036
    return seconds * 1000 + (int.from_bytes(bytes(packet[44:48]), "big") * 1000 >> 32)


class Sntp:
    """Asks a time server, without waiting for it.

    Args:
        clock: `Clock`, set when an answer came.
        open_socket: returns a non-blocking UDP socket connected to the server (send, recv, close), or raises
            OSError. The name look-up in it may block.
        log: called with a line.
    """

    def __init__(self, clock, open_socket, log):
        self._clock = clock
        self._open = open_socket
        self._log = log
        self._socket = None
        self._asked_ms = 0
        self._cookie = b""
        self._delay_ms = _RETRY_MIN_MS
        self._next_ms = 0
        self.done = False  # the clock is set, and nothing to be done for long

    def step(self, now_ms):
        """Do what is due; returns when to be called next."""
        if self._socket is None:
            if now_ms < self._next_ms:
                return self._next_ms
            return self._ask(now_ms)
        try:
            packet = self._socket.recv(PACKET_BYTES)
        except OSError as error:
            if error.args and error.args[0] not in (11, 35):  # EAGAIN
                return self._retry("time server: %s" % error, now_ms)
            packet = None
        if packet and bytes(packet[24:32]) == self._cookie:
            utc_ms = parse_answer(packet)
            if utc_ms is None:
                return self._retry("time server: not synchronised", now_ms)
            # Half of the round trip has passed since the server sent.
            self._clock.set_utc(utc_ms + (now_ms - self._asked_ms) // 2, now_ms)
            self._close()
            self._delay_ms = _RETRY_MIN_MS
            self._next_ms = now_ms + REFRESH_MS
            self.done = True
            return self._next_ms
        if now_ms - self._asked_ms >= _WAIT_MS:
            return self._retry("time server: no answer", now_ms)
        return now_ms + 10

    def _ask(self, now_ms):
        self.done = False
        request = bytearray(PACKET_BYTES)
        request[0] = 0x23  # version 4, mode 3 (client)
        # The server gives our transmit time back: an answer to an older request is told apart by it.
        request[40:48] = int(now_ms + 1).to_bytes(8, "big")
        self._cookie = bytes(request[40:48])
        self._asked_ms = now_ms
        try:
            self._socket = self._open()
            self._socket.send(request)
        except OSError as error:
            return self._retry("time server: %s" % error, now_ms)
        return now_ms + 10

    def _retry(self, reason, now_ms):
        self._log(reason)
        self._close()
        self._next_ms = now_ms + self._delay_ms
        self._delay_ms = min(2 * self._delay_ms, _RETRY_MAX_MS)
        return self._next_ms

    def _close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None
