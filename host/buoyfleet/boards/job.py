"""What a pack is told: the content of its PACK.json.

It names no broker and holds no secret: those come over standard input.
"""

from dataclasses import dataclass
from pathlib import Path

from buoyfleet.model.fleet import BoardSpec
from buoyfleet.model.plan import BoardPlan


@dataclass(frozen=True, slots=True)
class PackJob:
    """The work of one pack of virtual boards."""

    name: str
    """Names its files: `ledger/<name>.arrows`, `logs/<name>.log`."""
    run_folder: Path
    boards: tuple[BoardSpec, ...]
    plans: tuple[BoardPlan, ...]
    """In the order of `boards`."""
    topic_prefix: str
    payload: str
    water: str
    """Scenario of the simulated water that drivers read (buoyfleet.simulation.water)."""
    qos: int
    seed: int
    drain_timeout_s: float
    first_number: int
    """Number in the run of the first board: it spreads boards over local addresses."""
    connect_rate: float | None
    """Connections per second; None: as fast as the machine can."""
    max_rate: float | None
    """Messages per second of one board (IoT Core discards above 100); None: no limit."""
    ingest_rule: str = ""
    """Basic Ingest: the rule that data go to; empty: they go to their topic."""


def write_job(job: PackJob, path: Path) -> None:
    """Write PACK.json."""
    from pydantic import TypeAdapter

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(TypeAdapter(PackJob).dump_json(job, indent=2))


def read_job(path: Path) -> PackJob:
    """Read PACK.json.

    Raises:
        pydantic.ValidationError: when it is damaged.
    """
    from pydantic import TypeAdapter

    return TypeAdapter(PackJob).validate_json(path.read_bytes())
