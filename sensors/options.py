"""What every driver can be set to: defaults, and what is allowed. Read when a sensor is made, then forgotten.

A setting takes the type of its default; None means `not set` and is allowed where the default is None.
"""

from sensors.rows import column, keys_on
from sensors.settings import SettingsError, check_choice, check_number, coefficients, limits, merged

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
    "baudrate": 9600,
    "settle_ms": 0,  # after power or a restart, readings are `warming` for this long
}

# Key → settings of that driver, beside and over those it shares.
SETTINGS: "dict[str, dict[str, Any]]" = column("settings")

# Setting → (least, most), in whichever driver has it; None passes where a setting may be unset.
NUMBERS = {
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
# Key → setting → (least, most) of a working part.
OWN_NUMBERS: "dict[str, dict[str, tuple[float, float]]]" = column("numbers")
# Setting → texts it may be, in whichever driver has it. The attenuations are in dB (sensors.analog).
CHOICES = {
    "attenuation": ("0", "2.5", "6", "11"),
    "clear_method": ("scale", "offset"),
    "unit": ("µS/cm", "mS/cm"),
}


def defaults(key: str) -> "dict[str, Any]":
    """Every setting of a driver with its default."""
    every = dict(COMMON)
    if key in keys_on("analog"):
        every.update(ANALOG)
    elif key in keys_on("uart"):
        every.update(UART)
    every.update(SETTINGS[key])
    return every


def options(
    key: str, given: "dict[str, Any]"
) -> "tuple[dict[str, Any], tuple[float, ...] | None, tuple[float, float] | None]":
    """(settings, coefficients of the correction, limits) of a driver: the defaults overlaid with `given`.

    Raises:
        SettingsError: unknown name, wrong type, or a value that no working part has.
    """
    settings: "dict[str, Any]" = merged(key, defaults(key), given)
    for numbers in (NUMBERS, OWN_NUMBERS.get(key, {})):
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
