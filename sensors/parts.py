"""The nine parts: what is fitted, what it spans and how well. For people, tests and the simulation.

Source: data sheets and makers' pages as in the sensor reference. Accuracies are of the part alone: `absolute`
in the published unit or `relative` of the value, whichever is larger.
"""

from sensors import pins


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


PARTS = (
    # The probe's ±0.2 mg/L is 1.4 to 2.6 % of saturation between 0 and 30 °C.
    Part("do", "Atlas Gravity DO", "ADC1, 2.5 dB", "analog 0-700 mV", ("do",), 0.0, 200.0, 2.6, 0.0, 310),
    Part(
        "ec",
        "Atlas EZO-EC, K 0.1",
        "UART 2",
        "9600 baud, lines",
        ("ec_tx", "ec_rx"),
        0.07,
        50000.0,
        0.0,
        0.02,
        600,
    ),
    Part("liqlev", "DFRobot SEN0204", "GPIO", "level, pull-down", ("liqlev",), 0.0, 1.0, 0.0, 0.0, 1000),
    # Circuit ±0.002 or ±0.02 by sheet; buffers and probe limit the system to ±0.05.
    Part("ph", "Atlas EZO-pH", "UART 1", "9600 baud, lines", ("ph_tx", "ph_rx"), 0.001, 14.0, 0.05, 0.0, 900),
    # ±10 % of the full scale of 1000 ppm.
    Part(
        "tds",
        "DFRobot SEN0244",
        "ADC1, 0 or 11 dB",
        "analog 0-2.3 V",
        ("tds",),
        0.0,
        1120.0,
        100.0,
        0.0,
        1160,
    ),
    # The maker states none; ±30 NTU or 10 % is what calibration is accepted with.
    Part(
        "tbd",
        "DFRobot SEN0189",
        "ADC1, 11 dB",
        "analog 2.5-4.2 V, 1:2",
        ("tbd",),
        0.0,
        3000.0,
        30.0,
        0.1,
        1280,
    ),
    # ±5 % over 2 to 30 L/min.
    Part("wf", "DFRobot SEN0217", "PCNT", "7.5 Hz per L/min", ("wf",), 0.0, 0.5, 0.0, 0.05, 5000),
    # 1 % of the full scale of 1.6 MPa.
    Part(
        "wp",
        "DFRobot SEN0257",
        "ADC1, 11 dB",
        "analog 0.5-4.5 V, 1:2",
        ("wp",),
        -10.0,
        1600.0,
        16.0,
        0.0,
        730,
    ),
    Part("temp", "DS18B20", "1-Wire", "12 bit, 750 ms", ("temp",), -2.0, 40.0, 0.5, 0.0, 750),
)


def part(key: str) -> Part:
    """The part that measures a key."""
    for candidate in PARTS:
        if candidate.key == key:
            return candidate
    raise KeyError(key)
