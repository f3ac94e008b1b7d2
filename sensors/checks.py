"""Checks the settings of a board's sensors, pins and supplies; sensors.build makes sensors of them."""

from sensors import forget as forget_modules
from sensors.catalog import KEYS
from sensors.rows import keys_on, rails
from sensors.settings import LARGEST, SettingsError, check_number, merged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.fakes import Fake

# Rail → (pin name, switched off between readings).
RAILS = rails()
RAIL_OPTIONS: "dict[str, object]" = {"switched": False, "active_high": True}


def problems(settings: "dict[str, Any]") -> "list[str]":
    """Everything that `sensors.build.make_sensors` would refuse, whatever shape it has; touches no pin."""
    found = []
    for name in settings:
        if name not in ("pins", "power", "sensors"):
            found.append("unknown setting %r; pins, power or sensors" % (name,))
        elif not isinstance(settings[name], dict):
            found.append("%s is %r; an object" % (name, settings[name]))
    if found:
        return found
    pins: "dict[str, int]" = {}
    try:
        pins = make_pins(settings.get("pins", {}))
    except SettingsError as error:
        found.append("pins: %s" % error)
    wanted = settings.get("sensors", {})
    for check, section in ((_check_rail, settings.get("power", {})), (_check_sensor, wanted)):
        for name in sorted(section):
            try:
                if not isinstance(section[name], dict):
                    raise SettingsError("%s is %r; an object" % (name, section[name]))
                check(name, section[name], pins)
            except SettingsError as error:
                found.append(str(error))
    return found


def _check_rail(name: str, given: "dict[str, Any]", _pins: "dict[str, int]") -> None:
    if name not in RAILS:
        raise SettingsError("unknown rail %r; one of %s" % (name, ", ".join(sorted(RAILS))))
    merged(name, RAIL_OPTIONS, given)


def _check_sensor(key: str, given: "dict[str, Any]", pins: "dict[str, int]") -> None:
    if key not in KEYS:
        raise SettingsError("unknown sensor %r; one of %s" % (key, ", ".join(KEYS)))
    given = dict(given)
    mode = given.pop("mode", "off")
    if mode == "hardware":
        from sensors.options import options

        settings = with_pins(key, given, pins) if pins else given
        options(key, settings)
        own = {name: settings[setting] for setting, name in pin_names(key).items() if setting in given}
        if own:
            _check_pins(dict(pins, **own))
    elif mode != "off":
        new_fake(key, mode, given, 1)


def pin_names(key: str) -> "dict[str, str]":
    """Setting of a driver → name in the pin map."""
    return {"tx": key + "_tx", "rx": key + "_rx"} if key in keys_on("uart") else {"pin": key}


def with_pins(key: str, given: "dict[str, Any]", pins: "dict[str, int]") -> "dict[str, Any]":
    """Settings of a driver with its pins of the map; raises SettingsError: a pin is not in it."""
    every: "dict[str, Any]" = {}
    names = pin_names(key)
    for setting in names:
        if names[setting] not in pins:
            raise SettingsError("%s has no pin %s" % (key, names[setting]))
        every[setting] = pins[names[setting]]
    every.update(given)
    return every


def forget() -> None:
    """Take what only checking needs out of a board's memory; import it again to check more."""
    forget_modules("checks", "options", "pins", "settings")


def make_pins(given: "dict[str, int | None]") -> "dict[str, int]":
    """The default pin map overlaid with `given`, checked.

    Raises:
        SettingsError: with every problem of the map.
    """
    from sensors.pins import DEFAULT

    pins = dict(DEFAULT)
    for name in given:
        gpio = given[name]
        if gpio is None:
            pins.pop(name, None)
        else:
            pins[name] = gpio
    _check_pins(pins)
    return pins


def _check_pins(pins: "dict[str, int]") -> None:
    from sensors import pins as pin_map

    wrong = pin_map.problems(pins)
    forget_modules("pins")  # the checks of sensors take memory, too
    if wrong:
        raise SettingsError("; ".join(wrong))


def new_fake(key: str, mode: str, given: "dict[str, Any]", seed: int) -> "Fake":
    """The fake of a sensor; raises SettingsError."""
    from sensors.fakes import make_fake

    options: "dict[str, Any]" = merged(key, {"base": 0.0, "value": None}, given)
    value = options["value"]
    check_number(key, "base", options["base"], -LARGEST, LARGEST)
    if not isinstance(value, bool):
        check_number(key, "value", value, -LARGEST, LARGEST)
    try:
        return make_fake(key, mode, options["base"], 0.0 if value is None else value, seed)
    except ValueError as error:
        raise SettingsError(str(error)) from None
