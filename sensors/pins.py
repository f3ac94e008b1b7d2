"""Pin map of the buoy's ESP32-WROOM-32 DevKit, and the rules any other map must keep.

Source: ESP32 data sheet (strapping and flash pins), MicroPython's ESP32 reference (ADC2 and Wi-Fi), pin table
of the sensor reference.
"""

# Name → GPIO. `ph` and `ec` name their own side: `tx` is the ESP32's output.
DEFAULT = {
    "do": 36,
    "tds": 39,
    "tbd": 34,
    "wp": 35,
    "ph_tx": 25,
    "ph_rx": 26,
    "ec_tx": 17,
    "ec_rx": 16,
    "temp": 4,
    "wf": 27,
    "liqlev": 13,
    "power_ezo": 18,
    "power_tbd": 19,
    "power_wp": 23,
    "power_wf": 14,
}

ANALOG = ("do", "tds", "tbd", "wp")
OUTPUTS = ("ph_tx", "ec_tx", "power_ezo", "power_tbd", "power_wp", "power_wf")
BIDIRECTIONAL = ("temp",)
PULLED = ("liqlev",)

ADC1 = (32, 33, 34, 35, 36, 37, 38, 39)
STRAPPING = (0, 2, 5, 12, 15)
FLASH = (6, 7, 8, 9, 10, 11)
CONSOLE = (1, 3)
INPUT_ONLY = (34, 35, 36, 37, 38, 39)
ABSENT = (20, 24, 28, 29, 30, 31)
PSRAM = (16, 17)  # taken on WROVER modules only


def problems(pins: "dict[str, int]", wrover: bool = False) -> "list[str]":
    """Everything wrong with a pin map, one sentence each; empty if it can be wired.

    Args:
        pins: name → GPIO, names as in `DEFAULT`; a power switch that is not fitted is left out.
        wrover: the module is a WROVER, whose PSRAM takes GPIO 16 and 17.
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
        found += [where + why for why in _objections(name, pins[name], wrover)]
    users: "dict[int, list[str]]" = {}
    for name in sorted(pins):
        if isinstance(pins[name], int):
            users.setdefault(pins[name], []).append(name)
    for gpio in sorted(users):
        if len(users[gpio]) > 1:
            found.append("GPIO %s is used by %s" % (gpio, " and ".join(users[gpio])))
    return found


def _objections(name: str, gpio: int, wrover: bool) -> "list[str]":
    if not 0 <= gpio <= 39 or gpio in ABSENT:
        return ["there is no such GPIO"]
    why = []
    if gpio in FLASH:
        why.append("belongs to the flash chip")
    if gpio in STRAPPING:
        why.append("strapping pin: what is wired here decides how the board boots")
    if gpio in CONSOLE:
        why.append("belongs to the serial console")
    if wrover and gpio in PSRAM:
        why.append("belongs to the PSRAM of a WROVER; 32 and 33 are free")
    if name in ANALOG and gpio not in ADC1:
        why.append("not on ADC1 (32 to 39); ADC2 cannot be read while Wi-Fi is on")
    if gpio in INPUT_ONLY and name in OUTPUTS + BIDIRECTIONAL:
        why.append("34 to 39 are inputs only")
    if gpio in INPUT_ONLY and name in PULLED:
        why.append("34 to 39 have no pull-down, which this switch needs")
    return why
