"""Which targets exist and how they are made: the only place that looks at a target's kind."""

from collections.abc import Callable
from pathlib import Path

from host.cloud.target import Target
from host.model.fleet import Fleet


def make_target(fleet: Fleet, run_folder: Path, *, lift_limits: bool) -> Target:
    """The target of a fleet, not started yet.

    Args:
        fleet: as resolved.
        run_folder: where a target may keep what it needs during the run.
        lift_limits: a local twin does not enforce IoT Core's rates (`--flat-out`).
    """
    return _MAKERS[fleet.target.kind](fleet, run_folder, lift_limits)


_Maker = Callable[[Fleet, Path, bool], Target]
_MAKERS: dict[str, _Maker] = {}
