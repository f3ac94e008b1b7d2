"""The simulated parts by key of the sensor: every class with a key in the modules of `parts`."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from buoyfleet.simulation import parts
from buoyfleet.simulation.parts.part import Part


def _found() -> Iterator[type[Part]]:
    for module in pkgutil.iter_modules(parts.__path__):
        for thing in vars(import_module(f"{parts.__name__}.{module.name}")).values():
            if isinstance(thing, type) and issubclass(thing, Part) and vars(thing).get("key"):
                yield thing


PARTS: dict[str, type[Part]] = {one.key: one for one in _found()}
