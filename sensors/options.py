"""What every driver can be set to: defaults, and what is allowed. Read when a sensor is made, then forgotten.

A setting takes the type of its default; None means `not set` and is allowed where the default is None.
"""

from sensors.settings import SettingsError, check_choice, check_number, coefficients, limits, merged
from sensors.transfer import PRESSURE_KPA_PER_V, TDS_CUBIC, TURBIDITY_SQUARE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Settings of every driver.
COMMON: "dict[str, Any]" = {
    "warmup_ms": 0,  # a reading waits this long after its part got power
    "correction": None,  # coefficients, highest power first, of a polynomial applied to the value
    "limits": None,  # (low, high) in the published unit; outside is `range`
}
ANALOG: "dict[str, Any]" = {
    "pin": 36,
    "attenuation": "11",
    "ratio": 1.0,  # volts of the part per volt at the pin: 2.0 for 10k:10k
    "samples": 16,
    "burst": 5,
    "spacing_ms": 10,
}
UART: "dict[str, Any]" = {
    "uart": 1,
    "tx": 25,
    "rx": 26,
    "baudrate": 9600,
    "settle_ms": 0,  # after power or a restart, readings are `warming` for this long
}
SHARED = {"do": ANALOG, "tds": ANALOG, "tbd": ANALOG, "wp": ANALOG, "ph": UART, "ec": UART}

# Key → settings of that driver, beside and over those it shares.
OWN: "dict[str, dict[str, Any]]" = {
    "do": {
        "pin": 36,
        "attenuation": "2.5",
        "samples": 32,
        "air_mv": None,  # output in moist air at calibration; accepted 300 to 900
        "zero_mv": 0.0,  # output in zero-oxygen solution
        "limits": (0.0, 200.0),
    },
    "ec": {
        "uart": 2,
        "tx": 17,
        "rx": 16,
        "k": 0.1,
        "settle_ms": 2000,  # a few readings
        "unit": "µS/cm",
        "min_us_cm": 0.07,  # lowest of a K 0.1 probe; a probe in air reads 0.00
        "max_us_cm": 50000.0,  # above: a short, or a salt bridge
    },
    "liqlev": {
        "pin": 13,
        "inverted": False,  # NPN variants and the mode wire turn the level round
    },
    "ph": {
        # The probe needs 1 to 5 minutes after power was cut.
        "settle_ms": 60000,
        "limits": (5.0, 10.0),  # what this river can be; the bench widens it for buffers
    },
    "tds": {
        "pin": 39,
        "attenuation": "0",  # of the first sample; over 0.9 V the reading changes to 11 dB
        "samples": 30,
        "burst": 3,
        "spacing_ms": 40,  # the maker's pace: the probe is driven with alternating current
        "k": None,  # known / measured at calibration; accepted 0.25 to 4
        "coefficients": TDS_CUBIC,  # a clone board needs its own
    },
    "tbd": {
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
    "wf": {
        "pin": 27,
        "counter": 0,  # PCNT unit
        "window_ms": 5000,
        "warmup_ms": 100,
        "pulses_per_l": None,  # bucket test; accepted 405 to 495
        "expect_flow": False,  # the buoy is known to be in a current (sensors.crosscheck)
        "limits": (0.0, 0.55),
    },
    "wp": {
        "pin": 35,
        "ratio": 2.0,
        "samples": 64,
        "burst": 3,
        "warmup_ms": 100,
        "zero_v": None,  # at the part in open air; accepted 0.40 to 0.60
        "kpa_per_v": PRESSURE_KPA_PER_V,  # 250 is the 1 MPa part's
        "limits": (-10.0, 1600.0),  # 10 kPa below zero: the port is sucked at, or the zero is wrong
    },
    "temp": {
        "pin": 4,
        "rom": "",  # ROM code of the probe to publish, 16 hex digits, family code first
        "limits": (-2.0, 40.0),
        "max_c_per_min": 2.0,  # 0: probes may be moved between vessels
    },
}

# Setting → (least, most) of a working part; None passes where a setting may be unset.
COMMON_NUMBERS = {
    "warmup_ms": (0, 60000),
    "ratio": (1.0, 10.0),
    "samples": (1, 100),
    "burst": (1, 64),
    "spacing_ms": (0, 1000),
    "uart": (1, 2),  # 0 is the console
    "baudrate": (300, 115200),
    "settle_ms": (0, 600000),
    "counter": (0, 7),
    "min_us_cm": (0.0, 1e6),
    "max_us_cm": (0.0, 1e6),
    "max_c_per_min": (0.0, 1000.0),
}
NUMBERS = {
    "do": {"air_mv": (300.0, 900.0), "zero_mv": (0.0, 100.0)},
    "ec": {"k": (0.1, 10.0)},
    "tds": {"k": (0.25, 4.0)},
    "tbd": {"clear_v": (3.9, 4.5)},
    "wf": {"pulses_per_l": (405.0, 495.0), "window_ms": (200, 60000)},
    "wp": {"zero_v": (0.4, 0.6), "kpa_per_v": (200.0, 500.0)},
}
# Setting → texts it may be, in whichever driver has it. The attenuations are in dB (sensors.analog).
CHOICES = {
    "attenuation": ("0", "2.5", "6", "11"),
    "clear_method": ("scale", "offset"),
    "unit": ("µS/cm", "mS/cm"),
}


def defaults(key: str) -> "dict[str, Any]":
    """Every setting of a driver with its default."""
    every = dict(COMMON)
    every.update(SHARED.get(key, {}))
    every.update(OWN[key])
    return every


def options(
    key: str, given: "dict[str, Any]"
) -> "tuple[dict[str, Any], tuple[float, ...] | None, tuple[float, float] | None]":
    """(settings, coefficients of the correction, limits) of a driver: the defaults overlaid with `given`.

    Raises:
        SettingsError: unknown name, wrong type, or a value that no working part has.
    """
    settings: "dict[str, Any]" = merged(key, defaults(key), given)
    for numbers in (COMMON_NUMBERS, NUMBERS.get(key, {})):
        for name in numbers:
            if name in settings:
                least, most = numbers[name]
                check_number(key, name, settings[name], least, most)
    if "coefficients" in settings and coefficients(key, settings["coefficients"]) is None:
        raise SettingsError("coefficients of %s are null; a list of numbers" % key)
    for name in CHOICES:
        if name in settings:
            check_choice(key, name, settings[name], CHOICES[name])
    return settings, coefficients(key, settings["correction"]), limits(key, settings["limits"])
