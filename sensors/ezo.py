"""Atlas EZO circuits: what ph and ec share. Ask, wait, judge what was heard meanwhile.

Source: the maker's EZO-pH and EZO-EC data sheets, and study notes of drivers.
"""

from sensors import forget, once, quality, seldom
from sensors.driver import Driver
from sensors.ezo_line import (
    CODE,
    COMMAND_MS,
    DONE,
    JUNK,
    READING,
    REFUSED,
    RESTARTED,
    SILENT,
    STEP_MS,
    EzoLine,
    trouble_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Modules, Steps
    from sensors.ezo_line import Exchange
    from sensors.power import Rail

LATE_MS = 1500  # a line that has not come by then will not come
SETTLE_MS = 150  # for the `*OK` that newer firmware sends after an answer
BOOT_MS = 1000

DEFAULT_TEMPERATURE_C = 25.0  # of a circuit that was not told one


class Ezo(Driver):
    """A circuit on a UART; subclasses say what it needs and what a reading means.

    After a reading, `circuit` is (type, firmware), `vcc_v` its supply, `calibrated` its number of points
    (None if not known).
    """

    needs_temperature = True
    reading_ms = 900
    circuit_type = ""

    @once
    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        super().__init__(settings, modules, rail)
        self._machine = modules("machine")
        self._line: "EzoLine | None" = None
        self.open_line()
        self._ready = False
        self._on_ms: "float | None" = None
        self._settled_ms: float = 0
        self.asleep = _reset_is(self._machine, "DEEPSLEEP_RESET")
        self._cold = _reset_is(self._machine, "PWRON_RESET")
        self.says_ok = True
        self.takes_rt = True  # `RT,t` of newer firmware, until it is refused
        self.sent_c: "float | None" = None
        self.circuit_flags = quality.OK
        self.circuit_note = ""
        self.heard = ""
        self.circuit = ("", "")
        self.vcc_v: "float | None" = None
        self.calibrated: "int | None" = None
        self.reply = ""

    @seldom
    def open_line(self) -> EzoLine:
        if self._line is None:
            settings = self.settings
            uart = self._machine.UART(
                settings["uart"], baudrate=settings["baudrate"], tx=settings["tx"], rx=settings["rx"]
            )
            self._line = EzoLine(uart)
        return self._line

    @seldom
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

    def exchange(
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
        line = self.open_line()
        line.send(command)
        begin_ms = self.now_ms
        patience_ms = LATE_MS
        if wanted == CODE and not self.says_ok:
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
            if self.now_ms - begin_ms >= patience_ms:
                return SILENT
            yield self.now_ms + STEP_MS
        # Newer firmware ends with `*OK`, which must not pass for the answer to the next command.
        until_ms = self.now_ms + SETTLE_MS
        while self.says_ok and not line.accepted:
            if self.now_ms >= until_ms:
                self.says_ok = False
                break
            yield self.now_ms + STEP_MS
            line.pump()
        return DONE

    def order(self, command: str) -> "Exchange":
        """A command whose only answer is `*OK`; once more if refused: junk may have stood before it.

        `*OK` may be switched off, so callers do not hold silence against a circuit that answers otherwise.
        """
        status = SILENT
        for _ in (1, 2):
            status = yield from self.exchange(command, CODE)
            if status != REFUSED:
                break
        return status

    @seldom
    def _set_up(self, quiet_only: bool = False) -> "Exchange":
        """Make the circuit ready, or only quiet; the code is in a board's memory only meanwhile."""
        from sensors import ezo_setup

        status = yield from ezo_setup.quiet(self) if quiet_only else ezo_setup.ready(self)
        forget("ezo_setup")
        return status

    # Reading

    def _read(self) -> "Steps":
        yield from self._power()
        line = self.open_line()
        line.pump()
        line.forget_part()
        self.heard = line.trouble and trouble_text(line.trouble)
        if self.heard:
            self._ready = False
        if not self._ready:
            if self.heard or self._cold:
                self._settled_ms = self.now_ms + self.settings["settle_ms"]
            self._cold = False
            status = yield from self._set_up()
            if status != DONE:
                self._fail(status)
                return
            self._ready = True
        elif line.unasked:
            yield from self._set_up(quiet_only=True)  # somebody left the continuous mode on
        if self._rail.switched and self.now_ms < self._settled_ms:
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
        flags = self.circuit_flags
        note = self.circuit_note
        if self.temperature_c is None:
            flags |= quality.UNCOMP
        if self.heard:
            flags |= quality.WARMING  # rejected, and told why
            note = self.heard
        elif line.skip:
            line.skip -= 1
            flags |= quality.WARMING
            note = "woken: %d more readings to discard" % line.skip
        elif self.now_ms < self._settled_ms:
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
                line = self.open_line()
                line.pump()
                line.trouble = ""  # `*RS` and `*RE` of the start that was wanted

    def _measure(self) -> "Exchange":
        """Tell the circuit the temperature and take a reading."""
        celsius = DEFAULT_TEMPERATURE_C if self.temperature_c is None else self.temperature_c
        text = "%.1f" % celsius
        if self.takes_rt:
            status = yield from self.exchange("RT," + text, READING, process_ms=self.reading_ms)
            if status != REFUSED:
                return status
            self.takes_rt = False
        if float(text) != self.sent_c:
            status = yield from self.order("T," + text)
            if status in (REFUSED, RESTARTED):
                return status
            self.sent_c = float(text)
        status = yield from self.exchange("R", READING, process_ms=self.reading_ms)
        return status

    @seldom
    def _fail(self, status: int) -> None:
        """Conclude a reading without a value; the next one sets the circuit up anew."""
        line = self.open_line()
        self._ready = False
        if status == RESTARTED:
            # Settings and temperature are lost and the probe must recover.
            self._settled_ms = self.now_ms + self.settings["settle_ms"]
            self._end(None, None, quality.WARMING, trouble_text(line.trouble))
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

    @seldom
    def begin_command(self, command: str, now_ms: float, process_ms: float = COMMAND_MS) -> None:
        """Send any command in place of a reading; `poll` until True, then see `reply`.

        `reply` is an answer without `?` in lower case, a reading, `*OK`, `*ER`, another code, or "" if the
        circuit was silent. Calibration takes a `process_ms` of 900 (pH) or 600 (EC).
        """
        self.now_ms = self.due_ms = now_ms
        self.reply = ""
        self._steps = self._command(command, process_ms)

    @seldom
    def _command(self, command: str, process_ms: float) -> "Steps":
        from sensors import ezo_bench

        yield from self._power()
        yield from ezo_bench.converse(self, command, process_ms)
        forget("ezo_bench")

    def ask_anew(self) -> None:
        """The next reading sets the circuit up as if it were not known."""
        self._ready = False


def _reset_is(machine: "Any", cause: str) -> bool:
    """Whether the board's last reset was of this kind; a module without reset causes knows none."""
    return hasattr(machine, cause) and bool(machine.reset_cause() == getattr(machine, cause))
