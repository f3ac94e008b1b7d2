"""What a board says of itself at the end of a run."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BoardReport:
    """Counts of messages; the ledger has the details."""

    buoy_id: int
    sent: int
    """Messages that left at least once."""
    acknowledged: int
    dropped: int
    reconnects: int = 0
    reboots: int = 0
    crashed: bool = False
    incomplete: str = ""
    """Why its ledger may lack rows, e.g. console loss."""
    clock_drift_ppm: float = 0.0
    link_reason: str = ""
    """`buoyfleet.model.reasons.LinkReason` of its last trouble with the connection; empty: it had none."""
    link_detail: str = ""
    """That trouble in words."""
    ever_connected: bool = True
    errors: list[str] = field(default_factory=list)
    left_out: list[tuple[int, list[str]]] = field(default_factory=list)
    """From which message on a configuration left which keys out; each entry replaces the one before."""
