"""Counts and times over all messages of a run, from one look at them."""

from dataclasses import dataclass

from buoyfleet.verify.database import Database

BASE_NS = "CASE WHEN paced THEN planned_ns ELSE sent_ns END"
"""On `message` joined with `board`: from when a message counts. Open loop, so from the planned time; an
unpaced message is planned when it is sent."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all messages in the ledger. Times are UTC nanoseconds of the host's clock; None: no such message."""

    sent: int
    unsent: int
    """Neither sent nor known to be sent: dropped, or planned and no more."""
    late_sends: int
    first_base_ns: int | None
    last_base_ns: int | None
    first_ns: int | None
    """Of anything that happened to a message."""
    last_ns: int | None
    first_sent_ns: int | None
    last_sent_ns: int | None

    @property
    def send_rate_per_s(self) -> float | None:
        """Messages per second from the first to the last; None for fewer than two."""
        first, last = self.first_sent_ns, self.last_sent_ns
        if first is None or last is None or self.sent < 2 or last <= first:
            return None
        return (self.sent - 1) / ((last - first) / 1e9)


def late_send(late_send_ms: float, prefix: str = "") -> str:
    """Condition on `message` joined with `board`: left later than allowed, beyond the clock's uncertainty."""
    late_ns = round(late_send_ms * 1e6)
    return f"paced AND {prefix}sent_ns - {prefix}planned_ns > {late_ns} + {prefix}uncertainty_ns"


def message_totals(db: Database, late_send_ms: float) -> Totals:
    """Look at all messages once, for everything that is asked of them as a whole."""
    return Totals(
        *db.row(f"""
            SELECT count(sent_ns), count(*) FILTER (sent_ns IS NULL),
                count(*) FILTER ({late_send(late_send_ms)}),
                min({BASE_NS}), max({BASE_NS}),
                min(least(planned, sent_ns, acknowledged_ns)),
                max(greatest(planned, sent_ns, acknowledged_ns)),
                min(sent_ns), max(sent_ns)
            FROM (SELECT *, {PLANNED_NS} AS planned FROM message JOIN board USING (buoy))
        """)
    )


PLANNED_NS = "CASE WHEN paced OR sent_ns IS NULL THEN planned_ns ELSE sent_ns END"
"""When a message was to be sent, whether it was or not."""
