"""The two configuration topics: validated, applied to a running buoy, commands done once.

    config/global/  {"publish-time-interval": 900, "use-low-power-mode": true,
                     "reset": false, "shutdown": false}
    config/sensor/  {"ph": {"time-interval": 6000, "unit": null, "average-value": true,
                            "average-time-interval": 60, "disable": false}, ...}

All times are in seconds.

Both are retained, so a buoy gets the same text at every connection: `reset` and `shutdown` act once per
distinct message, which is remembered in the storage before acting.
"""

from buoy.identity import DOWN
from buoy.jsonobject import parse_object
from buoy.payload import CODE_BAD_CONFIG, FATAL_ERROR

MAX_SECONDS = 31 * 24 * 3600
LEAST_INTERVAL_S = 0.01  # IoT Core takes 100 messages a second
MAX_BYTES = 4000  # a real board can receive no more (buoy.wire)
_MAX_TEXT = 200

RESET = "reset"
SHUTDOWN = "shutdown"
WAKE = "wake"  # shut down before, and no longer

_SENSOR_FIELDS = ("time-interval", "unit", "average-value", "average-time-interval", "disable")
_GLOBAL_FIELDS = ("publish-time-interval", "use-low-power-mode", "reset", "shutdown")


class ConfigError(ValueError):
    """A configuration message that cannot be followed; nothing of it was applied."""


def follow(app, topic, payload, now_ms):
    """Apply a message on one of the two topics to a running buoy; one that cannot be followed is told once.

    Whatever a message does to the interpreter ends here: a retained one comes again after every start.

    Args:
        payload: None: the message was too large to be received.
    """
    why = ""
    try:
        if topic == app.topics.config_global:
            place = "bad_global"
            _follow_global(app, payload, now_ms)
        elif topic == app.topics.config_sensor:
            place = "bad_sensor"
            for change in parse_sensors(payload, app.sampler.every_key()):
                app.sampler.configure(*change)
            app.log("sensor configuration followed")
        else:
            return
    except Exception as error:
        why = "configuration refused: %s" % described(error)
    tell_once(app, place, payload or b"", why, now_ms)


def described(error):
    """An exception in words that fit into a message."""
    return (str(error) or type(error).__name__)[:_MAX_TEXT]


def tell_once(app, place, content, why, now_ms, code=CODE_BAD_CONFIG):
    """Tell on the error topic what is wrong with `content`; not again for the same one, nor after a restart.

    Args:
        place: where it came from; key of the mark in the storage, at most 10 characters.
        why: "": it is right, and what was wrong before is forgotten.
    """
    mark = digest(content) if why else ""
    told = False
    try:
        told = (app.storage.get(place) or "") == mark
        if not told:
            app.storage.set(place, mark)
    except OSError as error:
        app.log("%s: %s" % (place, error))
    if why:
        app.log(why)
        if not told:
            app.report_error(FATAL_ERROR, code, why, now_ms)


def _follow_global(app, payload, now_ms):
    wanted = parse_global(payload)
    if wanted.get(SHUTDOWN) is False and app.storage.get(DOWN) is not None:
        app.storage.set(DOWN, "")
        app.on_command(WAKE)
    interval_s = wanted.get("publish-time-interval")
    if interval_s is not None and app.schedule is not None and app.schedule.interval_ms is not None:
        app.schedule.change_interval(int(interval_s * 1000), now_ms)
        app.log("publish interval %s s" % interval_s)
    if "use-low-power-mode" in wanted:
        app.low_power = wanted["use-low-power-mode"]
    for command in (SHUTDOWN, RESET):
        if wanted.get(command):
            # Remembered before acting: the same retained message must not act again after the reboot.
            mark = digest(payload)
            if app.storage.get(command) != mark:
                app.storage.set(command, mark)
                app.log("%s by configuration" % command)
                app.on_command(command)
            return


def digest(payload):
    """A short text that tells two messages apart."""
    import hashlib
    from binascii import hexlify

    return hexlify(hashlib.sha256(payload).digest()[:8]).decode()


def parse_global(payload):
    """Checked content of a `config/global/` message: a dictionary of known fields."""
    body = _object(payload)
    _known(body, _GLOBAL_FIELDS, "config/global/")
    for name in ("use-low-power-mode", "reset", "shutdown"):
        if name in body and not isinstance(body[name], bool):
            raise ConfigError("%s is %r; true or false" % (name, body[name]))
    if "publish-time-interval" in body:
        _seconds(body["publish-time-interval"], "publish-time-interval", LEAST_INTERVAL_S)
    return body


def parse_sensors(payload, keys):
    """Checked content of a `config/sensor/` message: list of (key, interval_ms, average_ms, disabled)."""
    body = _object(payload)
    _known(body, keys, "config/sensor/")
    changes = []
    for key in body:
        fields = body[key]
        if not isinstance(fields, dict):
            raise ConfigError("%s is %r; an object" % (key, fields))
        _known(fields, _SENSOR_FIELDS, key)
        for name in ("average-value", "disable"):
            if not isinstance(fields.get(name, False), bool):
                raise ConfigError("%s of %s is %r; true or false" % (name, key, fields[name]))
        interval_s = _seconds(fields.get("time-interval", 0) or 0, "time-interval of " + key, 0)
        average_s = _seconds(
            fields.get("average-time-interval", 0) or 0, "average-time-interval of " + key, 0
        )
        if not fields.get("average-value", False):
            average_s = 0
        changes.append((key, int(interval_s * 1000), int(average_s * 1000), fields.get("disable", False)))
    return changes


def _object(payload):
    if payload is None or len(payload) > MAX_BYTES:
        raise ConfigError("more than %d bytes" % MAX_BYTES)
    try:
        return parse_object(payload)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _known(body, names, where):
    for name in body:
        if name not in names:
            raise ConfigError("unknown key %r in %s" % (name, where))


def _seconds(value, name, least):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError("%s is %r; seconds" % (name, value))
    if not least <= value <= MAX_SECONDS:
        raise ConfigError("%s is %r; from %g to %d seconds" % (name, value, least, MAX_SECONDS))
    return value
