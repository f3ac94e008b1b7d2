"""Makes an EZO circuit ready to be read: what it is asked and told once, after power, a restart, or at first.

Generators over a `sensors.ezo.Ezo`; they end with DONE, REFUSED, SILENT or RESTARTED. Source: the maker's
EZO-pH and EZO-EC data sheets.
"""

from sensors import quality
from sensors.ezo_line import ANSWER, COMMAND_MS, DONE, RESTARTED, SILENT, STEP_MS, parse_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from sensors.ezo_line import Circuit, Exchange, PhCircuit

CONTINUOUS_MS = 1050  # the continuous mode gives a line each second

# What the circuit can put out, in its fixed order.
EC_FIELDS = ("ec", "tds", "s", "sg")

# Of a probe that is neither worn nor badly calibrated.
SLOPE_LIMITS_PERCENT = (90.0, 110.0)
ZERO_LIMIT_MV = 30.0


def ready(circuit: "Circuit") -> "Exchange":
    """All of it."""
    line = circuit.open_line()
    circuit.circuit_flags = quality.OK
    circuit.circuit_note = ""
    circuit.sent_c = None
    circuit.takes_rt = circuit.says_ok = True
    # The first command after power-up is often refused for junk in the input buffer: a bare CR takes it.
    line.send("")
    yield circuit.now_ms + COMMAND_MS
    line.pump()
    line.trouble = ""
    line.junk = 0
    status = yield from quiet(circuit)
    if status != RESTARTED:
        status = yield from _ask(circuit, "i", "i,")
    if status != DONE:
        return status
    fields = line.fields()
    circuit.circuit = (fields[0], fields[1] if len(fields) > 1 else "")
    if fields[0] != circuit.circuit_type:
        circuit.circuit_flags |= quality.PARSE
        circuit.circuit_note = "an EZO-%s circuit answers here" % fields[0].upper()
        return DONE
    steps: "tuple[Callable[[Any], Exchange], ...]" = (
        _ask_status,
        {"ph": _configure_ph, "ec": _configure_ec}.get(circuit.circuit_type, _nothing_more),
        _ask_calibration,
    )
    for step in steps:
        status = yield from step(circuit)
        if status in (RESTARTED, SILENT):
            return status
    return DONE


def quiet(circuit: "Circuit") -> "Exchange":
    """End the continuous mode, which is the factory's default, and let its last lines pass."""
    line = circuit.open_line()
    line.unasked = False
    status = yield from circuit.order("C,0")
    if status == SILENT and not line.unasked:
        return status
    until_ms = circuit.now_ms + CONTINUOUS_MS
    while circuit.now_ms < until_ms:
        yield min(until_ms, circuit.now_ms + 10 * STEP_MS)
        line.pump()
    line.unasked = False
    line.reading = ""
    return status


def _ask(circuit: "Circuit", command: str, prefix: str) -> "Exchange":
    """A query, once more if refused or not answered."""
    status = SILENT
    for _ in (1, 2):
        status = yield from circuit.exchange(command, ANSWER, prefix)
        if status in (DONE, RESTARTED):
            break
    return status


def _ask_status(circuit: "Circuit") -> "Exchange":
    status = yield from _ask(circuit, "Status", "status,")
    if status == DONE:
        fields = circuit.open_line().fields()
        circuit.vcc_v = parse_number(fields[1]) if len(fields) > 1 else None
        if fields[0] == "b" and not circuit.asleep:
            circuit.heard = "last restart of the circuit was a brown-out"
    circuit.asleep = False  # said once after a wake-up; what a brown-out did then was told before
    return status


def _ask_calibration(circuit: "Circuit") -> "Exchange":
    status = yield from _ask(circuit, "Cal,?", "cal,")
    if status == DONE:
        points = parse_number(circuit.open_line().fields()[0])
        circuit.calibrated = None if points is None else int(points)
        if not circuit.calibrated:
            circuit.circuit_flags |= quality.UNCAL
    return status


def _nothing_more(_circuit: "Circuit") -> "Exchange":
    return DONE
    yield  # a generator as the others


def _configure_ph(circuit: "PhCircuit") -> "Exchange":
    """Nothing is told; the slope is asked for."""
    status = yield from circuit.exchange("Slope,?", ANSWER, "slope,")
    circuit.slope = None
    if status == DONE:
        numbers = [parse_number(field) for field in circuit.open_line().fields()]
        if len(numbers) >= 2 and numbers[0] is not None and numbers[1] is not None:
            circuit.slope = (numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else None)
            _judge_slope(circuit, circuit.slope)
    return status


def _judge_slope(circuit: "PhCircuit", slope: "tuple[float, float, float | None]") -> None:
    low, high = SLOPE_LIMITS_PERCENT
    acid, base, zero_mv = slope
    worn = not (low <= acid <= high and low <= base <= high)
    if worn or (zero_mv is not None and abs(zero_mv) > ZERO_LIMIT_MV):
        circuit.circuit_flags |= quality.UNCAL
        circuit.circuit_note = "slope %.1f/%.1f %%, zero %s mV: probe worn or badly calibrated" % (
            acid,
            base,
            "?" if zero_mv is None else "%.1f" % zero_mv,
        )


def _configure_ec(circuit: "Circuit") -> "Exchange":
    status = yield from _set_k(circuit)
    if status in (RESTARTED, SILENT):
        return status
    # Which columns come differs between firmware versions: ask for conductivity alone.
    status = yield from _ask(circuit, "O,?", "o")
    if status != DONE:
        return status
    shown = circuit.open_line().fields()
    for field in EC_FIELDS:
        if (field in shown) != (field == "ec"):
            status = yield from circuit.order("O,%s,%d" % (field.upper(), field == "ec"))
            if status == RESTARTED:
                return status
    return DONE


def _set_k(circuit: "Circuit") -> "Exchange":
    """The default K of 1.0 is wrong by a decade for this probe: set it, then see that it is."""
    wanted = circuit.settings["k"]
    for attempt in (1, 2):
        status = yield from _ask(circuit, "K,?", "k,")
        if status != DONE:
            return status
        k = parse_number(circuit.open_line().fields()[0])
        if k is not None and abs(k - wanted) < 0.005 * wanted:
            return DONE
        if attempt == 1:
            status = yield from circuit.order("K,%g" % wanted)
            if status == RESTARTED:
                return status
    circuit.circuit_flags |= quality.RANGE
    circuit.circuit_note = "K is %s and cannot be set to %g: readings wrong by a decade" % (k, wanted)
    return DONE
