"""What is soldered to which pin of the board."""

from dataclasses import dataclass

from sensors import pins as pin_map
from sensors.options import defaults
from sensors.rows import column, keys_on, rails

RATIOS: dict[str, float] = {key: defaults(key)["ratio"] for key in keys_on("analog")}
"""Nominal dividers: volts of the part per volt at the pin (10k:10k for the 5 V parts)."""
RESISTOR_TOLERANCE = 0.001
"""Relative, of a divider (0.1 % resistors)."""
SUPPLIES: dict[str, tuple[str, ...]] = {
    switch: tuple(key for key, own in column("rail").items() if own == rail)
    for rail, (switch, _) in rails().items()
}
"""Power switches and the parts behind them."""


@dataclass(frozen=True)
class Wiring:
    """Pins of the parts.

    `supplies` is GPIO → keys of the parts behind its load switch, on while the pin is high (or was never
    driven: the switches' gates are pulled so).
    """

    analog: dict[int, str]
    temp: int | None
    wf: int | None
    liqlev: int | None
    uarts: dict[str, tuple[int, int]]
    """Key → (GPIO that the board sends on, GPIO it receives on)."""
    supplies: dict[int, tuple[str, ...]]
    active_low: frozenset[int] = frozenset()
    """Load switches that are on while their pin is low."""


def wiring_of(
    pins: "dict[str, int | None] | None" = None, active_low: frozenset[int] = frozenset()
) -> Wiring:
    """The wiring of a pin map laid over the default (`sensors.pins.DEFAULT`); None: not fitted."""
    every: dict[str, int | None] = {**pin_map.DEFAULT, **(pins or {})}
    fitted = {name: gpio for name, gpio in every.items() if gpio is not None}
    return Wiring(
        analog={fitted[key]: key for key in pin_map.ANALOG if key in fitted},
        temp=fitted.get("temp"),
        wf=fitted.get("wf"),
        liqlev=fitted.get("liqlev"),
        uarts={
            key: (fitted[f"{key}_tx"], fitted[f"{key}_rx"])
            for key in keys_on("uart")
            if f"{key}_tx" in fitted
        },
        supplies={fitted[name]: keys for name, keys in SUPPLIES.items() if name in fitted},
        active_low=active_low,
    )
