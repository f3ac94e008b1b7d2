"""What surrounds a probe: the quantities every simulated part reads, at a moment."""

from typing import NamedTuple, Protocol


class Sample(NamedTuple):
    """A medium at one moment, as the parts feel it. Fields are true values, not readings."""

    temp_c: float
    ph: float
    """Undefined in air: look at `wet`."""
    ec25_us_cm: float
    """Conductivity referenced to 25 °C: what `ec` should read."""
    ec_us_cm: float
    """Conductivity at the medium's own temperature: what a bare electrode sees."""
    do_pct: float
    """Oxygen partial pressure in % of moist air at 1013.25 hPa: what `do` should read."""
    ntu: float
    kpa: float
    """Gauge pressure at the sensor."""
    flow_l_s: float
    """Through the flow meter's duct, ≥ 0."""
    wet: bool
    """Whether liquid stands at the level switch; False means that every probe hangs in air."""
    salinity: float = 0.0
    """Practical salinity of the sea salt in it (fresh ions are not in it)."""
    do_mg_l: float = 0.0


class Medium(Protocol):
    """A place to put probes."""

    def sample(self, t_s: float) -> Sample:
        """The medium at a time in seconds since the simulation's start; times do not go backwards by more
        than the environment remembers (environments here remember everything)."""
        ...


TDS_PER_EC25 = 0.5
"""ppm per µS/cm: the scale SEN0244 always uses (its maker's library)."""


def truth(sample: Sample) -> dict[str, float | bool | None]:
    """The nine measures a perfect buoy would publish, by key, in published units.

    None where the quantity does not exist, as pH in air.
    """
    return {
        "do": sample.do_pct,
        "ec": sample.ec25_us_cm,
        "liqlev": sample.wet,
        "ph": sample.ph if sample.wet else None,
        "tds": TDS_PER_EC25 * sample.ec25_us_cm,
        "tbd": sample.ntu,
        "wf": sample.flow_l_s,
        "wp": sample.kpa,
        "temp": sample.temp_c,
    }
