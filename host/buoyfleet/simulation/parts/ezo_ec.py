"""`ec`: Atlas EZO-EC with a K 0.1 probe.

Source: the maker's data sheet. Its temperature curve is not published: the mean of natural waters (Hayashi
2004) is taken, which follows the tabulated standards within 2 % from 5 to 30 °C.
"""

import random
from collections.abc import Mapping
from typing import ClassVar

from buoyfleet.simulation.parts.ezo import COMMAND_S, Answer, EzoCircuit, number
from buoyfleet.simulation.parts.ezo_wire import EZO_FAULTS
from buoyfleet.simulation.parts.part import Lag
from buoyfleet.simulation.water.seawater import NATURAL_ALPHA, density_kg_m3, salinity

PROBE_K = 0.1
FACTORY_K = 1.0
CALIBRATION_S = 0.6
FIELDS = ("ec", "tds", "s", "sg")
"""Output columns, in their fixed order, by the names of the `O` command."""
FULL_US_CM = 500_000.0


class EcCircuit(EzoCircuit):
    """See the module. Drift is in % of the reading per day, fouling reads low."""

    __slots__ = ("_dry", "_k", "_lag", "_low", "_points", "_shown", "_tds_factor", "probe_k")

    key = "ec"
    kind = "EC"
    firmware = ("2.16", "1.9")
    reading_s = 0.6
    FAULTS: ClassVar[Mapping[str, str]] = {
        **EZO_FAULTS,
        "open": "probe unplugged: 0.00",
        "short": "salt bridge: over 50 000",
        "wrong-k": "a K 1.0 probe is fitted: a decade low, which no circuit can see",
        "k-lost": "the circuit's K is back at 1.0: a decade high (an event)",
        "k-refused": "K commands answer *ER",
        "bubble": "bubbles or half covered: low and unsteady",
    }

    def _individual(self, draw: random.Random) -> None:
        self.probe_k = PROBE_K * (1.0 + self.spread * draw.uniform(-0.04, 0.04))
        self._dry = self.spread * draw.uniform(0.0, 0.03)
        self._lag = Lag(1.2)
        self._tds_factor = 0.54

    def settle(self, t_s: float) -> None:
        """See `Part.settle`."""
        self._lag.follow(self.medium.sample(t_s).ec_us_cm, t_s)

    def inject(self, name: str, t_s: float) -> None:
        """See `Part.inject`."""
        super().inject(name, t_s)
        if name == "k-lost":
            self._k = FACTORY_K
            self.faults -= {name}

    def _measured(self, t_s: float) -> float:
        """Conductivity before calibration and compensation, as the circuit's K makes it, µS/cm."""
        self.settle(t_s)
        faults = self.faults
        ec = self._lag.value * (1.0 - 0.3 * self.fouled(t_s)) * (1.0 + 0.01 * self.drifted(t_s))
        k = self.probe_k
        if faults:
            if "open" in faults:
                ec = 0.0
            if "short" in faults:
                ec = 90_000.0
            if "wrong-k" in faults:
                k *= 10.0
            if "bubble" in faults:
                ec *= 0.7 + 0.06 * self.noise()
        if ec > 0.0:
            ec *= 1.0 + 0.001 * self.noise() - 0.01 * self._skip
        return (ec * PROBE_K / k + self._dry) * self._k / PROBE_K

    def _reading(self, t_s: float) -> str:
        raw = self._measured(t_s) / (1.0 + NATURAL_ALPHA * (self.temp_c - 25.0))
        ec = min(FULL_US_CM, max(0.0, self._calibrated(raw)))
        if not self._lag.value or "open" in self.faults:
            ec = 0.0  # the circuit's own threshold for a dry probe
        values = {"ec": four_digits(ec)}
        if len(self._shown) > 1:
            practical = salinity(ec, 25.0)
            values["tds"] = four_digits(ec * self._tds_factor)
            values["s"] = f"{practical:.2f}"
            values["sg"] = f"{density_kg_m3(practical, 25.0) / density_kg_m3(0.0, 25.0):.3f}"
        if not self._shown:
            return "no output"
        return ",".join(values.get(name, "0") for name in FIELDS if name in self._shown)

    def _calibrated(self, raw: float) -> float:
        """Through the origin and the points, in proportion beyond the last."""
        before_raw = before = 0.0
        for point_raw, label in self._points:
            if raw <= point_raw:
                return before + (label - before) * (raw - before_raw) / (point_raw - before_raw)
            before_raw, before = point_raw, label
        return raw * before / before_raw if before_raw else raw

    # Calibration

    def _factory_calibration(self) -> None:
        self._k = FACTORY_K
        self._shown: tuple[str, ...] = FIELDS if self.flavour == "old" else ("ec",)
        self._forget_points()

    def _forget_points(self) -> None:
        # (measured, label), rising; compensated to 25 °C with the temperature that was set.
        self._points: tuple[tuple[float, float], ...] = ()
        self._low: tuple[float, float] | None = None

    def _calibrate_to_probe(self, draw: random.Random) -> None:
        self._k = PROBE_K
        self._dry = 0.0
        rest = [1.0 + self.spread * draw.uniform(-0.003, 0.003) for _ in range(2)]
        ratio = PROBE_K / self.probe_k
        self._points = ((84.0 * ratio * rest[0], 84.0), (1413.0 * ratio * rest[1], 1413.0))

    def _calibration_numbers(self) -> list[float]:
        numbers = [self._k, self._dry, float(len(self._points))]
        for point in (*self._points, (0.0, 0.0), (0.0, 0.0))[:2]:
            numbers += point
        return numbers

    def _take_calibration(self, numbers: list[float]) -> None:
        self._k, self._dry, count = numbers[:3]
        self._points = ((numbers[3], numbers[4]), (numbers[5], numbers[6]))[: int(count)]

    def _special(self, name: str, fields: list[str], t_s: float) -> Answer | None:
        if name == "cal":
            return self._cal(fields, t_s)
        if name == "k" and len(fields) == 1:
            if fields == ["?"]:
                return [f"?{'K' if self.flavour == 'new' else 'k'},{self._k:.3g}"], COMMAND_S
            k = number(fields[0])
            if k is None or not 0.01 <= k <= 100.0 or "k-refused" in self.faults:
                return None
            self._k = k
            return [], COMMAND_S
        if name == "o":
            return self._output(fields)
        if name == "tds" and len(fields) == 1 and self.flavour == "new":
            if fields == ["?"]:
                return [f"?TDS,{self._tds_factor:.2f}"], COMMAND_S
            factor = number(fields[0])
            if factor is not None and 0.01 <= factor <= 1.0:
                self._tds_factor = factor
                return [], COMMAND_S
        return None

    def _output(self, fields: list[str]) -> Answer | None:
        if fields == ["?"]:
            shown = ",".join(name.upper() for name in FIELDS if name in self._shown) or "no output"
            # The vendor's quirk of a comma after the question mark.
            return [f"?,O,{shown}" if self.flavour == "old" else f"?O,{shown}"], COMMAND_S
        if len(fields) != 2 or fields[0] not in FIELDS or fields[1] not in ("0", "1"):
            return None
        wanted = set(self._shown) - {fields[0]} if fields[1] == "0" else {*self._shown, fields[0]}
        self._shown = tuple(name for name in FIELDS if name in wanted)
        return [], COMMAND_S

    def _cal(self, fields: list[str], t_s: float) -> Answer | None:
        old = self.flavour == "old"
        if fields == ["?"]:
            return [f"?{'CAL' if old else 'Cal'},{len(self._points)}"], COMMAND_S
        if fields == ["clear"]:
            self._forget_points()
            return [], COMMAND_S
        measured = self._measured(t_s + CALIBRATION_S)
        if fields == ["dry"]:
            self._dry -= measured * PROBE_K / self._k
            return [], CALIBRATION_S
        compensated = measured / (1.0 + NATURAL_ALPHA * (self.temp_c - 25.0))
        label = number(fields[-1]) if fields else None
        # A board that reads 0.00 in solution cannot be calibrated.
        if label is None or label <= 0.0 or compensated < 0.01 * label:
            return None
        point = (compensated, label)
        if fields[:-1] == (["one"] if old else []):
            self._points = (point,)
        elif fields[:-1] == ["low"]:
            self._low = point  # the displayed value does not move before `high`
        elif fields[:-1] == ["high"] and self._low is not None and self._low < point:
            self._points = (self._low, point)
            self._low = None
        else:
            return None
        return [], CALIBRATION_S


def four_digits(value: float) -> str:
    """As the circuit prints: four significant digits, then zeros; at most two decimals."""
    if value >= 10_000.0:
        step = 10 ** (len(str(int(value))) - 4)
        return f"{round(value / step) * step:d}"
    decimals = 0 if value >= 1000.0 else 1 if value >= 100.0 else 2
    return f"{value:.{decimals}f}"
