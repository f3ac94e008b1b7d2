"""Solutions and other references: what each truly is at its temperature, how sure, and how long it keeps.

Values of buffers and conductivity standards are tabled in sensors.buffers, which names the sources.
Tolerances are those printed on ordinary bottles; a lot can say its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from buoyfleet.calibration.model import Reference
from sensors.buffers import buffer_ph, standard_us_cm
from sensors.calibration import CalibrationError


@dataclass(frozen=True, slots=True)
class Kind:
    """A bottled solution."""

    name: str
    label: str
    unit: str
    value: Callable[[float], float]
    """Of °C; raises CalibrationError outside its table."""
    tolerance: float
    """Half width, in the unit."""
    keeps_days: int
    """After opening."""
    span_c: tuple[float, float]
    source: str


def _ph(name: str, tolerance: float, keeps_days: int) -> Kind:
    return Kind(
        f"ph-{name.split('.', maxsplit=1)[0]}",
        f"pH {name} buffer",
        "pH",
        lambda celsius: buffer_ph(name, celsius),
        tolerance,
        keeps_days,
        (0.0, 30.0),
        "buffer table of Foxboro MI 611-211",
    )


def _ec(name: str, tolerance_percent: float, keeps_days: int) -> Kind:
    return Kind(
        f"ec-{name}",
        f"{name} µS/cm standard",
        "µS/cm",
        lambda celsius: standard_us_cm(name, celsius),
        tolerance_percent / 100.0 * float(name),
        keeps_days,
        (5.0, 30.0),
        "conductivity table of the Mettler-Toledo S230 manual",
    )


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _ph("4.00", 0.02, 180),
        _ph("7.00", 0.02, 180),
        _ph("10.01", 0.02, 90),  # takes up carbon dioxide
        _ec("84", 1.2, 90),
        _ec("1413", 1.0, 180),
        _ec("12880", 1.0, 180),
        Kind(
            "zero-oxygen", "sodium sulfite solution", "%Sat", lambda _: 0.0, 2.0, 1, (0.0, 40.0), "chemistry"
        ),
        Kind(
            "formazin", "formazin", "NTU", lambda _: 0.0, 5.0, 30, (0.0, 40.0), "dilution of 4000 NTU stock"
        ),
    )
}
"""Kinds by name. Formazin's value is in the step; its tolerance is in % of it."""


@dataclass(frozen=True, slots=True)
class Lot:
    """A bottle on the bench."""

    lot: str
    kind: str
    expires: date | None = None
    opened: date | None = None
    maker: str = ""
    tolerance: float | None = None
    """Half width of its certificate, in the unit of its kind; None: the kind's."""

    def trouble(self, today: date) -> str:
        """Why it must not be used any more; empty if it may."""
        if self.expires is not None and today > self.expires:
            return f"lot {self.lot} ({self.kind}) expired on {self.expires}"
        if self.opened is not None:
            if self.opened > today:
                return f"lot {self.lot} ({self.kind}) was opened on {self.opened}, which is in the future"
            keeps = KINDS[self.kind].keeps_days
            if today > self.opened + timedelta(days=keeps):
                return (
                    f"lot {self.lot} ({self.kind}) was opened on "
                    f"{self.opened} and keeps {keeps} days once open"
                )
        return ""


def reference_of(kind_name: str, celsius: float, thermometer: str, lot: Lot | None) -> Reference:
    """A buffer or standard at its own temperature.

    Raises:
        CalibrationError: the table does not reach that temperature.
    """
    kind = KINDS[kind_name]
    low, high = kind.span_c
    value = kind.value(celsius)
    below, above = max(low, celsius - 1.0), min(high, celsius + 1.0)
    half_width = kind.tolerance if lot is None or lot.tolerance is None else lot.tolerance
    reference = Reference(
        value=value,
        unit=kind.unit,
        half_width=half_width,
        per_c=(kind.value(above) - kind.value(below)) / (above - below),
        temperature_c=celsius,
        thermometer=thermometer,
        label=kind.label,
        source=kind.source,
    )
    return with_lot(reference, lot)


def with_lot(reference: Reference, lot: Lot | None) -> Reference:
    """The reference with lot, expiry and opening of its bottle."""
    if lot is None:
        return reference
    return replace(reference, lot=lot.lot, expires=str(lot.expires or ""), opened=str(lot.opened or ""))


def nearest_kind(family: str, value: float, celsius: float) -> str:
    """Which kind of a family (`ph`, `ec`) has a value nearest to this one; ratio counts for conductivity."""
    best, best_distance = "", float("inf")
    for kind in KINDS.values():
        if not kind.name.startswith(f"{family}-"):
            continue
        try:
            true = kind.value(celsius)
        except CalibrationError:
            continue
        if family == "ph":
            distance = abs(value - true)
        else:
            distance = max(value, 1e-9) / true
            distance = max(distance, 1.0 / distance)
        if distance < best_distance:
            best, best_distance = kind.name, distance
    return best
