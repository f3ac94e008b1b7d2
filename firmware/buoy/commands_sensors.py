"""Console: readings of the sensors, and talk with EZO circuits."""

from buoy.commands import whole
from buoy.console import BUSY, LATER, Refused


def _free(board):
    """The reader; raises Refused while it is at work for another request."""
    if board.reading is not None:
        raise Refused("the sensors are busy with another request", BUSY)
    return board.make_reader()


def do_sensors(board, request):
    reader = _free(board)
    keys = request.get("keys")
    if keys is not None and not (isinstance(keys, list) and all(key in reader.sensors for key in keys)):
        raise Refused("keys is %r; some of %s" % (keys, ", ".join(sorted(reader.sensors))))
    reader.start(board.clock.now_ms(), keys and tuple(keys))
    request_id = request["id"]

    def go_on(now_ms):
        if not reader.poll(now_ms):
            return False
        answer = {}
        for key in keys or reader.sensors:
            sensor = reader.sensors[key]
            answer[key] = {
                "value": sensor.value,
                "unit": sensor.unit,
                "raw": sensor.raw,
                "flags": sensor.flags,
                "measured": getattr(sensor, "measured", sensor.value),
                "note": sensor.note,
            }
        board.console.answer(request_id, answer)
        return True

    board.reading = go_on
    return LATER


def _circuit(board, request):
    """The driver of an EZO circuit, free for commands."""
    driver = _free(board).sensors.get(request.get("key"))
    if not hasattr(driver, "begin_command"):
        raise Refused("key is that of an EZO circuit in use (ph, ec)")
    return driver


def do_ezo(board, request):
    driver = _circuit(board, request)
    command = request.get("command")
    if not isinstance(command, str):
        raise Refused("command is a text")
    from buoy.circuits import converse

    converse(board, driver, iter((command,)), request["id"], whole(request, "process_ms", 100, 5000))
    return LATER


def do_keep(board, request):
    driver = _circuit(board, request)
    from buoy import circuits

    name = request.get("step")
    if name not in circuits.STEPS:
        raise Refused("step is %r; one of %s" % (name, ", ".join(circuits.STEPS)))
    circuits.converse(board, driver, circuits.STEPS[name](driver.key), request["id"])
    return LATER


def do_count(board, _request):
    meter = board.make_reader().sensors.get("wf")
    if not hasattr(meter, "pulses"):
        raise Refused("wf is no flow meter here")
    return {"pulses": meter.pulses(), "ticks": board.clock.now_ms()}
