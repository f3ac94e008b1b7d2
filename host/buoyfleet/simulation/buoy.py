"""A simulated buoy: place in the water, parts, board. Ready for drivers in this process.

buoy = simulated_buoy(100, seed=1, scenario="storm")
sensors = make_sensors(buoy.settings, buoy.modules)
buoy.advance_to_ms(now_ms)            # before every step of the application
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from buoyfleet.simulation.buses.bench import Bench
from buoyfleet.simulation.buses.chip import PWRON_RESET, SOFT_RESET, Chip, mac_of
from buoyfleet.simulation.buses.modules import Modules
from buoyfleet.simulation.buses.wiring import RATIOS, SUPPLIES, wiring_of
from buoyfleet.simulation.fitted import PARTS
from buoyfleet.simulation.parts.adc import Esp32Adc
from buoyfleet.simulation.parts.analog import AnalogPart, Oxygen, Pressure, Solids, Turbidity
from buoyfleet.simulation.parts.digital import FlowMeter
from buoyfleet.simulation.parts.ezo import EzoCircuit, Flavour
from buoyfleet.simulation.parts.onewire import TemperatureBus
from buoyfleet.simulation.parts.part import Part
from buoyfleet.simulation.parts.solutions import vessel
from buoyfleet.simulation.water.environment import Environment
from buoyfleet.simulation.water.medium import Medium, Sample, truth
from buoyfleet.simulation.water.place import Place
from buoyfleet.simulation.water.scenario import Mounting, Scenario
from sensors.catalog import KEYS

ATTENUATION_OF = {"do": 1, "tds": 3, "tbd": 3, "wp": 3}
"""Attenuation (index of machine.ADC.ATTN_*) at which a bench calibration of that part is read."""


@dataclass(slots=True)
class SimulatedBuoy:
    """One buoy of the simulation. Its clock belongs to the caller."""

    buoy_id: int
    bench: Bench
    place: Medium
    """What its probes hang in, unless they were put elsewhere."""
    settings: dict[str, Any]
    """For `sensors.build.make_sensors`: pins, and for every sensor mode `hardware` with its calibration."""
    start_s: float
    """Simulated time at the bench's clock 0, seconds since the environment's start."""

    def modules(self, name: str) -> Any:
        """A module of this board by name (machine, onewire, ds18x20, time, esp32, network)."""
        return Modules(self.bench)(name)

    def advance_to_ms(self, now_ms: float) -> None:
        """Set the clock, milliseconds since the buoy was made; it must not go backwards."""
        self.bench.advance_to_us(int(now_ms * 1000))

    def sample(self) -> Sample:
        """True values around the buoy now."""
        return self.place.sample(self.bench.t_s)

    def truth(self) -> dict[str, float | bool | None]:
        """The measures a perfect buoy would publish now; None where a quantity does not exist."""
        sample = self.sample()
        found = truth(sample)
        more = {key: part.truth(sample) for key, part in self.bench.parts.items() if key not in found}
        return {**found, **more}


class Shifted:
    """A medium whose time begins later: a buoy's clock starts at 0 wherever the environment stands."""

    __slots__ = ("_medium", "_start_s")

    def __init__(self, medium: Medium, start_s: float) -> None:
        self._medium = medium
        self._start_s = start_s

    def sample(self, t_s: float) -> Sample:
        """See `Medium`."""
        return self._medium.sample(t_s + self._start_s)


def simulated_buoy(
    buoy_id: int = 100,
    seed: int = 1,
    scenario: Scenario | str = "calm",
    *,
    environment: Environment | None = None,
    place: Medium | None = None,
    start_s: float = 0.0,
    mounting: Mounting | None = None,
    depth_m: float | None = None,
    flavour: Flavour = "new",
    calibrated: bool = True,
    spread: float = 1.0,
    switched: bool = False,
    cold: bool = False,
    probes: int = 1,
    pins: Mapping[str, int | None] | None = None,
) -> SimulatedBuoy:
    """Make a buoy.

    Args:
        buoy_id: the individual: its place, its parts' tolerances, its MAC.
        seed: of the water and the parts; equal arguments give equal buoys on every machine.
        scenario: of the water, unless `environment` is given.
        environment: shared by the buoys of a process: pass one, thousands of buoys cost little more than one.
        place: a medium to use instead of a place in the environment, e.g. a `ReplayPlace`.
        start_s: where in the environment's time the buoy's clock starts.
        mounting: `floating` or `fixed`; the scenario's by default, as `depth_m`.
        flavour: firmware of the EZO circuits.
        calibrated: `settings` carry what a careful bench finds for these parts, and the EZO circuits are
            calibrated; else everything has its factory state and readings are flagged `uncal`.
        spread: scale of all tolerances; 0 makes ideal parts.
        switched: the parts' power hangs on the load switches of the pin map; else they are always powered and
            long warm, as on a buoy that has been in the water.
        cold: the board was just powered on (`machine.reset_cause()`): its clock says 2000-01-01. Else it has
            long been on, and its clock is set to the environment's time.
        probes: temperature probes on the bus.
        pins: laid over the default pin map.
    """
    name = f"{seed}/{buoy_id}"
    if place is None:
        water = environment or Environment(scenario, seed)
        place = Place(water, buoy_id, mounting, depth_m)
    medium: Medium = Shifted(place, start_s) if start_s else place
    own_pins: dict[str, int | None] = {} if switched else dict.fromkeys(SUPPLIES)
    own_pins.update(pins or {})
    parts: dict[str, Part] = {}
    for key in KEYS:
        kind = PARTS[key]
        if issubclass(kind, EzoCircuit):
            parts[key] = kind(medium, name, spread, flavour=flavour, calibrated=calibrated)
        elif issubclass(kind, TemperatureBus):
            parts[key] = kind(medium, name, spread, probes=probes)
        else:
            parts[key] = kind(medium, name, spread)
    adc = Esp32Adc(name, spread)
    chip = Chip(mac_of(buoy_id), PWRON_RESET if cold else SOFT_RESET)
    bench = Bench(parts, wiring_of(own_pins), adc, chip, name, spread)
    if isinstance(place, Place) and not cold:
        chip.set_utc_us(round(1e6 * (place.environment.start_unix_s + start_s)), bench.now_us)
    sensors: dict[str, dict[str, Any]] = {key: {"mode": "hardware"} for key in KEYS}
    if calibrated:
        for key, found in bench_calibration(bench).items():
            sensors[key].update(found)
    settings: dict[str, Any] = {"sensors": sensors}
    if own_pins:
        settings["pins"] = own_pins
    return SimulatedBuoy(buoy_id, bench, medium, settings, start_s)


def bench_calibration(bench: Bench) -> dict[str, dict[str, Any]]:
    """What a careful calibration of this board's parts would find: driver settings by key.

    Every voltage is what this chip's converter makes of the part in the right vessel, averaged for long: the
    converter's own errors are in it, as on a bench. The probes stay where they are.
    """
    parts = bench.parts
    found: dict[str, dict[str, Any]] = {}

    def millivolts(part: AnalogPart, key: str, name: str, temp_c: float = 20.0) -> float:
        pin_mv = 1000.0 * (part.volts_in(vessel(name, temp_c)) or 0.0) / bench.divider(key)
        return bench.adc.mean_mv(pin_mv, ATTENUATION_OF[key]) * RATIOS[key]

    oxygen, solids, turbidity, pressure = (parts.get(key) for key in ("do", "tds", "tbd", "wp"))
    if isinstance(oxygen, Oxygen):
        found["do"] = {"air_mv": round(millivolts(oxygen, "do", "air"), 1)}
    if isinstance(solids, Solids):
        volts = millivolts(solids, "tds", "tds-707", 25.0) / 1000.0
        raw_ec = ((133.42 * volts - 255.86) * volts + 857.39) * volts
        found["tds"] = {"k": round(1413.0 / raw_ec, 4)}
    if isinstance(turbidity, Turbidity):
        found["tbd"] = {"clear_v": round(millivolts(turbidity, "tbd", "clear-water") / 1000.0, 4)}
    if isinstance(pressure, Pressure):
        zero_v = millivolts(pressure, "wp", "pressure-zero") / 1000.0
        found["wp"] = {"zero_v": round(min(0.6, max(0.4, zero_v)), 4)}
    meter = parts.get("wf")
    if isinstance(meter, FlowMeter):
        found["wf"] = {"pulses_per_l": round(meter.pulses_per_l, 1)}
    probe = parts.get("temp")
    if isinstance(probe, TemperatureBus):
        first = min(probe.probes, key=lambda one: one.rom)
        found["temp"] = {"correction": [1.0, round(-first.offset_c, 3)]}
    return found
