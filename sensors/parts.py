"""The parts: what is fitted, what it spans and how well. For people, tests and the simulation.

Source: data sheets and makers' pages as in the sensor reference. Accuracies are of the part alone: `absolute`
in the published unit or `relative` of the value, whichever is larger.
"""

from sensors import pins
from sensors.rows import keys, pins_of, row_of


class Part:
    """One part. `low` and `high` bound what it can measure, in the published unit."""

    __slots__ = (
        "absolute",
        "bus",
        "high",
        "interface",
        "key",
        "low",
        "name",
        "pin_names",
        "reading_ms",
        "relative",
    )

    def __init__(
        self,
        key: str,
        name: str,
        bus: str,
        interface: str,
        pin_names: "tuple[str, ...]",
        low: float,
        high: float,
        absolute: float,
        relative: float,
        reading_ms: int,
    ) -> None:
        self.key = key
        self.name = name
        self.bus = bus
        self.interface = interface
        self.pin_names = pin_names
        self.low = low
        self.high = high
        self.absolute = absolute
        self.relative = relative
        self.reading_ms = reading_ms

    def accuracy(self, value: float) -> float:
        """Largest error the part may have at a value, in the published unit."""
        return max(self.absolute, self.relative * abs(value))

    def pins(self) -> "tuple[int, ...]":
        """GPIOs of the default pin map."""
        return tuple([pins.DEFAULT[name] for name in self.pin_names])


def _part(key: str) -> Part:
    name, bus, interface, low, high, absolute, relative, reading_ms = row_of(key)["part"]
    return Part(
        key,
        name,
        bus,
        interface,
        tuple(sorted(pins_of(key), reverse=True)),
        low,
        high,
        absolute,
        relative,
        reading_ms,
    )


PARTS = tuple([_part(key) for key in keys("part")])


def part(key: str) -> Part:
    """The part that measures a key."""
    for candidate in PARTS:
        if candidate.key == key:
            return candidate
    raise KeyError(key)
