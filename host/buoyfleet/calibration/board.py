"""A board on the bench, as calibration sees it: readings, circuit commands, coefficients, nothing else.

Talks through the board's console (docs/firmware.md). While it is calibrated a board is in maintenance, so
that nothing of buffers and buckets is published; the mode is timed, so a board that was forgotten returns by
itself.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from buoyfleet.model.errors import BoardError
from buoyfleet.serial.trouble import Unanswered
from sensors import quality

MAINTENANCE_S = 4 * 3600
RESTART_S = 30.0
ANSWER_S = 5.0
READING_S = 180.0
"""Longest reading: the first one of a pH circuit that warms up."""


class Console(Protocol):
    """The board's console; `buoyfleet.serial.console.Console` is one."""

    port: str

    def request(self, do: str, timeout_s: float = ..., *, tries: int = ..., **fields: object) -> Any:
        """Ask for something and wait for the answer; raises BoardError."""

    def restart(self, timeout_s: float = ...) -> dict[str, Any]:
        """Reboot, wait, and give what `identify` says; raises BoardError."""


class Clock(Protocol):
    """The time of the bench."""

    def now_s(self) -> float:
        """Growing seconds."""

    def utc(self) -> datetime:
        """Time of day."""

    def wait(self, seconds: float) -> None:
        """Let it pass."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of one sensor."""

    value: float | bool | None
    """As it would be published."""
    measured: float | bool | None
    """The same even where flags withhold it."""
    unit: str
    raw: float | bool | None
    flags: int
    note: str

    @property
    def missing(self) -> bool:
        """Whether there was no signal at all."""
        return bool(self.flags & (quality.MISSING | quality.CRC | quality.PARSE)) or self.raw is None


@dataclass(frozen=True, slots=True)
class Identity:
    """Which board this is."""

    buoy: int | None
    mac: str
    firmware: str
    micropython: str
    port: str

    @property
    def name(self) -> str:
        """For people and folders: the buoy's id, else the MAC."""
        return str(self.buoy) if self.buoy is not None else self.mac


class BenchBoard:
    """One board.

    Args:
        console: open.

    Raises:
        BoardError: it does not answer.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._entered = False
        self._written: dict[str, dict[str, object]] = {}
        """Key → note of the calibration that was written last."""
        found = self.ask("identify", tries=3)
        self.identity = Identity(
            found.get("buoy"),
            str(found.get("mac", "")),
            str(found.get("firmware", "")),
            str(found.get("micropython", "")),
            console.port,
        )

    @property
    def where(self) -> str:
        """For messages."""
        return f"board {self.identity.name} on {self.identity.port}"

    def ask(self, do: str, timeout_s: float = ANSWER_S, *, tries: int = 1, **fields: object) -> Any:
        """One request; raises BoardError."""
        return self._console.request(do, timeout_s, tries=tries, **fields)

    def enter(self) -> list[str]:
        """Stop whatever publishes or sleeps; take back what an interrupted calibration left.

        Returns:
            Keys of sensors whose old calibration was put back.
        """
        self.ask("maintenance", seconds=MAINTENANCE_S)
        self._entered = True
        self.restart()
        notes = self.settings().get("calibration", {})
        left = [key for key in sorted(notes) if notes[key].get("open")]
        for key in left:
            self.calibrate(key, "revert")
        if left:
            self.restart()
        return left

    def leave(self) -> None:
        """Let it be a buoy again."""
        if self._entered:
            self.ask("maintenance", seconds=0)
            self._entered = False
            self.restart()

    def restart(self) -> None:
        """Reboot: what was written comes into force."""
        self._console.restart(RESTART_S)

    def settings(self) -> dict[str, Any]:
        """All settings in force or written."""
        settings: dict[str, Any] = self.ask("get", tries=2)
        return settings

    def sensor_settings(self, key: str) -> dict[str, Any]:
        """Those of one sensor.

        Raises:
            BoardError: the board does not read that sensor with a driver.
        """
        own = self.settings().get("sensors", {}).get(key)
        if own is None or own.get("mode") != "hardware":
            mode = "off" if own is None else own.get("mode", "off")
            raise BoardError(
                f"{key} is `{mode}` here, so there is nothing to calibrate",
                where=self.where,
                cause="the board's settings do not say that this sensor is fitted",
                next_step=f"set `sensors: {{{key}: hardware}}` for this board and configure it",
            )
        return dict(own)

    def read(self, *keys: str) -> dict[str, Reading]:
        """One new reading of some sensors."""
        answer = self.ask("sensors", READING_S, keys=list(keys))
        return {
            key: Reading(
                one.get("value"), one.get("measured"), one.get("unit", ""), one.get("raw"),
                int(one.get("flags", 0)), str(one.get("note", "")),
            )
            for key, one in answer.items()
        }  # fmt: skip

    def circuit(self, key: str, command: str, process_ms: int = 300) -> str:
        """Send an EZO circuit a command; gives its reply (see sensors.ezo.Ezo.begin_command)."""
        return str(self.ask("ezo", ANSWER_S + 5.0, key=key, command=command, process_ms=process_ms))

    def order(self, key: str, command: str, process_ms: int = 300) -> None:
        """A command that the circuit must accept.

        Raises:
            BoardError: it refused or was silent.
        """
        reply = ""
        for _ in range(2):  # the first after power-up is often refused for junk before it
            reply = self.circuit(key, command, process_ms)
            if reply == "*OK":
                return
        what = {"": "does not answer", "*ER": "refuses"}.get(reply, f"answers {reply} to")
        raise BoardError(
            f"the {key} circuit {what} `{command}`",
            where=self.where,
            cause="" if reply == "*ER" else "wiring, supply, or a circuit switched to I²C",
            next_step="nothing was changed for good; look at the circuit and start again",
        )

    def keep(self, key: str, step: str) -> Any:
        """Keep, accept or restore the calibration on a circuit's chip (firmware/buoy/circuits.py)."""
        return self.ask("keep", 60.0, key=key, step=step)

    def calibrate(
        self,
        key: str,
        step: str,
        changes: dict[str, object] | None = None,
        note: dict[str, object] | None = None,
    ) -> None:
        """Write coefficients, accept them or revert to the previous: whole or not at all
        (docs/firmware.md).
        """
        more: dict[str, Any] = {} if changes is None else {"set": changes, "note": note or {}}
        if changes is not None:
            self._written[key] = note or {}
        try:
            self._console.request("calibrate", ANSWER_S + 5.0, key=key, step=step, **more)
        except Unanswered:
            # The cable can go between what the board does and what it says: the board knows.
            if step != "accept" or not self._holds(key):
                raise

    def _holds(self, key: str) -> bool:
        """Whether the calibration that was written last is the accepted one."""
        try:
            note = self.ask("get", RESTART_S, tries=2).get("calibration", {}).get(key)
        except BoardError:
            return False
        written = self._written.get(key)
        if note is None or written is None or note.get("open"):
            return False
        return all(note.get(name) == value for name, value in written.items())

    def pulses(self) -> tuple[int, float]:
        """Total of the flow meter and the board's time of it in s."""
        answer = self.ask("count")
        return int(answer["pulses"]), float(answer["ticks"]) / 1000.0
