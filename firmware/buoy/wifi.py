"""Wi-Fi of a board: joins, notices loss, backs off; never waits."""

from sensors import once, seldom

_JOIN_MS = 15000
_BACKOFF_MIN_MS = 1000
_BACKOFF_MAX_MS = 60000
_LOOK_MS = 200  # between two looks at the interface


class Wifi:
    """A state machine over `network.WLAN`.

    Args:
        wlan: `network.WLAN(network.STA_IF)` (active, connect, disconnect, isconnected).
        ssid, password: of the access point.
        random: returns [0, 1).
        log: called with a line.
    """

    @once
    def __init__(self, wlan, ssid, password, random, log):
        self._wlan = wlan
        self._ssid = ssid
        self._password = password
        self._random = random
        self._log = log
        self._failures = 0
        self._joining = False
        self._until_ms = 0  # end of joining, or of the back-off
        self.up = False
        self.losses = 0

    def step(self, now_ms):
        """Do what is due; returns when to be called next."""
        if self._wlan.isconnected():
            if not self.up:
                self.up = True
                self._joining = False
                self._failures = 0
                self._log("Wi-Fi joined")
            return now_ms + _LOOK_MS
        if self.up:
            self.up = False
            self.losses += 1
            self._fail("Wi-Fi lost", now_ms)
        elif now_ms >= self._until_ms:
            if self._joining:
                self._fail("Wi-Fi not joined within %d s" % (_JOIN_MS // 1000), now_ms)
            else:
                self._join(now_ms)
        return min(self._until_ms, now_ms + _LOOK_MS)

    @seldom
    def _join(self, now_ms):
        self._until_ms = now_ms + _JOIN_MS
        self._joining = True
        try:
            self._wlan.active(True)
            self._wlan.connect(self._ssid, self._password)
        except (OSError, RuntimeError) as error:
            # "Wifi Internal Error" is an OSError of ports before 1.25, a RuntimeError since.
            self._fail("Wi-Fi: %s" % error, now_ms)

    @seldom
    def _fail(self, reason, now_ms):
        if self._joining:
            # Otherwise ESP-IDF goes on by itself and the next connect is refused.
            try:
                self._wlan.disconnect()
            except (OSError, RuntimeError):
                pass  # it was not joining: that is what is wanted
        self._joining = False
        delay_ms = min(_BACKOFF_MAX_MS, _BACKOFF_MIN_MS << min(self._failures, 8))
        self._failures += 1
        self._until_ms = now_ms + int(delay_ms * (0.5 + self._random() / 2))
        self._log(reason)
