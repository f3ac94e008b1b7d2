"""Console: settings and calibrations of a board.

The heap must not grow (docs/firmware.md, Memory), so the code of `buoy.settings` and that of the checks of
sensors are never in memory together.
"""

from buoy.console import Refused, pieces
from buoy.settings import CALIBRATION, FILE, SECTIONS
from buoy.shims import forget

# Of all settings, as JSON; two calibrations of nine sensors take 2.8 KB. With nine drivers and mutual TLS the
# heap grew now and then where 5 KB were in force, and a request has at most 2 KB
# (tests/esp32/test_esp32_heap.py).
_MOST_BYTES = 4608


def do_get(board, _request):
    from buoy import settings

    forget("buoy", ("settings",))
    return settings.in_force(board.settings_file)


def do_set(board, request):
    changes = request.get("settings")
    if not isinstance(changes, dict):
        raise Refused("settings is %r; an object" % (changes,))
    held = do_get(board, request)
    from buoy import settings

    forget("buoy", ("settings",))
    new = settings.laid_over(held, changes)
    settings = held = None
    _check_size(new)
    return _save(board, new, [name for name in SECTIONS if name in changes])


def _check_size(new):
    """Before their parts are checked, which takes memory, too."""
    size = sum(len(piece) for piece in pieces(new))
    if size > _MOST_BYTES:
        raise Refused("settings of %d bytes; at most %d" % (size, _MOST_BYTES))


def do_calibrate(board, request):
    key = request.get("key")
    step = request.get("step")
    held = do_get(board, request)
    if key not in held["sensors"] or (step != "write" and key not in held[CALIBRATION]):
        raise Refused("key is %r; that of a sensor with a calibration to %s" % (key, step))
    from buoy import settings

    forget("buoy", ("settings",))
    if step == "write":
        changes = request.get("set")
        note = request.get("note")
        if not isinstance(changes, dict) or not isinstance(note, dict):
            raise Refused("set and note are objects")
        new = settings.calibrated(held, key, changes, note)
        _check_size(new)
    elif step in ("accept", "revert"):
        new = (settings.accepted if step == "accept" else settings.reverted)(held, key)
    else:
        raise Refused("step is %r; write, accept or revert" % (step,))
    settings = held = None
    # What is accepted was checked when it was written.
    return _save(board, new, step != "accept" and SECTIONS)


def _save(board, new, changed):
    if changed:
        from sensors import checks

        wrong = checks.problems({name: new[name] for name in SECTIONS})
        checks.forget()
        if wrong:
            raise Refused("; ".join(wrong))
        checks = None
    from buoy import settings

    forget("buoy", ("settings",))
    settings.save(new, not board.trouble)
    board.settings_file = FILE
    return "in force after reboot"
