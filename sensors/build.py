"""Makes the sensors of a board from its settings; a driver's module is imported only when its sensor is real.

{"pins": {"do": 36, ...},                      overlays sensors.pins.DEFAULT; null: not fitted
 "power": {"turbidity": {"switched": true}},   overlays sensors.checks.RAILS
 "sensors": {"ph": {"mode": "hardware", "limits": [5, 10]},    driver settings beside the mode
             "ec": {"mode": "counter", "base": 125.0}, ...}}   fakes: base, value
"""

from sensors import forget as forget_modules
from sensors.catalog import KEYS
from sensors.checks import RAIL_OPTIONS, RAILS, make_pins, new_fake, problems, with_pins
from sensors.rows import column, driver_class
from sensors.settings import SettingsError, merged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sensors.driver import Driver, Modules
    from sensors.fakes import Fake
    from sensors.power import Rail

RAIL_OF: "dict[str, str]" = column("rail")


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
            made.append(new_fake(key, mode, given, seed))
    return made


def forget() -> None:
    """Take what only making sensors needs out of a board's memory; import it again to make more."""
    forget_modules("build", "checks", "options", "pins", "settings")


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
        pins = make_pins({})
    from sensors.power import Rail

    return _class_of(key)(with_pins(key, settings, pins), modules, rail or Rail())


def _class_of(key: str) -> "type[Driver]":
    """The driver of a key; its code is loaded with it."""
    found: "type[Driver]" = driver_class(key)
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
