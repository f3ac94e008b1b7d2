"""UTC from time servers (SNTP, RFC 4330 and RFC 5905): one question to one server.

An answer is believed if it answers our question (mode, version, our unguessable number given back), its
server is synchronised, and its time is inside the bounds of `buoy.timekeeping`. A clock that is known is
moved by more than a minute only when two answers in a row say so.
"""

import os

from buoy.timekeeping import EARLIEST_MS, LATEST_MS

_NTP_PORT = 123
# Seconds from 1900 (NTP, RFC 5905) to 1970.
_NTP_TO_UNIX_S = 2208988800
_ERA_S = 1 << 32

_WAIT_MS = 2000  # for an answer
_AT_ONCE = 8  # packets looked at in one step: a flood does not hold the board
_RETRY_MIN_MS = 1000
_RETRY_MAX_MS = 60000
# A time that nobody has confirmed is asked for again after the least interval of RFC 4330, then more rarely.
POLL_MIN_MS = 16000
POLL_GROWTH = 8
# A crystal of 20 ppm drifts under half a second in six hours, the oscillator of deep sleep 18 s in one.
REFRESH_MS = 6 * 3600 * 1000
REFRESH_LOW_POWER_MS = 3600 * 1000
DOUBT_MS = 60000
_DENIED_MS = 24 * 3600 * 1000  # DENY, RSTR: not asked for so long; RATE: for twice as long each time
_RATE_MS = 60000
PACKET_BYTES = 48


class Refused(ValueError):
    """An answer that is no time to trust."""


def parse_answer(packet):
    """UTC ms since 1970 at which a server sent its answer.

    Raises:
        Refused: it is no time to trust; the text says why.
    """
    if len(packet) < PACKET_BYTES:
        raise Refused("an answer of %d bytes" % len(packet))
    first, stratum = packet[0], packet[1]
    # Version 3 or 4, mode 4 (server).
    if first & 7 != 4 or not 3 <= first >> 3 & 7 <= 4:
        raise Refused("no answer of a server: first byte 0x%02x" % first)
    if stratum == 0:
        raise Refused("kiss-o'-death %r" % bytes(packet[12:16]))
    if first >> 6 == 3 or stratum > 15:
        raise Refused("not synchronised")
    seconds = int.from_bytes(bytes(packet[40:44]), "big")
    part = int.from_bytes(bytes(packet[44:48]), "big")
    if not seconds and not part:
        raise Refused("no time")
    utc_ms = (seconds - _NTP_TO_UNIX_S) * 1000 + (part * 1000 >> 32)
    if utc_ms < EARLIEST_MS:
        utc_ms += _ERA_S * 1000  # era 1 begins in February 2036
    if not EARLIEST_MS <= utc_ms <= LATEST_MS:
        raise Refused("%d s since 1900 is out of bounds" % seconds)
    return utc_ms


class Sntp:
    """One question, without waiting for the answer.

    Args:
        board: `clock`, `app`, `ntp_host` (names, with `:port` where it is not 123, and commas between),
            `random`, `console.log`, `open_ntp(host, port)`, which returns a non-blocking UDP socket connected
            to the server or raises OSError (the name look-up in it may block), and the dictionary `ntp`: what
            has to be known at the next question.
        set_time: called with (utc_ms, now_ms) when an answer is believed.
    """

    def __init__(self, board, set_time):
        self._board = board
        self._set_time = set_time
        self._servers = [name.strip() for name in board.ntp_host.split(",") if name.strip()]
        self._server = ""
        self._socket = None
        self._asked_ms = 0
        self._cookie = b""
        self.done = False  # `step` has said when to ask again

    def step(self, now_ms):
        """Do what is due; returns when to be called next."""
        if self._socket is None:
            return self._ask(now_ms)
        for _ in range(_AT_ONCE):
            try:
                packet = self._socket.recv(PACKET_BYTES)
            except OSError as error:
                if error.args and error.args[0] in (11, 35):  # EAGAIN
                    break
                return self._failed(str(error), now_ms)
            # What does not give our number back is no answer to us, whoever sent it.
            if bytes(packet[24:32]) == self._cookie:
                return self._answered(packet, now_ms)
        if now_ms - self._asked_ms >= _WAIT_MS:
            return self._failed("no answer", now_ms)
        return now_ms + 10

    def _ask(self, now_ms):
        kept = self._board.ntp
        held = kept.get("held", {})
        count = len(self._servers)
        if "at" not in kept:
            # Boards that sleep begin here each time: not always with the same server.
            kept["at"] = int(self._board.random() * count)
        for _ in range(count):
            self._server = self._servers[kept["at"] % count]
            kept["at"] += 1
            if now_ms >= held.get(self._server, (now_ms,))[0]:
                break
        else:
            return self._end(min([held[name][0] for name in self._servers] or [now_ms + REFRESH_MS]))
        request = bytearray(PACKET_BYTES)
        request[0] = 0x23  # version 4, mode 3 (client)
        # The server gives our transmit time back. It is no time: nobody can guess it.
        self._cookie = os.urandom(8)
        request[40:48] = self._cookie
        self._asked_ms = now_ms
        host, _, port = self._server.partition(":")
        try:
            self._socket = self._board.open_ntp(host, int(port or _NTP_PORT))
            self._socket.send(request)
        except (OSError, ValueError) as error:
            return self._failed(str(error), now_ms)
        return now_ms + 10

    def _answered(self, packet, now_ms):
        board = self._board
        clock = board.clock
        kept = board.ntp
        try:
            utc_ms = parse_answer(packet)
        except Refused as error:
            if packet[1] == 0 and len(packet) >= PACKET_BYTES:
                self._hold(bytes(packet[12:16]), now_ms)
            return self._failed(str(error), now_ms)
        kept["failures"] = 0
        # Half of the round trip has passed since the server sent.
        utc_ms += (now_ms - self._asked_ms) // 2
        ahead_ms = utc_ms - clock.utc_ms(now_ms)
        if not clock.known():
            clock.poll_ms = POLL_MIN_MS
        elif -DOUBT_MS <= ahead_ms <= DOUBT_MS:
            longest_ms = REFRESH_LOW_POWER_MS if board.app is not None and board.app.low_power else REFRESH_MS
            clock.poll_ms = min(max(POLL_MIN_MS, POLL_GROWTH * clock.poll_ms), longest_ms)
        else:
            doubt_ms = kept.get("doubt")
            clock.poll_ms = POLL_MIN_MS
            if doubt_ms is None or not -DOUBT_MS <= ahead_ms - doubt_ms <= DOUBT_MS:
                kept["doubt"] = ahead_ms
                board.console.log("time server %s: %d s from our time" % (self._server, ahead_ms // 1000))
                return self._end(now_ms + (_RETRY_MIN_MS if len(self._servers) > 1 else POLL_MIN_MS))
        kept["doubt"] = None
        self._set_time(utc_ms, now_ms)
        return self._end(now_ms + clock.poll_ms)

    def _hold(self, code, now_ms):
        """A server that does not want to be asked."""
        held = self._board.ntp.setdefault("held", {})
        wait_ms = _DENIED_MS
        if code == b"RATE":
            wait_ms = min(2 * held.get(self._server, (0, _RATE_MS // 2))[1], _DENIED_MS)
        elif code not in (b"DENY", b"RSTR"):
            return
        held[self._server] = (now_ms + wait_ms, wait_ms)

    def _failed(self, reason, now_ms):
        """The next server, soon; ever later when none of them is any good."""
        board = self._board
        board.console.log("time server %s: %s" % (self._server, reason))
        kept = board.ntp
        kept["failures"] = failures = kept.get("failures", 0) + 1
        rounds = (failures - 1) // max(1, len(self._servers))
        delay_ms = min(_RETRY_MIN_MS << min(rounds, 6), _RETRY_MAX_MS)
        # Boards that lost their server together do not come back together.
        return self._end(now_ms + int(delay_ms * (0.5 + board.random() / 2)))

    def _end(self, next_ms):
        self.done = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        return next_ms
