"""What a board on a cable told about itself in a run, and the report that is made of it."""

from dataclasses import dataclass, field
from typing import Any

from buoyfleet.boards.cable_ledger import CableLedger
from buoyfleet.boards.report import BoardReport
from buoyfleet.model.reasons import LinkReason

MOST_ERRORS = 20


@dataclass(slots=True)
class CableHealth:
    """Of one board."""

    boot: int | None = None
    """Tells one start of the board from the next; None before its first answer."""
    idle: bool = False
    """Nothing waits on the board."""
    reboots: int = 0
    missing_events: int = 0
    """Told by the board, and never heard."""
    errors: list[str] = field(default_factory=list)
    """For people, each once."""
    link_detail: str = ""
    """Why it was not connected, in its own words."""
    ever_connected: bool = False
    _reconnects: int = 0
    _earlier_reconnects: int = 0
    _dropped_events: int = 0

    def take(self, health: dict[str, Any]) -> bool:
        """Take an answer to `health`; True if the board has started anew since the one before."""
        restarted = self.boot not in (None, health["boot"])
        if health["boot"] != self.boot:
            self._earlier_reconnects += self._reconnects
        self.boot = health["boot"]
        self.idle = health["idle"]
        self._reconnects = health["reconnects"]
        self._dropped_events = max(self._dropped_events, health["dropped_events"])
        return restarted

    def quote(self, text: str) -> None:
        """Keep a sentence for the report; not the same twice, and not without end."""
        if len(self.errors) < MOST_ERRORS and text not in self.errors:
            self.errors.append(text)

    def report(
        self, buoy_id: int, ledger: CableLedger, failure: str, incomplete: str, drift_ppm: float
    ) -> BoardReport:
        """What becomes of the board in the run's result.

        Args:
            buoy_id: of the board.
            ledger: of the board, closed.
            failure: what ended it before the others; empty if nothing did.
            incomplete: why its ledger may lack rows, as far as that is known already.
            drift_ppm: of its clock.
        """
        if self.missing_events:
            text = f"{self.missing_events} events of its console were lost"
            if self._dropped_events:
                text += (
                    f", {self._dropped_events} of them dropped by the board, because its line was too slow"
                )
            incomplete = incomplete or text
        if ledger.odd_events:
            incomplete = incomplete or f"events that make no sense, first: {ledger.odd_events[0]}"
        return BoardReport(
            buoy_id=buoy_id,
            sent=len(ledger.sent),
            acknowledged=len(ledger.acknowledged),
            dropped=len(ledger.dropped),
            reconnects=self._earlier_reconnects + self._reconnects,
            reboots=self.reboots,
            crashed=bool(failure),
            errors=([failure] if failure else []) + self.errors,
            incomplete=incomplete,
            clock_drift_ppm=drift_ppm,
            link_reason=LinkReason.OTHER if self.link_detail else "",
            link_detail=self.link_detail,
            ever_connected=self.ever_connected or not self.link_detail,
        )
