"""The measures of a buoy: keys, JSON types, units and decimals as published (sensors.rows)."""

from sensors import seldom
from sensors.rows import column, keys

KEYS = keys()
BOOLEAN_KEYS = keys("boolean")
UNITS: "dict[str, str]" = column("unit")


@seldom
def unit_of(key: str) -> str:
    """Unit of a measure as published."""
    return UNITS[key]


NAMES: "dict[str, str]" = column("name")

# Decimals of a published value, for every float key. They follow the parts' resolutions, and the original
# test's two decimals are enough for all of them.
DECIMALS = 2

# What a sensor can be on a buoy: `hardware` runs the driver on its bus, the others are on-board fakes.
MODES = ("hardware", "counter", "walk", "constant", "off")
