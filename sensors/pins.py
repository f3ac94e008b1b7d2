"""Pin map of the buoy's ESP32-WROOM-32 DevKit, and the rules any other map must keep.

Source: ESP32 data sheet (strapping and flash pins), MicroPython's ESP32 reference (ADC2 and Wi-Fi), pin table
of the sensor reference.
"""

from sensors.rows import driven_pins, keys_on, pin_map

# Name → GPIO. `ph` and `ec` name their own side: `tx` is the ESP32's output.
DEFAULT = pin_map()

ANALOG = keys_on("analog")
OUTPUTS = driven_pins()
BIDIRECTIONAL = keys_on("onewire")
PULLED = keys_on("level")

ADC1 = (32, 33, 34, 35, 36, 37, 38, 39)
STRAPPING = (0, 2, 5, 12, 15)
FLASH = (6, 7, 8, 9, 10, 11)
CONSOLE = (1, 3)
INPUT_ONLY = (34, 35, 36, 37, 38, 39)
ABSENT = (20, 24, 28, 29, 30, 31)


def problems(pins: "dict[str, int]") -> "list[str]":
    """Everything wrong with a pin map, one sentence each; empty if it can be wired.

    Args:
        pins: name → GPIO, names as in `DEFAULT`; a power switch that is not fitted is left out.
    """
    found = []
    for name in sorted(pins):
        if name not in DEFAULT:
            found.append("%s: unknown pin name; one of %s" % (name, ", ".join(sorted(DEFAULT))))
            continue
        where = "%s on GPIO %r: " % (name, pins[name])
        if isinstance(pins[name], bool) or not isinstance(pins[name], int):
            found.append(where + "no number of a GPIO")
            continue
        found += [where + why for why in _objections(name, pins[name])]
    users: "dict[int, list[str]]" = {}
    for name in sorted(pins):
        if isinstance(pins[name], int):
            users.setdefault(pins[name], []).append(name)
    for gpio in sorted(users):
        if len(users[gpio]) > 1:
            found.append("GPIO %s is used by %s" % (gpio, " and ".join(users[gpio])))
    return found


def _objections(name: str, gpio: int) -> "list[str]":
    if not 0 <= gpio <= 39 or gpio in ABSENT:
        return ["there is no such GPIO"]
    why = []
    if gpio in FLASH:
        why.append("belongs to the flash chip")
    if gpio in STRAPPING:
        why.append("strapping pin: its level decides how the board boots")
    if gpio in CONSOLE:
        why.append("belongs to the serial console")
    if name in ANALOG and gpio not in ADC1:
        why.append("not on ADC1 (32 to 39); ADC2 cannot be read while Wi-Fi is on")
    if gpio in INPUT_ONLY and name in OUTPUTS + BIDIRECTIONAL:
        why.append("34 to 39 are inputs only")
    if gpio in INPUT_ONLY and name in PULLED:
        why.append("34 to 39 have no pull-down")
    return why
