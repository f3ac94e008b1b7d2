"""What the console can do with a board; docs/firmware.md lists it for people.

A command is the function `do_<name>(board, request)` of a module that is loaded when it is asked for, and
leaves the memory with the answer: a buoy in the river is never asked, and TLS needs the room.
"""

from buoy.console import Refused
from buoy.shims import forget
from sensors import seldom

# Release, and what stands for the hash of all files; host/buoyfleet/boards/firmware_files.py puts that in.
FIRMWARE = "1.0.0+source"

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

    __slots__ = ("_board",)

    def __init__(self, board):
        self._board = board

    def __iter__(self):
        return iter(" ".join(_PLACES.values()).split(" "))

    @seldom
    def get(self, name):
        """A function of the request and what the command takes beside it, or None."""
        for place in _PLACES:
            if name in _PLACES[place].split(" "):
                return lambda *given: self.do(place, name, given)
        return None

    @seldom
    def do(self, place, name, given):
        """Load the command, follow the request, and forget the code: only an answer to come keeps it."""
        module = __import__("buoy.commands_" + place, None, None, ("commands",))
        forget("buoy", ("commands_" + place,))
        return getattr(module, "do_" + name)(self._board, *given)


@seldom
def whole(request, name, least, most):
    """A whole number in a request, from `least` to `most`; raises Refused."""
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refused("%s is %r; a whole number from %d to %d" % (name, value, least, most))
    return value
