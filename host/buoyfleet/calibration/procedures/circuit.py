"""What both EZO circuits share: their calibration is on their chip, and is kept before it is touched.

The firmware exports the old calibration into a file before the first command (`keep`), and puts it back
when it is told to, or at its next start if nobody comes back: a cut cable or supply leaves the old
calibration whole. The circuit's factory state is what the samples are taken in, so that they are the
probe's own signal.
"""

from typing import Any, ClassVar

from buoyfleet.calibration.model import Check, Fitted, Point, Sample, Step
from buoyfleet.calibration.procedure import Procedure
from buoyfleet.model.errors import BoardError
from buoyfleet.serial.refusals import RefusalCode
from buoyfleet.serial.trouble import Refusal
from sensors.ezo_commands import CLEAR
from sensors.ezo_line import parse_number

STANDARD_C = 25.0


class CircuitProcedure(Procedure):
    """See the module."""

    reading_ms: ClassVar[int]
    _kept = False

    def begin(self) -> dict[str, Any]:
        """See `Procedure.begin`."""
        found = super().begin()
        self.commands: list[str] = []
        self._kept = False
        self._told_c: float | None = None
        fields = self.ask("i").split(",")
        self.firmware = fields[2] if len(fields) > 2 else ""
        found["circuit"] = {"firmware": self.firmware, "points": self.ask("Cal,?"), **self.told()}
        self.look(found["circuit"])
        found["circuit"]["export"] = self._keep()
        self._kept = True
        self.command(*CLEAR)
        self.prepare_circuit()
        return found

    def after(self) -> dict[str, Any]:
        """See `Procedure.after`."""
        found = super().after()
        found["circuit"] = {"firmware": self.firmware, "points": self.ask("Cal,?"), **self.told()}
        return found

    def told(self) -> dict[str, Any]:
        """What the circuit tells about its calibration."""
        return {}

    def look(self, told: dict[str, Any]) -> None:
        """Take what the circuit told before anything was changed."""

    def prepare_circuit(self) -> None:
        """Settings that calibration needs."""

    def _keep(self) -> list[str]:
        try:
            kept = self.board.keep(self.key, "keep")
        except Refusal as error:
            if error.code is not RefusalCode.OPEN:
                raise
            # A calibration that was interrupted: what it kept is the calibration to keep.
            self.board.keep(self.key, "restore")
            kept = self.board.keep(self.key, "keep")
        return [str(line) for line in kept]

    def ask(self, command: str, process_ms: int = 300) -> str:
        """A query; gives the answer, lower case and without its question mark."""
        reply = ""
        for _ in range(2):
            reply = self.board.circuit(self.key, command, process_ms)
            if reply and not reply.startswith("*"):
                return reply
        raise BoardError(
            f"the {self.key} circuit answers {reply or 'nothing'} to `{command}`",
            where=self.board.where,
            cause="wiring, supply, or a circuit switched to I²C",
            next_step="look at the circuit's LED and supply, then start again",
        )

    def command(self, command: str, process_ms: int) -> None:
        """A command that must be accepted; it is kept for the record."""
        self.board.order(self.key, command, process_ms)
        self.commands.append(command)

    def tell_temperature(self, celsius: float) -> None:
        """Have the circuit compensate for this temperature."""
        rounded = round(celsius, 1)
        if rounded != self._told_c:
            self.board.order(self.key, f"T,{rounded:.1f}")
            self._told_c = rounded

    def circuit_reading(self) -> float:
        """One reading.

        Raises:
            BoardError: none came.
        """
        number = parse_number(self.ask("R", self.reading_ms).split(",")[0])
        if number is None:
            raise BoardError(f"the {self.key} circuit gives no number", where=self.board.where)
        return number

    def sample(self, t_s: float, now_s: float) -> Sample:
        """See `Procedure.sample`."""
        celsius = self.bench.thermometer.celsius(now_s)
        self.tell_temperature(self.compensation_c(celsius))
        reading = self.circuit_reading()
        return Sample(t_s, self.raw_of(reading), celsius, self.found_value(reading, celsius))

    def compensation_c(self, celsius: float | None) -> float:
        """What the circuit is told, of the temperature of the solution."""
        return STANDARD_C if celsius is None else celsius

    def raw_of(self, reading: float) -> float:
        """The probe's own signal, of a reading of the circuit."""
        return reading

    def found_value(self, reading: float, celsius: float | None) -> float | None:
        """What the circuit would have read with its old calibration; None if that is not known."""
        return None

    def write(self, fitted: Fitted, note: dict[str, object]) -> None:
        """The chip has it already; date and record go to the board's settings."""
        fitted.commands = tuple(self.commands)
        self.board.calibrate(self.key, "write", fitted.settings, {**note, "circuit": True})

    def finish(self) -> str:
        """See `Procedure.finish`. The first command makes it hold, whatever becomes of the second."""
        self.board.keep(self.key, "accept")
        try:
            return super().finish()
        except BoardError as error:
            return f"{error.what}: the board notes the calibration itself at its next start"

    def give_up(self, written: bool) -> None:
        """See `Procedure.give_up`."""
        if self._kept:
            self.board.keep(self.key, "restore")
        if written:
            self.board.calibrate(self.key, "revert")

    def verify(self, step: Step, point: Point, fitted: Fitted) -> Check:
        """See `Procedure.verify`."""
        raise NotImplementedError
