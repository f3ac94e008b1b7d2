"""Vessels for the bench: named solutions at a temperature, to put probes into.

Sources: pH buffer tables of Foxboro MI 611-211; conductivity standards of the Mettler-Toledo S230 manual (its
first row is 5 °C: 0.01 mol/L KCl has about 774 µS/cm at 0 °C).
"""

from collections.abc import Callable
from dataclasses import dataclass

from buoyfleet.simulation.water.medium import Sample
from buoyfleet.simulation.water.oxygen import saturation_mg_l
from buoyfleet.simulation.water.seawater import at_temperature

# °C → value. Linear between rows, the last slope beyond them.
PH_BUFFERS: dict[str, tuple[tuple[float, float], ...]] = {
    "ph-4": tuple(zip(range(0, 31, 5), (4.00, 4.00, 4.00, 4.00, 4.00, 4.00, 4.01), strict=True)),
    "ph-7": tuple(zip(range(0, 31, 5), (7.12, 7.09, 7.06, 7.04, 7.02, 7.00, 6.99), strict=True)),
    "ph-10": tuple(zip(range(0, 31, 5), (10.32, 10.25, 10.18, 10.12, 10.06, 10.01, 9.97), strict=True)),
}
EC_STANDARDS: dict[str, tuple[tuple[float, float], ...]] = {
    "ec-84": tuple(zip(range(5, 31, 5), (53.0, 60.3, 67.6, 75.8, 84.0, 92.2), strict=True)),
    "ec-1413": tuple(zip(range(5, 31, 5), (896.0, 1020.0, 1147.0, 1278.0, 1413.0, 1552.0), strict=True)),
    "ec-12880": tuple(
        zip(range(5, 31, 5), (8220.0, 9330.0, 10480.0, 11670.0, 12880.0, 14120.0), strict=True)
    ),
}


@dataclass(frozen=True, slots=True)
class Vessel:
    """A liquid (or air) that stays as it is: a medium for `Part.put`."""

    name: str
    contents: Sample

    def sample(self, t_s: float) -> Sample:  # noqa: ARG002 - a vessel does not change
        """The same at every time."""
        return self.contents


def interpolate(table: tuple[tuple[float, float], ...], x: float) -> float:
    """Linear in a table of rising x, the end's slope beyond it."""
    i = 1
    while i < len(table) - 1 and x > table[i][0]:
        i += 1
    (x0, y0), (x1, y1) = table[i - 1], table[i]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _liquid(temp_c: float, ph: float = 7.4, ec25: float = 150.0, **more: float) -> Sample:
    """Stirred tap water in a beaker, with what makes it special in `more`."""
    do_pct = more.get("do_pct", 100.0)
    return Sample(
        temp_c=temp_c,
        ph=ph,
        ec25_us_cm=ec25,
        ec_us_cm=more.get("ec", at_temperature(ec25, temp_c)),
        do_pct=do_pct,
        ntu=more.get("ntu", 0.3),
        kpa=more.get("kpa", 0.5),
        flow_l_s=more.get("flow_l_s", 0.0),
        wet=True,
        do_mg_l=do_pct / 100.0 * saturation_mg_l(temp_c),
    )


def _air(temp_c: float) -> Sample:
    return Sample(temp_c, 7.0, 0.0, 0.0, 100.0, 0.0, 0.0, 0.0, False)


def _buffer(name: str, temp_c: float) -> Sample:
    # Buffers are salty, some 5 mS/cm.
    return _liquid(temp_c, ph=interpolate(PH_BUFFERS[name], temp_c), ec25=5000.0)


def _standard(name: str, temp_c: float) -> Sample:
    table = EC_STANDARDS[name]
    return _liquid(temp_c, ph=6.5, ec25=interpolate(table, 25.0), ec=interpolate(table, temp_c))


def _tds_707(temp_c: float) -> Sample:
    # 707 ppm on the 0.5 scale is the 1413 µS/cm standard, by its usual label.
    return _standard("ec-1413", temp_c)


_MAKERS: dict[str, Callable[[float], Sample]] = {
    **{name: (lambda t, n=name: _buffer(n, t)) for name in PH_BUFFERS},  # type: ignore[misc]
    **{name: (lambda t, n=name: _standard(n, t)) for name in EC_STANDARDS},  # type: ignore[misc]
    "tds-707": _tds_707,
    "zero-oxygen": lambda t: _liquid(t, ph=8.5, ec25=20000.0, do_pct=0.0),
    "air": _air,
    "air-saturated": lambda t: _liquid(t, do_pct=100.0),
    "clear-water": lambda t: _liquid(t, ec25=5.0, ntu=0.3),
    "pressure-zero": _air,
    "ice-bath": lambda _: _liquid(0.0),
}
# Names that carry a number: `formazin-400` (NTU), `flow-10` (L/min), `standpipe-2` (m of water).
_NUMBERED: dict[str, Callable[[float, float], Sample]] = {
    "formazin": lambda t, ntu: _liquid(t, ntu=ntu),
    "flow": lambda t, l_min: _liquid(t, flow_l_s=l_min / 60.0),
    "standpipe": lambda t, m: _liquid(t, kpa=9.80 * m),
}

SOLUTIONS: tuple[str, ...] = (*_MAKERS, *(f"{name}-N" for name in _NUMBERED))
"""Names for `vessel`; N is a number: NTU of formazin, L/min of flow, metres of standpipe."""


def vessel(name: str, temp_c: float = 20.0) -> Vessel:
    """A vessel with a named solution.

    Raises:
        ValueError: no such solution; names those there are.
    """
    maker = _MAKERS.get(name)
    if maker is not None:
        return Vessel(name, maker(temp_c))
    family, _, number = name.partition("-")
    if family in _NUMBERED:
        try:
            amount = float(number)
        except ValueError:
            amount = -1.0
        if amount >= 0.0:
            return Vessel(name, _NUMBERED[family](temp_c, amount))
    raise ValueError(f"unknown solution {name!r}; one of {', '.join(SOLUTIONS)}")


def water(wet: bool = True, **fields: float) -> Vessel:
    """A vessel of water with the given true values, e.g. `water(temp_c=12.0, ph=6.9, ec25_us_cm=400.0)`.

    Conductivity at the water's temperature follows from `ec25_us_cm` unless given.
    """
    base = _liquid(fields.get("temp_c", 20.0), ec25=fields.get("ec25_us_cm", 150.0))
    return Vessel("water", base._replace(wet=wet, **fields))
