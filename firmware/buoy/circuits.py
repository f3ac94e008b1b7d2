"""Keeps the calibration that an EZO circuit has, while a new one is made.

    ezo-ph.open   what the circuit exported before its calibration was begun; found at a start: put it back
    ezo-ph.last   the same, of the last calibration that was accepted or given up

Generators for `converse`: they yield commands and are sent the replies. Source of `Export` and
`Import`: the maker's data sheets.
"""

import os

from buoy.console import OPEN, Refused

_MOST_LINES = 32
_TRIES = 4  # a circuit that has imported restarts


def keep(key):
    """Export to a file; returns the lines. What an interrupted calibration kept stays."""
    name = "ezo-%s.open" % key
    if name in os.listdir():
        raise Refused("an interrupted calibration of %s is open; restore it first" % key, OPEN)
    lines = yield from _export()
    with open("ezo.new", "w") as file:
        file.write("\n".join(lines))
    os.rename("ezo.new", name)
    return lines


def accept(key):
    """The new calibration holds: the old one becomes the last."""
    yield "Cal,?"
    os.rename("ezo-%s.open" % key, "ezo-%s.last" % key)


def restore(key):
    """Import what was kept, see that it is there; returns the lines."""
    name = "ezo-%s." % key
    kept = name + "open"
    if kept not in os.listdir():
        kept = name + "last"
    with open(kept) as file:
        lines = file.read().split("\n")
    yield from _awake()  # the question also ends an import that was broken off
    for line in lines:
        reply = yield "Import," + line
        if reply == "*ER":
            raise OSError("%s refused the calibration of %s" % (key, kept))
    if (yield from _export()) != lines:
        raise OSError("%s did not take the calibration of %s" % (key, kept))
    os.rename(kept, name + "last")
    return lines


STEPS = {"keep": keep, "accept": accept, "restore": restore}


def _awake():
    """Ask for an export until the circuit has started and answers."""
    reply = ""
    for _ in range(_TRIES):
        reply = yield "Export,?"
        if reply.startswith("export,"):
            return
    raise OSError("the circuit cannot export its calibration: %r" % reply)


def _export():
    yield from _awake()
    lines = []
    while len(lines) < _MOST_LINES:
        reply = yield "Export"
        if reply == "*DONE":
            return lines
        if not reply or reply[0] == "*":
            break
        lines.append(reply)
    raise OSError("the export of the calibration broke off")


def converse(board, driver, steps, request_id=None, process_ms=300):
    """Send an EZO circuit the commands of `steps`, a generator that is sent the replies.

    The request, if any, is answered with what the generator returns, else with the last reply.
    """
    driver.begin_command(next(steps), board.clock.now_ms(), process_ms)

    def go_on(now_ms):
        if not driver.poll(now_ms):
            return False
        value = driver.reply
        error = None
        try:
            command = steps.send(value) if hasattr(steps, "send") else next(steps)
            driver.begin_command(command, now_ms, process_ms)
            return False
        except StopIteration as end:
            if end.value is not None:
                value = end.value
        except (ValueError, OSError) as failure:
            error = failure
        if request_id is None:
            board.console.log("circuit %s: %s" % (driver.key, error or value), "warning")
            if not error:
                board.action = board.reset  # from here on as ever
        elif error:
            board.console.refuse(request_id, error)
        else:
            board.console.answer(request_id, value)
        return True

    board.reading = go_on
