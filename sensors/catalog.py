"""The nine measures of a buoy: keys, JSON types, units and decimals as published.

Source: the buoy system's payload table (keys, units, JSON types); decimals follow the parts'
resolutions, and the original test's two decimals are enough for all of them.
"""

from sensors import seldom

# The order is that of the original test's `sample_data`, which `original` payloads keep.
KEYS = ("do", "ec", "liqlev", "ph", "tds", "tbd", "wf", "wp", "temp")

BOOLEAN_KEYS = ("liqlev",)

UNITS = {
    "do": "%Sat",
    "ec": "µS/cm",
    "liqlev": "",
    "ph": "pH",
    "tds": "ppm",
    "tbd": "NTU",
    "wf": "L/s",
    "wp": "kPa",
    "temp": "°C",
}


@seldom
def unit_of(key: str) -> str:
    """Unit of a measure as published."""
    return UNITS[key]


NAMES = {
    "do": "dissolved oxygen",
    "ec": "electrical conductivity",
    "liqlev": "liquid level",
    "ph": "pH",
    "tds": "total dissolved solids",
    "tbd": "turbidity",
    "wf": "water flow",
    "wp": "water pressure",
    "temp": "water temperature",
}

# Decimals of a published value, for every float key.
DECIMALS = 2

# What a sensor can be on a buoy: `hardware` runs the driver on its bus, the others are on-board fakes.
MODES = ("hardware", "counter", "walk", "constant", "off")
