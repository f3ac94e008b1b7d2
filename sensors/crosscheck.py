"""What one sensor cannot know of itself and the others can tell: marks readings that contradict each other.

Source: the failure tables of the sensor reference. Only drivers take part, and only readings that their own
drivers did not reject; a fake knows nothing of the water.
"""

from sensors import quality, seldom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sensors.driver import Driver

WET_US_CM = 20.0  # river water has 60 and more; a wet film in air reads less
DRY_KPA = 2.0  # 20 cm of water
AIR_PERCENT = (95.0, 105.0)  # an oxygen probe in air
TDS_PER_EC = (0.4, 0.9)  # ppm per µS/cm of natural water
TDS_END_PPM = 1100.0  # above, the part saturates and the ratio says nothing
STUCK_KPA = 0.5  # of the zero
STUCK_MOVE_KPA = 0.2  # waves move a port that is open more than this
STUCK_READINGS = 3


class Crosscheck:
    """Compares the readings of one buoy, after each full reading."""

    __slots__ = ("_stuck", "_stuck_kpa")

    def __init__(self) -> None:
        self._stuck = 0
        self._stuck_kpa = 0.0

    @seldom
    def mark(self, drivers: "dict[str, Driver]") -> None:
        """Mark the readings of `drivers` (by key) that contradict each other."""
        level = drivers.get("liqlev")
        wet = level.value if level is not None else None
        if level is not None and wet is not None:
            self._judge_level(level, drivers)
        if wet is False and "tbd" in drivers and drivers["tbd"].measured is not None:
            drivers["tbd"].mark(quality.RANGE, "level switch is dry: probe in air")
        _judge_dissolved(drivers)
        self._judge_pressure(wet, drivers)
        flow = drivers.get("wf")
        if flow is not None and wet is not False and flow.measured == 0.0 and flow.settings["expect_flow"]:
            flow.mark(quality.STALE, "no pulse where water flows: rotor jammed or cable cut")

    @seldom
    def _judge_level(self, level: "Driver", drivers: "dict[str, Driver]") -> None:
        """A switch cannot tell dry from unplugged, nor water from a film; the water's salt can."""
        ec = drivers.get("ec")
        if ec is None or ec.raw is None:
            return
        if level.value is False:
            if ec.value is not None and ec.raw > WET_US_CM:
                level.mark(
                    quality.CONTRADICTORY, "dry, but ec is %.0f µS/cm: switch unplugged or set wrong" % ec.raw
                )
        elif ec.flags & quality.SATURATED_LOW and (_in_air(drivers) or _unpressed(drivers)):
            level.mark(quality.CONTRADICTORY, "wet, but the other sensors are in air: film or splash")

    @seldom
    def _judge_pressure(self, wet: "float | bool | None", drivers: "dict[str, Driver]") -> None:
        """A blocked port stays at its zero under water."""
        pressure = drivers.get("wp")
        if pressure is None or wet is not True or pressure.value is None or pressure.flags & quality.UNCAL:
            self._stuck = 0
            return
        kpa = pressure.value
        if abs(kpa) > STUCK_KPA or (self._stuck and abs(kpa - self._stuck_kpa) > STUCK_MOVE_KPA):
            self._stuck = 0
            return
        if not self._stuck:
            self._stuck_kpa = kpa
        self._stuck += 1
        if self._stuck >= STUCK_READINGS:
            pressure.mark(quality.STALE, "stays at its zero under water: port blocked")


def _in_air(drivers: "dict[str, Driver]") -> bool:
    oxygen = drivers.get("do")
    return (
        oxygen is not None and oxygen.value is not None and AIR_PERCENT[0] <= oxygen.value <= AIR_PERCENT[1]
    )


def _unpressed(drivers: "dict[str, Driver]") -> bool:
    pressure = drivers.get("wp")
    return (
        pressure is not None
        and pressure.value is not None
        and not pressure.flags & quality.UNCAL
        and abs(pressure.value) < DRY_KPA
    )


def _judge_dissolved(drivers: "dict[str, Driver]") -> None:
    """Both parts measure the water's salt: a decade between them is a wrong cell constant."""
    ec = drivers.get("ec")
    tds = drivers.get("tds")
    if ec is None or tds is None or ec.value is None or tds.value is None or not ec.raw:
        return
    if tds.value > TDS_END_PPM:
        return
    ratio = tds.value / ec.raw
    if not TDS_PER_EC[0] <= ratio <= TDS_PER_EC[1]:
        note = "tds/ec is %.2f, natural water has 0.4 to 0.9" % ratio
        if ratio > 4 or ratio < 0.09:
            note += ": cell constant K"
        ec.mark(quality.CONTRADICTORY, note)
        tds.mark(quality.CONTRADICTORY, note)
