"""The settings of a board: defaults, validation, versions, and a file that is never half written.

    settings.json        in force
    settings.last.json   the one before: what is used when settings.json is damaged

Identity and secrets are not here: buoy id, thing name and Wi-Fi live in NVS (`buoy.identity`), keys and
certificates in `certs/`.
"""

import json
import os

from buoy.jsonobject import parse_object

VERSION = 1
FILE = "settings.json"
LAST = "settings.last.json"
_TEMPORARY = "settings.new.json"

# name → (default, least, most) for numbers, (default, choices) for texts, (default,) for truth values.
# Times carry their unit in the name.
FIELDS = {
    "broker_host": ("", None),
    "broker_port": (8883, 1, 65535),
    "broker_tls": (True,),
    "topic_prefix": ("aws/0", None),
    "ingest_rule": ("", None),  # data go to this rule of IoT Core (Basic Ingest); "": to their topic
    "payload": ("stamped", ("stamped", "original")),
    "qos": (1, 0, 1),
    "keep_alive_s": (60, 30, 1200),  # IoT Core's limits
    "in_flight": (4, 1, 100),
    "ack_timeout_s": (10, 1, 300),
    "connect_timeout_s": (15, 1, 60),
    "backoff_min_ms": (1000, 10, 600000),
    "backoff_max_s": (300, 1, 3600),
    "max_rate_per_s": (80, 1, 100),  # IoT Core discards what a connection publishes above 100/s
    "publish_interval_s": (900, 0, 2678400),  # 0: only what a bench asks for
    "low_power": (False,),
    "watchdog_s": (120, 0, 3600),  # 0: none; it must outlast name look-up and TLS connect
    # Time servers, asked in turn, with `:port` where it is not 123; "": the console tells the time.
    "ntp_host": ("0.pool.ntp.org,1.pool.ntp.org,2.pool.ntp.org", None),
    "outbox_segments": (8, 2, 64),
    "log_level": ("info", ("debug", "info", "warning", "error")),
}
# Parts that are checked where they are used.
SECTIONS = ("sensors", "pins", "power")
# Per sensor: when it was calibrated, the record of it, and what its settings were before.
CALIBRATION = "calibration"
_OBJECTS = SECTIONS + (CALIBRATION,)
_MAX_TEXT = 128
_MAX_BYTES = 16384  # of a file; the console lets in less (buoy.commands_settings)
_MAX_TROUBLE = 300


class SettingsError(ValueError):
    """Settings that cannot be used; the text lists every mistake."""


def defaults():
    """Settings of a board that was never configured: every sensor off."""
    settings = {name: FIELDS[name][0] for name in FIELDS}
    settings["version"] = VERSION
    for section in _OBJECTS:
        settings[section] = {}
    return settings


def problems(given):
    """What is wrong with settings, as a list of sentences; empty if nothing."""
    return wrong_shapes(given) or _wrong_parts(given)


def wrong_shapes(given):
    """The same, but for sensors, pins and supplies: their checks take much memory (sensors.checks)."""
    if not isinstance(given, dict):
        return ["settings are no JSON object"]
    found = []
    if given.get("version", VERSION) != VERSION:
        found.append("version %r; this firmware has %d" % (given["version"], VERSION))
    for name in sorted(given):
        value = given[name]
        if name == "version":
            continue
        if name in _OBJECTS:
            if not isinstance(value, dict):
                found.append("%s is %r; an object" % (name, value))
        elif name not in FIELDS:
            found.append("unknown setting %r" % name)
        else:
            text = _wrong(value, FIELDS[name])
            if text:
                found.append("%s is %r; %s" % (name, value, text))
    return found or _wrong_notes(given)


def merge(base, changes):
    """Settings with changes laid over them.

    Raises:
        SettingsError: the changes are wrong; `base` is as it was.
    """
    result = laid_over(base, changes)
    wrong = _wrong_parts(result)
    if wrong:
        raise SettingsError("; ".join(wrong))
    return result


def laid_over(base, changes):
    """`merge` without the check of sensors, pins and supplies."""
    result = dict(base)
    result.update(changes)
    wrong = wrong_shapes(result)
    if wrong:
        raise SettingsError("; ".join(wrong))
    return result


def calibrated(base, key, changes, note):
    """Settings with a new calibration of one sensor, still to be accepted, and beside it what it replaces.

    Sensors are still to be checked, as by `laid_over`.

    Args:
        key: of the sensor.
        changes: name → value in the settings of its driver; None takes the name out.
        note: what to remember with it, e.g. date and record.
    """
    own = base["sensors"][key]
    notes = dict(base[CALIBRATION])
    was = dict(notes.get(key, {}))
    was.pop("was", None)
    notes[key] = dict(note, previous={name: own.get(name) for name in changes}, was=was, open=True)
    return _with(base, key, changes, notes)


def accepted(base, key):
    """The same calibration, which now holds."""
    notes = dict(base[CALIBRATION])
    notes[key] = dict(notes[key])
    notes[key].pop("open", None)
    return _with(base, key, {}, notes)


def reverted(base, key):
    """Settings as they were before the last calibration of a sensor."""
    notes = dict(base[CALIBRATION])
    note = notes.pop(key)
    if note.get("was"):
        notes[key] = note["was"]
    return _with(base, key, note.get("previous", {}), notes)


def _with(base, key, changes, notes):
    sensors = dict(base["sensors"])
    own = dict(sensors[key])
    for name in changes:
        if changes[name] is None:
            own.pop(name, None)
        else:
            own[name] = changes[name]
    sensors[key] = own
    return laid_over(base, {"sensors": sensors, CALIBRATION: notes})


def load():
    """Settings in force.

    Returns:
        (settings, trouble, name): trouble says what was wrong with a file, or is "". Name: of the file that
        they are in, or "".
    """
    trouble = ""
    for name in (FILE, LAST):
        try:
            given = _read(name)
            wrong = problems(given)
        except OSError:
            continue  # not there
        except Exception as error:
            # Whatever a file does to the interpreter: the next one, or the defaults, bring a console up.
            wrong = [str(error) or type(error).__name__]
        if not wrong:
            settings = defaults()
            settings.update(given)
            return settings, trouble, name
        trouble = trouble or ("%s: %s" % (name, "; ".join(wrong)))[:_MAX_TROUBLE]
    return defaults(), trouble, ""


def in_force(name):
    """Settings in a file that was checked before; "": the defaults.

    Raises ValueError or OSError: it cannot be read any more.
    """
    settings = defaults()
    if name:
        settings.update(_read(name))
    return settings


def save(settings, keep=None):
    """Write settings so that a power cut leaves the old or the new file, and keep the old one.

    Args:
        settings: all of them; sensors, pins and supplies are checked.
        keep: whether the old file is good; None: look.

    Raises:
        SettingsError: they are wrong; nothing was written.
        OSError: flash cannot be written; the old file is in force.
    """
    wrong = wrong_shapes(settings)
    if wrong:
        raise SettingsError("; ".join(wrong))
    with open(_TEMPORARY, "w") as file:
        json.dump(settings, file)
    if _good(FILE) if keep is None else keep and FILE in os.listdir():
        _replace(FILE, LAST)
    _replace(_TEMPORARY, FILE)


def _read(name):
    size = os.stat(name)[6]
    if size > _MAX_BYTES:
        raise ValueError("%d bytes; at most %d" % (size, _MAX_BYTES))
    with open(name, "rb") as file:
        return parse_object(file.read())


def _good(name):
    """Whether a file is worth keeping as the last good one."""
    try:
        return not problems(_read(name))
    except (OSError, ValueError):
        return False


def _replace(source, destination):
    # LittleFS and POSIX replace the destination in one step.
    os.rename(source, destination)


def _wrong(value, field):
    default = field[0]
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, int):
        least, most = field[1], field[2]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            return "a whole number from %d to %d" % (least, most)
        return ""
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        return "a text of at most %d characters" % _MAX_TEXT
    if min(value or " ") < " " or max(value or " ") > "~":
        return "a text of printable ASCII characters"
    choices = field[1]
    if choices and value not in choices:
        return "one of " + ", ".join(choices)
    return ""


def _wrong_notes(given):
    """Of calibrations."""
    found = []
    notes = given.get(CALIBRATION, {})
    for key in sorted(notes):
        note = notes[key]
        parts = isinstance(note, dict) and (note.get("previous", {}), note.get("was", {}))
        if (
            key not in given.get("sensors", {})
            or not parts
            or not all([isinstance(part, dict) for part in parts])
        ):
            found.append("calibration of %r; an object, of a sensor in use" % key)
    return found


def _wrong_parts(given):
    """Of sensors, pins and supplies, checked as their drivers do."""
    parts = {name: given[name] for name in SECTIONS if given.get(name)}
    if not parts:
        return []
    from sensors import checks

    found = checks.problems(parts)
    checks.forget()
    return found
