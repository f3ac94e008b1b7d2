"""The UART side of an Atlas EZO circuit: bytes at their own pace, boot, sleep, faults of board and supply.

Source: the maker's EZO-pH and EZO-EC data sheets and study notes of drivers, as the sensor reference restates
them.
"""

from collections.abc import Mapping
from typing import ClassVar

from buoyfleet.simulation.parts.part import Part
from buoyfleet.simulation.water.medium import Medium

BOOT_S = 1.0
CONTINUOUS_S = 1.0
DEFAULT_BAUD = 9600
DEFAULT_TEMP_C = 25.0
LONGEST_COMMAND = 40
WAKE_READINGS = 4
"""After a sleep the first readings are off."""
_MAX_CATCH_UP = 40
"""Continuous readings made up for after a long silence; a UART buffer holds fewer."""

EZO_FAULTS: Mapping[str, str] = {
    "silent": "board missing, wrong pins or switched to I²C: no bytes",
    "continuous-mode": "continuous mode was left on (an event; `C,0` ends it)",
    "brownout": "supply breaks down once: *UV, *RS, *RE, temperature lost (an event)",
    "undervolt": "supply under 3.1 V: *UV before every answer",
    "overvolt": "supply over 5.5 V: *OV before every answer",
    "wrong-baud": "circuit set to 38400 baud (an event)",
    "junk": "junk in the input buffer: the next command is refused (an event)",
    "chatter": "an unsolicited *WA between every command and its answer",
    "no-ok": "response codes switched off (an event)",
    "leak": "power gated at VCC only: lives on while the board drives its UART",
}
_EVENTS = frozenset(("continuous-mode", "brownout", "wrong-baud", "junk", "no-ok"))


class EzoWire(Part):
    """Bytes in and out; a subclass carries out the commands.

    Retained without power: calibration, continuous mode, name, response codes, LED, protocol lock, baud rate.
    Lost: temperature compensation and sleep.
    """

    __slots__ = (
        "_command", "_continuous_s", "_free_s", "_next_reading_s", "_out", "_sending_s", "_skip", "asleep",
        "baud", "i2c", "says_ok", "start_cause", "temp_c",
    )  # fmt: skip

    FAULTS: ClassVar[Mapping[str, str]] = EZO_FAULTS

    def __init__(self, medium: Medium, seed: str, spread: float, t_s: float) -> None:
        self.baud = DEFAULT_BAUD
        self.i2c = False
        self.says_ok = True
        self.start_cause = "P"
        self.temp_c = DEFAULT_TEMP_C
        self.asleep = False
        # Lines on their way to the board: (time of the first bit, bytes left), one after the other.
        self._out: list[tuple[float, bytes]] = []
        self._sending_s = 0.0
        """When the line is free again."""
        self._free_s = 0.0
        """When the circuit takes the next command."""
        self._command = bytearray()
        self._continuous_s = 0.0
        """0: single readings."""
        self._next_reading_s = 0.0
        self._skip = 0
        super().__init__(medium, seed, spread, t_s)

    def _execute(self, command: bytes, t_s: float) -> None:
        """Carry out a command line that begins at a time; queue what the circuit says."""
        raise NotImplementedError

    def _reading(self, t_s: float) -> str:
        """One reading as the circuit prints it."""
        raise NotImplementedError

    # Power and faults

    def power(self, on: bool, t_s: float) -> bool:
        """See `Part.power`. A circuit that starts anew boots, and junk stands in its input buffer."""
        starts = super().power(on, t_s)
        if starts:
            self._out.clear()
            self._command[:] = b"\xff"
            self._boot("P", t_s)
        return starts

    def _boot(self, cause: str, t_s: float) -> None:
        self.start_cause = cause
        self.temp_c = DEFAULT_TEMP_C
        self.asleep = False
        self._free_s = t_s + BOOT_S
        self._say("*RS", t_s + 0.9 * BOOT_S)
        self._say("*RE", t_s + BOOT_S)
        self._next_reading_s = t_s + BOOT_S + (self._continuous_s or CONTINUOUS_S)

    def inject(self, name: str, t_s: float) -> None:
        """See `Part.inject`."""
        super().inject(name, t_s)
        if name == "brownout":
            self._run(t_s)
            self._say("*UV", t_s)
            self.powered_since_s = t_s
            self._boot("B", t_s)
        elif name == "continuous-mode":
            self._continuous_s = CONTINUOUS_S
            self._next_reading_s = t_s + CONTINUOUS_S
        elif name == "wrong-baud":
            self.baud = 38400
        elif name == "junk":
            self._command += b"\x00\xff~"
        elif name == "no-ok":
            self.says_ok = False
        if name in _EVENTS:
            self.faults -= {name}

    # The wire

    def receive(self, data: bytes, t_s: float, baud: int) -> None:
        """Bytes from the board; the first bit starts now."""
        if not self.powered or self.i2c or "silent" in self.faults:
            return
        self._run(t_s)
        if baud != self.baud:
            data = b"\xf8\x8e\r"  # what another rate makes of it: junk, now and then an end of line
        end_s = t_s + 10.0 * len(data) / self.baud
        if self.asleep:
            self.asleep = False
            self._skip = WAKE_READINGS
            self._say("*WA", end_s)
            self._command.clear()
            self._next_reading_s = end_s + CONTINUOUS_S
            return  # what woke it is lost
        for byte in data:
            if byte == 13:
                command = bytes(self._command)
                self._command.clear()
                if command:
                    self._free_s = max(self._free_s, end_s)
                    self._execute(command, self._free_s)
            elif len(self._command) < LONGEST_COMMAND:
                self._command.append(byte)

    def send(self, t_s: float, baud: int) -> bytes:
        """Bytes that have left for the board by now, once."""
        if not self.powered or self.i2c or "silent" in self.faults:
            return b""
        self._run(t_s)
        out = self._out
        if not out:
            return b""
        taken = b""
        byte_s = 10.0 / self.baud
        while out:
            begin_s, text = out[0]
            whole = int((t_s - begin_s) / byte_s + 1e-6)
            if whole <= 0:
                break
            taken += text[:whole]
            if whole < len(text):
                out[0] = (begin_s + whole * byte_s, text[whole:])
                break
            out.pop(0)
        return taken if baud == self.baud else _garbled(taken, baud / self.baud)

    def _say(self, line: str, t_s: float) -> None:
        begin_s = max(t_s, self._sending_s)
        text = line.encode() + b"\r"
        self._sending_s = begin_s + 10.0 * len(text) / self.baud
        self._out.append((begin_s, text))

    def _run(self, t_s: float) -> None:
        """Continuous readings that were due until now."""
        period = self._continuous_s
        if not period or self.asleep:
            return
        behind = int((t_s - self._next_reading_s) / period)
        if behind > _MAX_CATCH_UP:
            self._next_reading_s += (behind - _MAX_CATCH_UP) * period
        while self._next_reading_s <= t_s:
            self._say(self._measure(self._next_reading_s), self._next_reading_s)
            self._next_reading_s += period

    def _measure(self, t_s: float) -> str:
        text = self._reading(t_s)
        if self._skip:
            self._skip -= 1
        return text


def _garbled(data: bytes, ratio: float) -> bytes:
    """What a receiver at another rate makes of a text: other bytes, no ASCII, and another number of them."""
    count = max(1, int(len(data) * ratio)) if data else 0
    return bytes((data[i * len(data) // count] * 29 + 7 * i) & 0xFF | 0x80 for i in range(count))
