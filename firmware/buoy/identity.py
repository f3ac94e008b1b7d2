"""Who a board is, in NVS: what flashing files does not touch, and what a reset must not forget.

Keys hold at most 15 characters (ESP-IDF's NVS). A missing key is an unset value, never an error.
"""

from sensors import seldom

NAMESPACE = "buoy"
MAX_TEXT_BYTES = 128
MAX_BUOY_ID = 999999999
RUN_MARK = "run"  # mark: a test plan is under way
DOWN = "down"  # mark: shut down by configuration, until a configuration says otherwise
# Every mark there is: those, commands by configuration, and what was refused (buoy.config).
MARKS = (RUN_MARK, DOWN, "reset", "shutdown", "bad_global", "bad_sensor", "bad_set")

# What it keeps on flash beside its program: folders, and how names of files in the root begin. With `keys`
# that is all that makes a board this buoy, and what wiping it takes away.
CERTS = "certs"
OUTBOX = "outbox"
EVENTS = "events"
FOLDERS = (CERTS, OUTBOX, EVENTS)
FILES = ("settings.", "ezo-")

_ID = "id"
_TEXTS = {"thing": "thing", "ssid": "wifi_ssid", "password": "wifi_key"}
_MAINTENANCE = "maint_s"
_DONE = "done_"  # + a mark


@seldom
def keys():
    """Every key that a buoy can have in the namespace: what wiping it takes away."""
    return [_ID, _MAINTENANCE] + list(_TEXTS.values()) + [_DONE + mark for mark in MARKS]


class IdentityError(ValueError):
    """A value that no board can have; nothing was written."""


class Identity:
    """The identity of one board.

    Args:
        nvs: an `esp32.NVS` (get_i32, set_i32, get_blob, set_blob, erase_key, commit).
    """

    def __init__(self, nvs):
        self._nvs = nvs

    @seldom
    def buoy_id(self):
        """Number of the buoy, None if unset."""
        return self._number(_ID)

    @seldom
    def set_buoy_id(self, number):
        """Raises IdentityError."""
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_BUOY_ID:
            raise IdentityError("buoy id is %r; a whole number from 0 to %d" % (number, MAX_BUOY_ID))
        self._nvs.set_i32(_ID, number)
        self._nvs.commit()

    @seldom
    def text(self, name):
        """`thing`, `ssid` or `password`; None if unset."""
        return self._text(_TEXTS[name])

    @seldom
    def set_texts(self, **texts):
        """Set several of `thing`, `ssid`, `password` at once; "" unsets.

        Raises:
            IdentityError: one of them is none; the message shows no secret.
        """
        for name in texts:
            text = texts[name]
            if not isinstance(text, str) or len(text.encode()) > MAX_TEXT_BYTES:
                raise IdentityError("%s is no text of at most %d bytes" % (name, MAX_TEXT_BYTES))
        for name in texts:
            self._write(_TEXTS[name], texts[name])
        self._nvs.commit()

    # Maintenance: no watchdog, no sleep, no application, for a time.

    @seldom
    def maintenance_s(self):
        """Seconds that the maintenance mode was asked for, 0 if it is off."""
        return self._number(_MAINTENANCE) or 0

    @seldom
    def set_maintenance(self, duration_s):
        """0 ends it. The time counts from each start of the board: NVS has no clock."""
        if isinstance(duration_s, bool) or not isinstance(duration_s, int) or not 0 <= duration_s <= 86400:
            raise IdentityError("maintenance is %r; seconds from 0 to 86400" % (duration_s,))
        self._nvs.set_i32(_MAINTENANCE, duration_s)
        self._nvs.commit()

    # The storage of `buoy.app.App`: marks of commands that were acted on.

    @seldom
    def get(self, key):
        """The mark last set, or None."""
        return self._text(_DONE + key)

    @seldom
    def set(self, key, mark):
        """Remember a mark; it is on flash when this returns."""
        self._write(_DONE + key, mark)
        self._nvs.commit()

    @seldom
    def _number(self, key):
        try:
            return self._nvs.get_i32(key)
        except OSError:
            return None  # ESP_ERR_NVS_NOT_FOUND

    @seldom
    def _text(self, key):
        buffer = bytearray(MAX_TEXT_BYTES)
        try:
            length = self._nvs.get_blob(key, buffer)
        except OSError:
            return None
        try:
            return bytes(buffer[:length]).decode()
        except ValueError:
            return None  # left over from another program

    @seldom
    def _write(self, key, text):
        if text:
            self._nvs.set_blob(key, text.encode())
            return
        try:
            self._nvs.erase_key(key)
        except OSError:
            pass  # it was not there
