"""The sensors of a virtual board: on-board fakes, or the drivers on simulated parts in simulated water."""

from typing import TYPE_CHECKING, Any

from buoy.sampler import Sampler

from buoyfleet.boards.job import PackJob
from buoyfleet.model.fleet import BoardSpec
from sensors.fakes import make_fake

if TYPE_CHECKING:
    from buoyfleet.simulation.buoy import SimulatedBuoy
    from buoyfleet.simulation.water.environment import Environment
else:
    Environment = Any

__all__ = ["Environment", "make_sampler", "shared_environment"]


def shared_environment(job: PackJob) -> "Environment | None":
    """The water of all boards of a pack; None if no board has a driver in it."""
    if not any(sensor.mode == "hardware" for board in job.boards for sensor in board.sensors):
        return None
    from buoyfleet.simulation.water.environment import Environment

    return Environment(job.water, job.seed)


def make_sampler(
    spec: BoardSpec, seed: int, environment: "Environment | None"
) -> "tuple[SimulatedBuoy | None, Any]":
    """What samples the board's sensors, and the simulated buoy whose clock must be kept for it, if any."""
    fakes = [
        (sensor.key, make_fake(sensor.key, sensor.mode, sensor.base, sensor.value, seed).sample)
        for sensor in spec.sensors
        if sensor.mode not in ("off", "hardware")
    ]
    probes = [sensor.key for sensor in spec.sensors if sensor.mode == "hardware"]
    if not probes:
        return None, Sampler(fakes)
    # Imported late: most fleets have no use for the simulation.
    from buoy.probes import ProbeSampler

    from buoyfleet.simulation.buoy import simulated_buoy
    from sensors.build import make_sensors
    from sensors.reader import Reader

    buoy = simulated_buoy(spec.buoy_id, seed, environment=environment)
    settings = dict(buoy.settings)
    settings["sensors"] = {key: buoy.settings["sensors"][key] for key in probes}
    return buoy, ProbeSampler(Reader(make_sensors(settings, buoy.modules)), fakes)
