"""What the console can do with a board; docs/firmware.md lists it for people.

A command is the function `do_<name>(board, request)` of a module that is loaded when it is first asked for,
and taken out of memory when nobody has asked for a while: a buoy in the river is never asked.
"""

from buoy.console import Refused
from buoy.shims import forget

# Release, and what stands for the hash of all files; host/boards/firmware_files.py puts that in.
FIRMWARE = "1.0.0+source"
IDLE_MS = 10000  # a bench that runs a plan asks more often

# Module behind "buoy.commands_" → its commands.
_PLACES = {
    "identity": "identify hash id thing wifi log maintenance reboot",
    "settings": "get set calibrate",
    "sensors": "sensors ezo keep count",
    "plan": "run stop tell",
    "health": "health clock",
}


class Commands:
    """Command → handler, for `Console`: `get` and iteration over the names.

    Args:
        board: `buoy.board.Board`.
    """

    __slots__ = ("_board", "_used_ms")

    def __init__(self, board):
        self._board = board
        self._used_ms = {}  # name of a module → when it was last asked for something

    def __iter__(self):
        return iter(" ".join(_PLACES.values()).split(" "))

    def get(self, name):
        """A function of the request and what the command takes beside it, or None."""
        for place in _PLACES:
            if name in _PLACES[place].split(" "):
                return lambda *given: self._do(place, name, given)
        return None

    def tidy(self, now_ms):
        """Forget the modules that nobody asks for."""
        for place in self._used_ms:
            if now_ms - self._used_ms[place] >= IDLE_MS:
                del self._used_ms[place]
                forget("buoy", ("commands_" + place,))
                return  # one a turn: the dictionary has changed

    def loaded(self):
        """Names of the modules that are in memory."""
        return sorted(self._used_ms)

    def _do(self, place, name, given):
        self._used_ms[place] = self._board.clock.now_ms()
        module = __import__("buoy.commands_" + place, None, None, ("commands",))
        return getattr(module, "do_" + name)(self._board, *given)


def whole(request, name, least, most):
    """A whole number in a request, from `least` to `most`; raises Refused."""
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refused("%s is %r; a whole number from %d to %d" % (name, value, least, most))
    return value
