"""One row for each sensor of a buoy: everything about it that is not code.

A column of this table is asked for by a function: `column("unit")`, `keys_on("uart")`. On a board the answers
stand where the questions were (buoyfleet.boards.shrink.rows), and this file is not there.

To add a sensor: a row here, its driver `sensors/<key>.py`, a simulated part in
`host/buoyfleet/simulation/parts/`, a procedure in `host/buoyfleet/calibration/procedures/` (docs/extend.md).

unit       as published; source: the buoy system's payload table
name       in words
boolean    the value is true or false
bus        `analog` (ADC1), `uart`, `pulses`, `onewire` or `level` (an input with a pull-down)
rail       the supply that it hangs on, one of RAILS; without one it is always powered
walk       normal band of the river, in hundredths of the unit: on-board fakes walk in it. Source: expected
           bands of the sensor reference; `wp` is a floating buoy's one metre deep, `tds` half of `ec`
settings   of its driver, beside those of its bus and of every driver (sensors.options): name → default.
           Its GPIO is `pin`, of a UART `tx` (the ESP32's output) and `rx`
numbers    setting → (least, most) of a working part; None passes where a setting may be unset
part       name, place on the board, interface, low, high, absolute and relative accuracy, time of a reading
           in ms (sensors.parts). Source: data sheets and makers' pages as in the sensor reference
"""

from sensors.transfer import PRESSURE_KPA_PER_V, TDS_CUBIC, TURBIDITY_SQUARE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Supply → its switch in the pin map, the GPIO, and whether it is off between readings. pH needs minutes to
# recover, so its circuit stays on.
RAILS = {
    "ezo": ("power_ezo", 18, False),
    "turbidity": ("power_tbd", 19, True),
    "pressure": ("power_wp", 23, True),
    "flow": ("power_wf", 14, False),
}

# The order is that of the original test's `sample_data`, which `original` payloads keep.
ROWS: "tuple[dict[str, Any], ...]" = (
    {
        "key": "do",
        "unit": "%Sat",
        "name": "dissolved oxygen",
        "bus": "analog",
        "walk": (8500, 11000),
        "settings": {
            "pin": 36,
            "attenuation": "2.5",
            "samples": 32,
            "air_mv": None,  # output in moist air at calibration; accepted 300 to 900
            "zero_mv": 0.0,  # output in zero-oxygen solution
            "limits": (0.0, 200.0),
        },
        "numbers": {"air_mv": (300.0, 900.0), "zero_mv": (0.0, 100.0)},
        # The probe's ±0.2 mg/L is 1.4 to 2.6 % of saturation between 0 and 30 °C.
        "part": ("Atlas Gravity DO", "ADC1, 2.5 dB", "analog 0-700 mV", 0.0, 200.0, 2.6, 0.0, 310),
    },
    {
        "key": "ec",
        "unit": "µS/cm",
        "name": "electrical conductivity",
        "bus": "uart",
        "rail": "ezo",
        "walk": (6000, 25000),
        "settings": {
            "uart": 2,
            "tx": 17,
            "rx": 16,
            "k": 0.1,
            "settle_ms": 2000,  # a few readings
            "unit": "µS/cm",
            "min_us_cm": 0.07,  # lowest of a K 0.1 probe; a probe in air reads 0.00
            "max_us_cm": 50000.0,  # above: a short, or a salt bridge
        },
        "numbers": {"k": (0.1, 10.0)},
        "part": ("Atlas EZO-EC, K 0.1", "UART 2", "9600 baud, lines", 0.07, 50000.0, 0.0, 0.02, 600),
    },
    {
        "key": "liqlev",
        "unit": "",
        "name": "liquid level",
        "boolean": True,
        "bus": "level",
        "settings": {
            "pin": 13,
            "inverted": False,  # NPN variants and the mode wire turn the level round
        },
        "part": ("DFRobot SEN0204", "GPIO", "level, pull-down", 0.0, 1.0, 0.0, 0.0, 1000),
    },
    {
        "key": "ph",
        "unit": "pH",
        "name": "pH",
        "bus": "uart",
        "rail": "ezo",
        "walk": (740, 820),
        "settings": {
            "uart": 1,
            "tx": 25,
            "rx": 26,
            # The probe needs 1 to 5 minutes after power was cut.
            "settle_ms": 60000,
            "limits": (5.0, 10.0),  # what this river can be; the bench widens it for buffers
        },
        # Circuit ±0.002 or ±0.02 by sheet; buffers and probe limit the system to ±0.05.
        "part": ("Atlas EZO-pH", "UART 1", "9600 baud, lines", 0.001, 14.0, 0.05, 0.0, 900),
    },
    {
        "key": "tds",
        "unit": "ppm",
        "name": "total dissolved solids",
        "bus": "analog",
        "walk": (3000, 12500),
        "settings": {
            "pin": 39,
            "attenuation": "0",  # of the first sample; over 0.9 V the reading changes to 11 dB
            "samples": 30,
            "burst": 3,
            "spacing_ms": 40,  # the maker's pace: the probe is driven with alternating current
            "k": None,  # known / measured at calibration; accepted 0.25 to 4
            "coefficients": TDS_CUBIC,  # a clone board needs its own
        },
        "numbers": {"k": (0.25, 4.0)},
        # ±10 % of the full scale of 1000 ppm.
        "part": ("DFRobot SEN0244", "ADC1, 0 or 11 dB", "analog 0-2.3 V", 0.0, 1120.0, 100.0, 0.0, 1160),
    },
    {
        "key": "tbd",
        "unit": "NTU",
        "name": "turbidity",
        "bus": "analog",
        "rail": "turbidity",
        "walk": (500, 15000),
        "settings": {
            "pin": 34,
            "ratio": 2.0,
            "samples": 40,
            "spacing_ms": 20,
            "warmup_ms": 500,  # response time of the part
            "clear_v": None,  # at the part in clear water (< 0.5 NTU); accepted 3.9 to 4.5
            # `scale` (volts times 4.2 / clear_v) corrects the supply, `offset` (volts plus 4.2 - clear_v) the
            # lens and the LED.
            "clear_method": "scale",
            "coefficients": TURBIDITY_SQUARE,  # or a curve measured with formazin
        },
        "numbers": {"clear_v": (3.9, 4.5)},
        # The maker states none; ±30 NTU or 10 % is what calibration is accepted with.
        "part": ("DFRobot SEN0189", "ADC1, 11 dB", "analog 2.5-4.2 V, 1:2", 0.0, 3000.0, 30.0, 0.1, 1280),
    },
    {
        "key": "wf",
        "unit": "L/s",
        "name": "water flow",
        "bus": "pulses",
        "rail": "flow",
        "walk": (0, 40),
        "settings": {
            "pin": 27,
            "counter": 0,  # PCNT unit
            "window_ms": 5000,
            "warmup_ms": 100,
            "pulses_per_l": None,  # bucket test; accepted 405 to 495
            "expect_flow": False,  # the buoy is known to be in a current (sensors.crosscheck)
            "limits": (0.0, 0.55),
        },
        "numbers": {"pulses_per_l": (405.0, 495.0), "window_ms": (200, 60000)},
        # ±5 % over 2 to 30 L/min.
        "part": ("DFRobot SEN0217", "PCNT", "7.5 Hz per L/min", 0.0, 0.5, 0.0, 0.05, 5000),
    },
    {
        "key": "wp",
        "unit": "kPa",
        "name": "water pressure",
        "bus": "analog",
        "rail": "pressure",
        "walk": (900, 1060),
        "settings": {
            "pin": 35,
            "ratio": 2.0,
            "samples": 64,
            "burst": 3,
            "warmup_ms": 100,
            "zero_v": None,  # at the part in open air; accepted 0.40 to 0.60
            "kpa_per_v": PRESSURE_KPA_PER_V,  # 250 is the 1 MPa part's
            "limits": (-10.0, 1600.0),  # 10 kPa below zero: the port is sucked at, or the zero is wrong
        },
        "numbers": {"zero_v": (0.4, 0.6), "kpa_per_v": (200.0, 500.0)},
        # 1 % of the full scale of 1.6 MPa.
        "part": ("DFRobot SEN0257", "ADC1, 11 dB", "analog 0.5-4.5 V, 1:2", -10.0, 1600.0, 16.0, 0.0, 730),
    },
    {
        "key": "temp",
        "unit": "°C",
        "name": "water temperature",
        "bus": "onewire",
        "walk": (200, 2000),
        "settings": {
            "pin": 4,
            "rom": "",  # ROM code of the probe to publish, 16 hex digits, family code first
            "limits": (-2.0, 40.0),
            "max_c_per_min": 2.0,  # 0: probes may be moved between vessels
        },
        "part": ("DS18B20", "1-Wire", "12 bit, 750 ms", -2.0, 40.0, 0.5, 0.0, 750),
    },
)


def row_of(key: str) -> "dict[str, Any]":
    """The row of one sensor."""
    return next(row for row in ROWS if row["key"] == key)


def limits_of(key: str, setting: str) -> "tuple[float, float]":
    """(least, most) of a setting of a working part."""
    least, most = row_of(key)["numbers"][setting]
    return least, most


def keys(having: str = "key") -> "tuple[str, ...]":
    """Keys of the sensors with a column, in the order of publication."""
    return tuple([row["key"] for row in ROWS if having in row])


def keys_on(bus: str) -> "tuple[str, ...]":
    """Keys of the sensors on a bus."""
    return tuple([row["key"] for row in ROWS if row["bus"] == bus])


def column(name: str) -> "dict[str, Any]":
    """Key → what a column holds, of the sensors that have it."""
    return {row["key"]: row[name] for row in ROWS if name in row}


def pins_of(key: str) -> "dict[str, int]":
    """Name in the pin map → GPIO of one sensor."""
    row = row_of(key)
    settings = row["settings"]
    if row["bus"] == "uart":
        return {key + "_tx": settings["tx"], key + "_rx": settings["rx"]}
    return {key: settings["pin"]}


def pin_map() -> "dict[str, int]":
    """Name → GPIO, the switches of the supplies included."""
    found: "dict[str, int]" = {}
    for key in keys():
        found.update(pins_of(key))
    for rail in RAILS:
        found[RAILS[rail][0]] = RAILS[rail][1]
    return found


def driven_pins() -> "tuple[str, ...]":
    """Names of the pins that the board drives."""
    return tuple([key + "_tx" for key in keys_on("uart")] + [RAILS[rail][0] for rail in RAILS])


def rails() -> "dict[str, tuple[str, bool]]":
    """Supply → (name of its switch, off between readings)."""
    return {rail: (RAILS[rail][0], RAILS[rail][2]) for rail in RAILS}


def driver_class(key: str) -> "Any":
    """The driver of a key; its code is loaded with it."""
    module = __import__("sensors." + key, None, None, (key,))
    return getattr(module, key[0].upper() + key[1:])
