"""What calibration solutions truly have at their temperature.

Sources: pH buffers, Foxboro MI 611-211; conductivity standards, Mettler-Toledo S230 manual, whose first row
is printed as 0 °C and is 5 °C by its even steps and by 0.01 M KCl.
"""

from sensors.calibration import CalibrationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    Table = tuple[tuple[float, float], ...]

# Name on the bottle → ((°C, value), …)
PH: "dict[str, Table]" = {
    "4.00": ((0, 4.00), (5, 4.00), (10, 4.00), (15, 4.00), (20, 4.00), (25, 4.00), (30, 4.01)),
    "7.00": ((0, 7.12), (5, 7.09), (10, 7.06), (15, 7.04), (20, 7.02), (25, 7.00), (30, 6.99)),
    "10.01": ((0, 10.32), (5, 10.25), (10, 10.18), (15, 10.12), (20, 10.06), (25, 10.01), (30, 9.97)),
}
CONDUCTIVITY_US_CM: "dict[str, Table]" = {
    "84": ((5, 53.0), (10, 60.3), (15, 67.6), (20, 75.8), (25, 84.0), (30, 92.2)),
    "1413": ((5, 896.0), (10, 1020.0), (15, 1147.0), (20, 1278.0), (25, 1413.0), (30, 1552.0)),
    "12880": ((5, 8220.0), (10, 9330.0), (15, 10480.0), (20, 11670.0), (25, 12880.0), (30, 14120.0)),
}


def buffer_ph(name: str, temperature_c: float) -> float:
    """pH of a buffer (`4.00`, `7.00`, `10.01`) at its temperature, 0 to 30 °C.

    Raises:
        CalibrationError: unknown buffer, or a temperature outside the table.
    """
    return _look_up("pH buffer", PH, name, temperature_c)


def standard_us_cm(name: str, temperature_c: float) -> float:
    """Conductivity in µS/cm of a standard (`84`, `1413`, `12880`) at its temperature, 5 to 30 °C.

    Raises:
        CalibrationError: unknown standard, or a temperature outside the table.
    """
    return _look_up("conductivity standard", CONDUCTIVITY_US_CM, name, temperature_c)


def _look_up(kind: str, tables: "dict[str, Table]", name: str, temperature_c: float) -> float:
    if name not in tables:
        raise CalibrationError("no %s %r; one of %s" % (kind, name, ", ".join(tables)))
    table = tables[name]
    if not table[0][0] <= temperature_c <= table[-1][0]:
        raise CalibrationError(
            "%s %s is tabled from %g to %g °C, not at %g"
            % (kind, name, table[0][0], table[-1][0], temperature_c)
        )
    for (cold_c, cold), (warm_c, warm) in zip(table, table[1:]):
        if temperature_c <= warm_c:
            return cold + (warm - cold) * (temperature_c - cold_c) / (warm_c - cold_c)
    return table[-1][1]
