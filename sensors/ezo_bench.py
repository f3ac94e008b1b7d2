"""A bench's own commands to an EZO circuit: a board has this in memory only while it is asked to send one."""

from sensors.ezo_line import ANSWER, CODE, DONE, JUNK, READING, REFUSED, RESTARTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sensors.driver import Steps
    from sensors.ezo_line import Circuit


def converse(circuit: "Circuit", command: str, process_ms: float) -> "Steps":
    """Send a command; what comes back is in `reply`, as `Ezo.begin_command` has it."""
    line = circuit.open_line()
    name = command.lower()
    wanted = CODE
    if name.endswith("?") or name in ("i", "status"):
        wanted = ANSWER
    elif name == "r" or name.startswith("rt,"):
        wanted = READING
    elif name == "export":
        wanted = JUNK  # hexadecimal, or digits that would pass for a reading, or `*DONE`
    status = yield from circuit.exchange(command, wanted, process_ms=process_ms)
    if status == DONE:
        circuit.reply = {CODE: "*OK", ANSWER: line.answer, READING: line.reading, JUNK: line.line}[wanted]
    elif status == REFUSED:
        circuit.reply = "*ER"
    elif status == RESTARTED:
        circuit.reply = line.trouble
        line.trouble = ""
    if wanted == CODE:
        circuit.ask_anew()  # calibration, K, fields: the next reading asks the circuit anew
