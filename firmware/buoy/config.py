"""The two configuration topics: validated, applied to a running buoy, commands done once.

    config/global/  {"publish-time-interval": 900, "use-low-power-mode": true,
                     "reset": false, "shutdown": false}
    config/sensor/  {"ph": {"time-interval": 6000, "unit": null, "average-value": true,
                            "average-time-interval": 60, "disable": false}, ...}

All times are in seconds.

Both are retained, so a buoy gets the same text at every connection: `reset` and `shutdown` act once per
distinct message, which is remembered in the storage before acting.
"""

from buoy.app import CODE_BAD_CONFIG, FATAL_ERROR
from buoy.jsonobject import parse_object

MAX_SECONDS = 31 * 24 * 3600

RESET = "reset"
SHUTDOWN = "shutdown"

_SENSOR_FIELDS = ("time-interval", "unit", "average-value", "average-time-interval", "disable")
_GLOBAL_FIELDS = ("publish-time-interval", "use-low-power-mode", "reset", "shutdown")


class ConfigError(ValueError):
    """A configuration message that cannot be followed; nothing of it was applied."""


def follow(app, topic, payload, now_ms):
    """Apply a message on one of the two topics to a running buoy; one that cannot be followed is told."""
    try:
        if topic == app.topics.config_global:
            _follow_global(app, payload, now_ms)
        elif topic == app.topics.config_sensor:
            for change in parse_sensors(payload, app.sampler.every_key()):
                app.sampler.configure(*change)
            app.log("sensor configuration followed")
    except ConfigError as error:
        text = "configuration refused: %s" % error
        app.log(text)
        app.report_error(FATAL_ERROR, CODE_BAD_CONFIG, text, now_ms)


def _follow_global(app, payload, now_ms):
    wanted = parse_global(payload)
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
        _seconds(body["publish-time-interval"], "publish-time-interval", False)
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
        interval_s = _seconds(fields.get("time-interval", 0) or 0, "time-interval of " + key, True)
        average_s = _seconds(
            fields.get("average-time-interval", 0) or 0, "average-time-interval of " + key, True
        )
        if not fields.get("average-value", False):
            average_s = 0
        changes.append((key, int(interval_s * 1000), int(average_s * 1000), fields.get("disable", False)))
    return changes


def _object(payload):
    try:
        return parse_object(payload)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _known(body, names, where):
    for name in body:
        if name not in names:
            raise ConfigError("unknown key %r in %s" % (name, where))


def _seconds(value, name, zero):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError("%s is %r; seconds" % (name, value))
    if value < 0 or value > MAX_SECONDS or (value == 0 and not zero):
        raise ConfigError("%s is %r; above 0 and at most %d seconds" % (name, value, MAX_SECONDS))
    return value
