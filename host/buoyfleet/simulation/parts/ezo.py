"""Atlas EZO circuits: the commands that pH and EC share, in the two firmware flavours.

Source: the maker's EZO-pH and EZO-EC data sheets and study notes of drivers, as the sensor reference restates
them.
"""

import random
import struct
from typing import ClassVar, Literal

from buoyfleet.simulation.parts.ezo_wire import BOOT_S, CONTINUOUS_S, EzoWire
from buoyfleet.simulation.water.medium import Medium

Flavour = Literal["new", "old"]
Answer = tuple[list[str], float]
"""Lines that a command brings, and the time it takes in s."""

COMMAND_S = 0.3
ACKNOWLEDGE_S = 0.005
BAUDS = (300, 1200, 2400, 9600, 19200, 38400, 57600, 115200)


class EzoCircuit(EzoWire):
    """A circuit with its probe. Subclasses read the probe and know the calibration commands.

    Args:
        flavour: `new` firmware (answers before `*OK`, `RT`, `?Cal`) or `old` (`*OK` first, `?CAL`, `SERIAL`,
            `RESPONSE`, no `RT`).
        calibrated: whether the circuit was calibrated to its probe; else it has its factory state.
    """

    __slots__ = ("_export", "_import", "flavour", "led", "locked", "name", "vcc_v")

    kind: ClassVar[str] = ""
    firmware: ClassVar[tuple[str, str]] = ("", "")
    """Versions of the new and the old flavour."""
    reading_s: ClassVar[float] = 0.9

    def __init__(
        self,
        medium: Medium,
        seed: str = "",
        spread: float = 1.0,
        t_s: float = 0.0,
        flavour: Flavour = "new",
        calibrated: bool = True,
    ) -> None:
        self.flavour: Flavour = flavour
        self.vcc_v = 3.31
        self.led = True
        self.locked = False
        self.name = ""
        self._export: list[str] = []
        self._import = ""
        super().__init__(medium, seed, spread, t_s)
        self._factory_calibration()
        if calibrated:
            self._calibrate_to_probe(random.Random(f"{seed}/{self.key}/calibration"))

    def power(self, on: bool, t_s: float) -> bool:
        """See `Part.power`. Exports and imports that were under way are forgotten."""
        if not on:
            self._export = []
            self._import = ""
        return super().power(on, t_s)

    # What a subclass knows

    def _factory_calibration(self) -> None:
        """Forget all calibration points."""
        raise NotImplementedError

    def _calibrate_to_probe(self, draw: random.Random) -> None:
        """Calibrate as a careful bench would."""
        raise NotImplementedError

    def _special(self, name: str, fields: list[str], t_s: float) -> Answer | None:
        """Commands of this circuit: answer lines and processing time, or None: unknown or refused."""
        raise NotImplementedError

    def _calibration_numbers(self) -> list[float]:
        """What `Export` writes out."""
        raise NotImplementedError

    def _take_calibration(self, numbers: list[float]) -> None:
        """What `Import` brought in."""
        raise NotImplementedError

    # Commands

    def _execute(self, command: bytes, t_s: float) -> None:
        """Carry out one command line that begins at a time; queue what the circuit says."""
        for code in ("undervolt", "overvolt"):
            if code in self.faults:
                self._say("*UV" if code == "undervolt" else "*OV", t_s)
        if "chatter" in self.faults:
            self._say("*WA", t_s + 0.02)
        try:
            name, *fields = command.decode("ascii").strip().lower().split(",")
        except UnicodeDecodeError:
            name, fields = "", []
        result = self._answer(name, fields, t_s) if name else None
        if result is None:
            self._free_s = t_s + ACKNOWLEDGE_S
            self._say("*ER", self._free_s)
            return
        lines, takes_s = result
        if name == "factory" or (name == "i2c" and self.i2c):
            return
        self._free_s = t_s + takes_s
        if self.says_ok and self.flavour == "old":
            self._say("*OK", t_s + ACKNOWLEDGE_S)
        for line in lines:
            self._say(line, self._free_s)
        if self.says_ok and self.flavour == "new":
            self._say("*OK", self._free_s)
        if name == "sleep":
            self._say("*SL", self._free_s)
            self.asleep = True
        if name in ("baud", "serial") and fields != ["?"]:
            self.baud = int(fields[0])

    def _answer(self, name: str, fields: list[str], t_s: float) -> Answer | None:
        if name != "import":
            self._import = ""  # any other command ends the sequence [choice]
        special = self._special(name, fields, t_s)
        if special is not None:
            return special
        old = self.flavour == "old"
        if name == "r" and not fields:
            return [self._measure(t_s + self.reading_s)], self.reading_s
        if name == "rt" and not old and len(fields) == 1:
            if not self._set_temp(fields[0]):
                return None
            return [self._measure(t_s + self.reading_s)], self.reading_s
        if name == "t":
            if fields == ["?"]:
                return [f"?T,{self.temp_c:.1f}"], COMMAND_S
            return ([], COMMAND_S) if len(fields) == 1 and self._set_temp(fields[0]) else None
        if name == "c":
            return self._continuous(fields)
        if name == "i" and not fields:
            return [f"?I,{self.kind},{self.firmware[old]}"], COMMAND_S
        if name == "status" and not fields:
            return [f"?{'STATUS' if old else 'Status'},{self.start_cause},{self.vcc_v:.3f}"], COMMAND_S
        if name == ("response" if old else "*ok") and len(fields) == 1:
            if fields == ["?"]:
                return [f"?{'RESPONSE' if old else '*OK'},{int(self.says_ok)}"], COMMAND_S
            return self._flag("says_ok", fields[0])
        if name == "sleep" and not fields:
            return [], COMMAND_S
        if name == "factory" and not fields:
            return self._reset_all(t_s)
        if name == ("serial" if old else "baud") and len(fields) == 1:
            if fields == ["?"] and not old:
                return [f"?Baud,{self.baud}"], COMMAND_S
            return ([], COMMAND_S) if fields[0].isdigit() and int(fields[0]) in BAUDS else None
        return self._housekeeping(name, fields)

    def _housekeeping(self, name: str, fields: list[str]) -> Answer | None:
        """Commands that have nothing to do with measuring."""
        if name == "find" and not fields:
            return [], COMMAND_S
        if name == "l" and len(fields) == 1:
            return ([f"?L,{int(self.led)}"], COMMAND_S) if fields == ["?"] else self._flag("led", fields[0])
        if name == "plock" and len(fields) == 1:
            return (
                ([f"?Plock,{int(self.locked)}"], COMMAND_S)
                if fields == ["?"]
                else self._flag("locked", fields[0])
            )
        if name == "name":
            if fields == ["?"]:
                return [f"?Name,{self.name}"], COMMAND_S
            if len(fields) == 1 and len(fields[0]) <= 16:
                self.name = fields[0]
                return [], COMMAND_S
        if name == "i2c" and len(fields) == 1 and fields[0].isdigit() and 1 <= int(fields[0]) <= 127:
            if self.locked:
                return None
            self.i2c = True
            return [], COMMAND_S
        if name == "export":
            return self._export_line(fields)
        if name == "import" and len(fields) == 1:
            return self._import_line(fields[0])
        return None

    def _flag(self, attribute: str, text: str) -> Answer | None:
        if text not in ("0", "1"):
            return None
        setattr(self, attribute, text == "1")
        return [], COMMAND_S

    def _set_temp(self, text: str) -> bool:
        temp_c = number(text)
        if temp_c is None or not -5.0 <= temp_c <= 200.0:
            return False
        self.temp_c = temp_c
        return True

    def _continuous(self, fields: list[str]) -> Answer | None:
        if fields == ["?"]:
            return [f"?C,{int(self._continuous_s)}"], COMMAND_S
        longest = 1 if self.flavour == "old" else 99
        if len(fields) != 1 or not fields[0].isdigit() or int(fields[0]) > longest:
            return None
        self._continuous_s = float(fields[0])
        self._next_reading_s = self._free_s + COMMAND_S + self._continuous_s
        return [], COMMAND_S

    def _reset_all(self, t_s: float) -> Answer:
        """`Factory`: all but the baud rate."""
        self._factory_calibration()
        self.says_ok = self.led = True
        self.locked = False
        self.name = ""
        self._continuous_s = CONTINUOUS_S
        self._say("*OK" if self.flavour == "new" else "*RE", t_s + COMMAND_S)
        self._boot("S", t_s + COMMAND_S)
        return [], BOOT_S

    def _export_line(self, fields: list[str]) -> Answer | None:
        """Calibration as lines of up to 12 characters, one per `Export`, then `*DONE`."""
        whole = _pack(self._calibration_numbers())
        lines = [whole[i : i + 12] for i in range(0, len(whole), 12)]
        if fields == ["?"]:
            self._export = [*lines, "*DONE"]
            return [f"?Export,{len(lines)},{len(whole)}"], COMMAND_S
        if fields:
            return None
        if not self._export:
            self._export = [*lines, "*DONE"]
        return [self._export.pop(0)], COMMAND_S

    def _import_line(self, text: str) -> Answer | None:
        self._import += text.upper()
        length = len(_pack(self._calibration_numbers()))
        if len(self._import) < length:
            return [], COMMAND_S
        numbers = _unpack(self._import[:length])
        self._import = ""
        if numbers is None:
            return None
        self._take_calibration(numbers)
        return ["*DONE"], COMMAND_S


def number(text: str) -> float | None:
    """A decimal number as commands carry it, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e7 else None


def _pack(numbers: list[float]) -> str:
    return struct.pack(f"<{len(numbers)}f", *numbers).hex().upper()


def _unpack(text: str) -> list[float] | None:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return None
    return list(struct.unpack(f"<{len(data) // 4}f", data))
