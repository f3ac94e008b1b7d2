"""What every sensor is to the application, and what the nine drivers share.

    sensor.start(now_ms)         begin a reading
    sensor.poll(now_ms) -> bool  True when the reading is complete; False: call again at `sensor.due_ms`
    sensor.value                 to publish, in `sensor.unit`: float or bool; None if there is nothing
    sensor.flags                 bits of sensors.flags; 0 is ok
    sensor.note                  what the driver knows more exactly, for people; "" if nothing
    sensor.raw                   the signal itself, in `sensor.raw_unit`
    sensor.measured              the value even where flags withhold it; None if there is none
    sensor.read()                (value, unit, raw, flags) of the last complete reading
    sensor.temperature_c         set by the caller: water temperature, or None where none is known
    sensor.hold                  set by the caller: prepare, but go no further before it is False again

Times are milliseconds of one growing clock that never wraps; the caller gives them, a driver has none. All
results stay those of the last complete reading until the next one is complete. `poll` takes well under 100 ms
and never sleeps. A driver reads as its part's procedure does: `_read` is a generator that yields the time at
which it wants to go on.
"""

from sensors import once, quality, seldom
from sensors.catalog import unit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from sensors.power import Rail

    Steps = Iterator[float]
    # Name → module: `machine`, `onewire`, `ds18x20`, `time`. A board gives `__import__`.
    Modules = Callable[[str], Any]

HOLD_STEP_MS = 50


class Driver:
    """Base of the nine drivers; subclasses set the class attributes and write `_read`."""

    key = ""
    raw_unit = ""
    needs_temperature = False
    offers_temperature = False
    # By how much a part in order can exceed its limits until it is calibrated, in the published unit.
    uncal_below = 0.0
    uncal_above = 0.0

    @once
    def __init__(self, settings: "dict[str, Any]", modules: "Modules", rail: "Rail") -> None:
        # Late, so that a board can forget it once its sensors are made (sensors.build.forget).
        from sensors.options import options

        self.settings, self._correction, self._limits = options(self.key, settings)
        self._modules = modules
        self._rail = rail
        self._steps: "Steps | None" = None
        self.now_ms: float = 0
        self.temperature_c: "float | None" = None
        self.hold = False
        self.value: "float | bool | None" = None
        self.measured: "float | bool | None" = None
        self.raw: "float | bool | None" = None
        self.flags = quality.OK
        self.note = ""
        self.due_ms: float = 0
        self.read_ms: "float | None" = None  # when the last complete reading was concluded

    @property
    def unit(self) -> str:
        """Unit of the published value."""
        return unit_of(self.key)

    def start(self, now_ms: float) -> None:
        """Begin a reading, or begin anew."""
        self.now_ms = now_ms
        self.due_ms = now_ms
        self._steps = self._read()

    def poll(self, now_ms: float) -> bool:
        """Go on with the reading."""
        steps = self._steps
        if steps is None:
            return True
        if now_ms < self.due_ms:
            return False
        self.now_ms = now_ms
        try:
            self.due_ms = next(steps)
            return False
        except StopIteration:
            pass
        except OSError as error:  # what MicroPython raises where a bus or a converter fails
            self._end(None, None, quality.MISSING, str(error))
        self._steps = None
        self._rail.release(self.key)
        return True

    def read(self) -> "tuple[float | bool | None, str, float | bool | None, int]":
        """(value, unit, raw signal, flags) of the last complete reading."""
        return self.value, self.unit, self.raw, self.flags

    @seldom
    def mark(self, flag: int, note: str) -> None:
        """Add a flag to the complete reading: what only the other sensors can tell (sensors.crosscheck)."""
        if not self.flags & flag:
            self.flags |= flag
            self.note = self.note + "; " + note if self.note else note
        if not quality.publishable(self.flags):
            self.value = None

    def _read(self) -> "Steps":
        """One reading: yields times, calls `_end` once, last."""
        raise NotImplementedError

    def _warm(self) -> "Steps":
        """Switch the part on and wait until it has warmed up."""
        ready_ms = self._rail.require(self.key, self.now_ms) + self.settings["warmup_ms"]
        if self._rail.on_ms is not None and ready_ms > self.now_ms:
            yield ready_ms

    def _wait(self) -> "Steps":
        """Wait while the caller holds the reading (for the temperature, or for quiet water)."""
        while self.hold:
            yield self.now_ms + HOLD_STEP_MS

    def _end(
        self,
        measured: "float | bool | None",
        raw: "float | bool | None",
        flags: int = quality.OK,
        note: str = "",
    ) -> None:
        """Conclude the reading."""
        if measured is not None and not isinstance(measured, bool):
            correction = self._correction
            if correction is not None:
                corrected = 0.0
                for coefficient in correction:
                    corrected = corrected * measured + coefficient
                measured = corrected
                flags &= ~quality.UNCAL
            limits = self._limits
            if limits is not None:
                low, high = limits
                if flags & quality.UNCAL:
                    low -= self.uncal_below
                    high += self.uncal_above
                if not low <= measured <= high:
                    flags |= quality.RANGE
                    if not note:
                        note = "%.2f is not within %g and %g" % (measured, low, high)
        self.read_ms = self.now_ms
        self.measured = measured
        self.raw = raw
        self.flags = flags
        self.note = note
        self.value = measured if quality.publishable(flags) else None
