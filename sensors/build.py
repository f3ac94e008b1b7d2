"""Makes the sensors of a board from its settings; a driver's module is imported only when its sensor is real.

{"pins": {"do": 36, ...},                      overlays sensors.pins.DEFAULT; null: not fitted
 "power": {"turbidity": {"switched": true}},   overlays RAILS below
 "sensors": {"ph": {"mode": "hardware", "limits": [5, 10]},    driver settings beside the mode
             "ec": {"mode": "counter", "base": 125.0}, ...}}   fakes: base, value
"""

from sensors import forget as forget_modules
from sensors import pins as pin_map
from sensors.catalog import KEYS
from sensors.settings import LARGEST, SettingsError, check_number, merged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Driver, Modules
    from sensors.fakes import Fake
    from sensors.power import Rail

# Rail → (pin name, switched off between readings). pH needs minutes to recover, so its circuit stays on.
RAILS = {
    "ezo": ("power_ezo", False),
    "turbidity": ("power_tbd", True),
    "pressure": ("power_wp", True),
    "flow": ("power_wf", False),
}
RAIL_OPTIONS: "dict[str, object]" = {"switched": False, "active_high": True}
RAIL_OF = {"ph": "ezo", "ec": "ezo", "tbd": "turbidity", "wp": "pressure", "wf": "flow"}


def make_sensors(
    settings: "dict[str, Any]", modules: "Modules" = __import__, seed: int = 1
) -> "list[Driver | Fake]":
    """Every sensor that is not off, in the order of publication.

    Args:
        settings: as above; a missing part means the defaults, a missing sensor is off.
        modules: gives a module by name; a simulation gives its own.
        seed: of walks.

    Raises:
        SettingsError: anything wrong in the settings, with what is allowed.
    """
    wrong = problems(settings)
    if wrong:
        raise SettingsError("; ".join(wrong))
    wanted = settings.get("sensors", {})
    pins = make_pins(settings.get("pins", {}))
    rails: "dict[str, Rail]" = {}
    made: "list[Driver | Fake]" = []
    for key in KEYS:
        given = dict(wanted.get(key, {}))
        mode = given.pop("mode", "off")
        if mode == "off":
            continue
        if mode == "hardware":
            rail = _rail(RAIL_OF.get(key), rails, settings.get("power", {}), pins, modules)
            made.append(make_driver(key, given, modules, rail, pins))
        else:
            made.append(_fake(key, mode, given, seed))
    return made


def problems(settings: "dict[str, Any]") -> "list[str]":
    """Everything that `make_sensors` would refuse, whatever shape it has; touches no pin."""
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

        settings = _with_pins(key, given, pins) if pins else given
        options(key, settings)
        own = {name: settings[setting] for setting, name in pin_names(key).items() if setting in given}
        wrong = pin_map.problems(dict(pins, **own)) if own else ()
        if wrong:
            raise SettingsError("; ".join(wrong))
    elif mode != "off":
        _fake(key, mode, given, 1)


def pin_names(key: str) -> "dict[str, str]":
    """Setting of a driver → name in the pin map."""
    return {"tx": key + "_tx", "rx": key + "_rx"} if key in ("ph", "ec") else {"pin": key}


def _with_pins(key: str, given: "dict[str, Any]", pins: "dict[str, int]") -> "dict[str, Any]":
    every: "dict[str, Any]" = {}
    names = pin_names(key)
    for setting in names:
        if names[setting] not in pins:
            raise SettingsError("%s has no pin %s" % (key, names[setting]))
        every[setting] = pins[names[setting]]
    every.update(given)
    return every


def forget() -> None:
    """Take what only making sensors needs out of a board's memory; import it again to make more."""
    forget_modules("build", "options", "pins", "settings")


def make_pins(given: "dict[str, int | None]") -> "dict[str, int]":
    """The default pin map overlaid with `given`, checked.

    Raises:
        SettingsError: with every problem of the map.
    """
    pins = dict(pin_map.DEFAULT)
    for name in given:
        gpio = given[name]
        if gpio is None:
            pins.pop(name, None)
        else:
            pins[name] = gpio
    problems = pin_map.problems(pins)
    if problems:
        raise SettingsError("; ".join(problems))
    return pins


def make_driver(
    key: str,
    settings: "dict[str, Any]",
    modules: "Modules" = __import__,
    rail: "Rail | None" = None,
    pins: "dict[str, int] | None" = None,
) -> "Driver":
    """One driver.

    Args:
        key: one of `sensors.catalog.KEYS`.
        settings: of that driver; sensors.options lists them.
        modules: gives a module by name.
        rail: supply of the part; None: always powered.
        pins: pin map, checked; None: the default.

    Raises:
        SettingsError: unknown or impossible setting.
    """
    if pins is None:
        pins = pin_map.DEFAULT
    from sensors.power import Rail

    return _class_of(key)(_with_pins(key, settings, pins), modules, rail or Rail())


def _class_of(key: str) -> "type[Driver]":
    """The driver of a key; its code is loaded with it."""
    found: "type[Driver]"
    if key == "do":
        from sensors.do import Do

        found = Do
    elif key == "ec":
        from sensors.ec import Ec

        found = Ec
    elif key == "liqlev":
        from sensors.liqlev import Liqlev

        found = Liqlev
    elif key == "ph":
        from sensors.ph import Ph

        found = Ph
    elif key == "tds":
        from sensors.tds import Tds

        found = Tds
    elif key == "tbd":
        from sensors.tbd import Tbd

        found = Tbd
    elif key == "wf":
        from sensors.wf import Wf

        found = Wf
    elif key == "wp":
        from sensors.wp import Wp

        found = Wp
    else:
        from sensors.temp import Temp

        found = Temp
    return found


def _rail(
    name: "str | None",
    rails: "dict[str, Rail]",
    power: "dict[str, Any]",
    pins: "dict[str, int]",
    modules: "Modules",
) -> "Rail | None":
    if name is None:
        return None
    if name not in rails:
        from sensors.power import Rail

        pin_name, switched = RAILS[name]
        options = merged(name, dict(RAIL_OPTIONS, switched=switched), power.get(name, {}))
        pin = None
        if pin_name in pins:
            machine = modules("machine")
            pin = machine.Pin(pins[pin_name], machine.Pin.OUT)
        rails[name] = Rail(pin, bool(options["active_high"]), bool(options["switched"]))
    return rails[name]


def _fake(key: str, mode: str, given: "dict[str, Any]", seed: int) -> "Fake":
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
