"""The procedures by key of the sensor: every class with a key in the modules of this package."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from buoyfleet.calibration.limits import BANDS
from buoyfleet.calibration.procedure import Procedure


def _found() -> Iterator[type[Procedure]]:
    for module in pkgutil.iter_modules(__path__):
        for thing in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(thing, type) and issubclass(thing, Procedure) and "key" in vars(thing):
                yield thing


PROCEDURES: dict[str, type[Procedure]] = {
    one.key: one for one in sorted(set(_found()), key=lambda one: (one.place, one.key))
}
for _one in PROCEDURES.values():
    BANDS.update({f"{_one.key}.{name}": band for name, band in _one.bands.items()})
