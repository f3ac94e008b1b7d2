"""Atlas EZO circuits: what ph and ec share. Set up, ask, wait, judge what was heard meanwhile.

Source: the maker's EZO-pH and EZO-EC data sheets, and study notes of drivers.
"""

from sensors import quality
from sensors.driver import Driver
from sensors.ezo_line import ANSWER, CODE, JUNK, READING, TROUBLE, EzoLine, parse_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from sensors.driver import Modules, Steps
    from sensors.power import Rail

    Exchange = Generator[float, None, int]

# How an exchange ended.
DONE, REFUSED, SILENT, RESTARTED = 1, 2, 3, 4

COMMAND_MS = 300  # processing time of every command but readings and calibration
LATE_MS = 1500  # a line that has not come by then will not come
STEP_MS = 20  # between two looks at the UART
SETTLE_MS = 150  # for the `*OK` that newer firmware sends after an answer
BOOT_MS = 1000
CONTINUOUS_MS = 1050  # the continuous mode gives a line each second

DEFAULT_TEMPERATURE_C = 25.0  # of a circuit that was not told one


class Ezo(Driver):
    """A circuit on a UART; subclasses say what it needs and what a reading means.

    After a reading, `circuit` is (type, firmware), `vcc_v` its supply, `calibrated` its number of points
    (None if not known).
    """

    needs_temperature = True
    reading_ms = 900
    circuit_type = ""
    uart_defaults = {
        "uart": 1,
        "tx": 25,
        "rx": 26,
        "baudrate": 9600,
        "settle_ms": 0,  # after power or a restart, readings are `warming` for this long
    }

    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        super().__init__(settings, modules, rail)
        self._machine = modules("machine")
        self._line: "EzoLine | None" = None
        self._open()
        self._ready = False
        self._on_ms: "float | None" = None
        self._settled_ms: float = 0
        self._asleep = _reset_is(self._machine, "DEEPSLEEP_RESET")
        self._cold = _reset_is(self._machine, "PWRON_RESET")
        self._says_ok = True
        self._takes_rt = True  # `RT,t` of newer firmware, until it is refused
        self._sent_c: "float | None" = None
        self._circuit_flags = quality.OK
        self._circuit_note = ""
        self._heard = ""
        self.circuit = ("", "")
        self.vcc_v: "float | None" = None
        self.calibrated: "int | None" = None
        self.reply = ""

    def _open(self) -> EzoLine:
        if self._line is None:
            settings = self.settings
            uart = self._machine.UART(
                settings["uart"], baudrate=settings["baudrate"], tx=settings["tx"], rx=settings["rx"]
            )
            self._line = EzoLine(uart)
        return self._line

    def _park(self) -> None:
        """Before power goes: a driven TX line would keep the circuit half alive through its inputs."""
        if self._line is not None:
            self._line.close()
        pin = self._machine.Pin
        pin(self.settings["tx"], pin.IN)
        pin(self.settings["rx"], pin.IN)
        self._line = None
        self._ready = False

    # Exchanges

    def _exchange(
        self, command: str, wanted: int, prefix: str = "", process_ms: float = COMMAND_MS
    ) -> "Exchange":
        """Send a command and wait for what it should bring.

        Args:
            command: without CR.
            wanted: CODE for `*OK`, ANSWER, READING, or JUNK for any line but `*OK`.
            prefix: lower-case beginning of the wanted answer.
            process_ms: what the circuit needs at least.

        Returns:
            DONE, REFUSED (`*ER`), SILENT or RESTARTED (`trouble` of the line says why).
        """
        line = self._open()
        line.send(command)
        begin_ms = self._now_ms
        patience_ms = LATE_MS
        if wanted == CODE and not self._says_ok:
            patience_ms = COMMAND_MS + SETTLE_MS
        yield begin_ms + process_ms
        while True:
            line.pump()
            if line.trouble:
                return RESTARTED
            if line.refused:
                return REFUSED
            if wanted == CODE:
                done = line.accepted
            elif wanted == READING:
                done = line.reading != ""
            elif wanted == JUNK:
                done = line.line != ""
            else:
                done = line.answer != "" and line.answer.startswith(prefix)
            if done:
                break
            if self._now_ms - begin_ms >= patience_ms:
                return SILENT
            yield self._now_ms + STEP_MS
        # Newer firmware ends with `*OK`, which must not pass for the answer to the next command.
        until_ms = self._now_ms + SETTLE_MS
        while self._says_ok and not line.accepted:
            if self._now_ms >= until_ms:
                self._says_ok = False
                break
            yield self._now_ms + STEP_MS
            line.pump()
        return DONE

    def _order(self, command: str) -> "Exchange":
        """A command whose only answer is `*OK`; once more if refused: junk may have stood before it.

        `*OK` may be switched off, so callers do not hold silence against a circuit that answers otherwise.
        """
        status = SILENT
        for _ in (1, 2):
            status = yield from self._exchange(command, CODE)
            if status != REFUSED:
                break
        return status

    def _ask(self, command: str, prefix: str) -> "Exchange":
        """A query, once more if refused or not answered."""
        status = SILENT
        for _ in (1, 2):
            status = yield from self._exchange(command, ANSWER, prefix)
            if status in (DONE, RESTARTED):
                break
        return status

    # Setting up

    def _setup(self) -> "Exchange":
        """Make a circuit ready whose state is not known: after power, a restart, or at first."""
        line = self._open()
        self._circuit_flags = quality.OK
        self._circuit_note = ""
        self._sent_c = None
        self._takes_rt = self._says_ok = True
        # The first command after power-up is often refused for junk in the input buffer: a bare CR takes it.
        line.send("")
        yield self._now_ms + COMMAND_MS
        line.pump()
        line.trouble = ""
        line.junk = 0
        status = yield from self._quiet()
        if status != RESTARTED:
            status = yield from self._ask("i", "i,")
        if status != DONE:
            return status
        fields = line.fields()
        self.circuit = (fields[0], fields[1] if len(fields) > 1 else "")
        if fields[0] != self.circuit_type:
            self._circuit_flags |= quality.PARSE
            self._circuit_note = "an EZO-%s circuit answers here" % fields[0].upper()
            return DONE
        for step in (self._ask_status, self._configure, self._ask_calibration):
            status = yield from step()
            if status in (RESTARTED, SILENT):
                return status
        return DONE

    def _quiet(self) -> "Exchange":
        """End the continuous mode, which is the factory's default, and let its last lines pass."""
        line = self._open()
        line.unasked = False
        status = yield from self._order("C,0")
        if status == SILENT and not line.unasked:
            return status
        until_ms = self._now_ms + CONTINUOUS_MS
        while self._now_ms < until_ms:
            yield min(until_ms, self._now_ms + 10 * STEP_MS)
            line.pump()
        line.unasked = False
        line.reading = ""
        return status

    def _ask_status(self) -> "Exchange":
        status = yield from self._ask("Status", "status,")
        if status == DONE:
            fields = self._open().fields()
            self.vcc_v = parse_number(fields[1]) if len(fields) > 1 else None
            if fields[0] == "b" and not self._asleep:
                self._heard = "last restart of the circuit was a brown-out"
        self._asleep = False  # said once after a wake-up; what a brown-out did then was told before
        return status

    def _ask_calibration(self) -> "Exchange":
        status = yield from self._ask("Cal,?", "cal,")
        if status == DONE:
            points = parse_number(self._open().fields()[0])
            self.calibrated = None if points is None else int(points)
            if not self.calibrated:
                self._circuit_flags |= quality.UNCAL
        return status

    def _configure(self) -> "Exchange":
        """What this kind of circuit needs before it is read."""
        raise NotImplementedError

    # Reading

    def _read(self) -> "Steps":
        yield from self._power()
        line = self._open()
        line.pump()
        line.forget_part()
        self._heard = TROUBLE.get(line.trouble, "")
        if self._heard:
            self._ready = False
        if not self._ready:
            if self._heard or self._cold:
                self._settled_ms = self._now_ms + self.settings["settle_ms"]
            self._cold = False
            status = yield from self._setup()
            if status != DONE:
                self._fail(status)
                return
            self._ready = True
        elif line.unasked:
            yield from self._quiet()  # somebody left the continuous mode on
        if self._rail.switched and self._now_ms < self._settled_ms:
            yield self._settled_ms  # power is on for this reading only: wait rather than withhold
        yield from self._wait()
        line.junk = 0
        status = SILENT
        for _ in (1, 2):
            status = yield from self._measure()
            if status in (DONE, RESTARTED):
                break
        if status != DONE:
            self._fail(status)
            return
        line.unasked = False
        flags = self._circuit_flags
        note = self._circuit_note
        if self.temperature_c is None:
            flags |= quality.UNCOMP
        if self._heard:
            flags |= quality.WARMING  # rejected, and told why
            note = self._heard
        elif line.skip:
            line.skip -= 1
            flags |= quality.WARMING
            note = "woken: %d more readings to discard" % line.skip
        elif self._now_ms < self._settled_ms:
            flags |= quality.WARMING
        self._judge(float(line.reading.split(",")[0]), flags, note)
        if self._rail.switched:
            self._park()

    def _power(self) -> "Steps":
        """Switch on; a circuit that was off boots and knows nothing."""
        yield from self._warm()
        on_ms = self._rail.on_ms
        if self._on_ms != on_ms:
            self._on_ms = on_ms
            if on_ms is not None:
                self._ready = False
                self._cold = False
                self._settled_ms = on_ms + self.settings["settle_ms"]
                yield on_ms + BOOT_MS
                line = self._open()
                line.pump()
                line.trouble = ""  # `*RS` and `*RE` of the start that was wanted

    def _measure(self) -> "Exchange":
        """Tell the circuit the temperature and take a reading."""
        celsius = DEFAULT_TEMPERATURE_C if self.temperature_c is None else self.temperature_c
        text = "%.1f" % celsius
        if self._takes_rt:
            status = yield from self._exchange("RT," + text, READING, process_ms=self.reading_ms)
            if status != REFUSED:
                return status
            self._takes_rt = False
        if float(text) != self._sent_c:
            status = yield from self._order("T," + text)
            if status in (REFUSED, RESTARTED):
                return status
            self._sent_c = float(text)
        status = yield from self._exchange("R", READING, process_ms=self.reading_ms)
        return status

    def _fail(self, status: int) -> None:
        """Conclude a reading without a value; the next one sets the circuit up anew."""
        line = self._open()
        self._ready = False
        if status == RESTARTED:
            # Settings and temperature are lost and the probe must recover.
            self._settled_ms = self._now_ms + self.settings["settle_ms"]
            self._end(None, None, quality.WARMING, TROUBLE[line.trouble])
            line.trouble = ""
        elif status == REFUSED:
            self._end(None, None, quality.PARSE, "command refused (*ER)")
        elif line.junk or line.unfinished():
            self._end(None, None, quality.PARSE, "bytes not understood: baud rate")
        else:
            self._end(None, None, quality.MISSING, "circuit silent: wiring, power, or switched to I²C")
        if self._rail.switched:
            self._park()

    def _judge(self, reading: float, flags: int, note: str) -> None:
        """Conclude the reading with a value."""
        raise NotImplementedError

    # The bench

    def begin_command(self, command: str, now_ms: float, process_ms: float = COMMAND_MS) -> None:
        """Send any command in place of a reading; `poll` until True, then see `reply`.

        `reply` is an answer without `?` in lower case, a reading, `*OK`, `*ER`, another code, or "" if the
        circuit was silent. Calibration takes a `process_ms` of 900 (pH) or 600 (EC).
        """
        self._now_ms = self.due_ms = now_ms
        self.reply = ""
        self._steps = self._command(command, process_ms)

    def _command(self, command: str, process_ms: float) -> "Steps":
        yield from self._power()
        line = self._open()
        name = command.lower()
        wanted = CODE
        if name.endswith("?") or name in ("i", "status"):
            wanted = ANSWER
        elif name == "r" or name.startswith("rt,"):
            wanted = READING
        elif name == "export":
            wanted = JUNK  # hexadecimal, or digits that would pass for a reading, or `*DONE`
        status = yield from self._exchange(command, wanted, process_ms=process_ms)
        if status == DONE:
            self.reply = {CODE: "*OK", ANSWER: line.answer, READING: line.reading, JUNK: line.line}[wanted]
        elif status == REFUSED:
            self.reply = "*ER"
        elif status == RESTARTED:
            self.reply = line.trouble
            line.trouble = ""
        if wanted == CODE:
            self._ready = False  # calibration, K, fields: the next reading asks the circuit anew


def _reset_is(machine: "Any", cause: str) -> bool:
    """Whether the board's last reset was of this kind; a module without reset causes knows none."""
    return hasattr(machine, cause) and bool(machine.reset_cause() == getattr(machine, cause))
