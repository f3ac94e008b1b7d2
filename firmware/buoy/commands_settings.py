"""Console: settings and calibrations of a board."""

from buoy import settings
from buoy.console import Refused


def do_get(board, _request):
    return _held(board)


def _held(board):
    """Settings in force; they were checked at the start, unless something was wrong with them then."""
    return settings.load()[0] if board.trouble else settings.unchecked()


def do_set(board, request):
    changes = request.get("settings")
    if not isinstance(changes, dict):
        raise Refused("settings is %r; an object" % (changes,))
    settings.save(settings.merged(_held(board), changes), not board.trouble)
    return "in force after reboot"


def do_calibrate(board, request):
    key = request.get("key")
    step = request.get("step")
    held = _held(board)
    if key not in held["sensors"] or (step != "write" and key not in held[settings.CALIBRATION]):
        raise Refused("key is %r; that of a sensor with a calibration to %s" % (key, step))
    if step == "write":
        changes = request.get("set")
        note = request.get("note")
        if not isinstance(changes, dict) or not isinstance(note, dict):
            raise Refused("set and note are objects")
        new = settings.calibrated(held, key, changes, note)
    elif step in ("accept", "revert"):
        new = (settings.accepted if step == "accept" else settings.reverted)(held, key)
    else:
        raise Refused("step is %r; write, accept or revert" % (step,))
    settings.save(new, not board.trouble)
    return "in force after reboot"
