"""The ledger of a board on a cable: what its console tells becomes rows, and what is missing is noticed."""

import threading
from pathlib import Path
from typing import Any

from buoyfleet.boards.clock_track import ClockTrack
from buoyfleet.boards.ledger import LedgerWriter
from buoyfleet.model.ledger import STREAM_FOLDER, STREAM_SUFFIX, Event
from buoyfleet.model.plan import BoardPlan


class CableLedger:
    """May be used from any thread.

    Args:
        run_folder: of the run.
        name: of the stream's file.
        plan: what the board shall do.
        clock: how its clock stands to ours.
        qos: 0: messages are sent and never acknowledged.
    """

    def __init__(self, run_folder: Path, name: str, plan: BoardPlan, clock: ClockTrack, qos: int = 1) -> None:
        self._plan = plan
        self._qos = qos
        self._clock = clock
        self._writer = LedgerWriter(run_folder / STREAM_FOLDER / f"{name}{STREAM_SUFFIX}")
        self._guard = threading.Lock()
        self._closed = False
        self._start_ns = 0
        self._known: set[tuple[int, int, int]] = set()
        self.sent: set[int] = set()
        """Messages that left at least once."""
        self.acknowledged: set[int] = set()
        self.dropped: set[int] = set()
        """Messages that will never leave."""
        self.given_up: set[int] = set()
        """Messages that left, were not acknowledged, and will not leave again."""
        self.odd_events: list[str] = []
        """What the board told and nobody can make sense of."""

    def begin(self, start_ns: int) -> None:
        """Write the planned rows; `start_ns` is host UTC of the run's start."""
        with self._guard:
            self._start_ns = start_ns
            self._writer.plan([self._plan], start_ns)

    def take_up(self, rows: list[dict[str, Any]], start_ns: int) -> None:
        """Go on where the ledger of a run ended; `rows` are the board's, without the planned ones."""
        self._start_ns = start_ns
        for row in rows:
            self._known.add((row["event"], row["seq"], row["attempt"]))
            {Event.SENT: self.sent, Event.ACKNOWLEDGED: self.acknowledged, Event.DROPPED: self.dropped}[
                Event(row["event"])
            ].add(row["seq"])
            # The clock of the board as the run knew it last.
            self._writer.offset_ns, self._writer.uncertainty_ns = row["offset_ns"], row["uncertainty_ns"]

    def event_once(self, body: dict[str, Any]) -> None:
        """Take an event that may stand in the ledger already."""
        kind = {"sent": Event.SENT, "acknowledged": Event.ACKNOWLEDGED, "dropped": Event.DROPPED}.get(
            str(body.get("what"))
        )
        if kind is None:
            return
        attempt = body.get("attempt") if kind == Event.SENT else 0
        if (kind, body.get("seq"), attempt) not in self._known:
            self.event(body)

    def event(self, body: dict[str, Any]) -> None:
        """Take an event of the journal; the row is in the file with the next `commit`."""
        what, seq, attempt, time_ms = (body.get(key) for key in ("what", "seq", "attempt", "time"))
        if not (isinstance(seq, int) and isinstance(attempt, int) and isinstance(time_ms, int)):
            self.odd_events.append(str(body)[:200])
            return
        at_ns = time_ms * 1_000_000
        with self._guard:
            if self._closed:
                return
            if what == "sent" and isinstance(body.get("payload"), str):
                # Of a message that was on flash over a reset the first attempt may never have been told.
                payload = None if seq in self.sent else body["payload"].encode()
                self.sent.add(seq)
                self.dropped.discard(seq)
                self._row(Event.SENT, seq, attempt, at_ns, payload, None)
            elif what == "acknowledged":
                if self._qos:  # earlier firmware says it of QoS 0, when the bytes have left
                    self.acknowledged.add(seq)
                    self._row(Event.ACKNOWLEDGED, seq, 0, at_ns, None, None)
            elif what == "dropped":
                if seq in self.sent:
                    # It has left and may have arrived: no row takes that back.
                    self.given_up.add(seq)
                else:
                    self.dropped.add(seq)
                    self._row(Event.DROPPED, seq, 0, at_ns, None, str(body.get("reason", "")))
            else:
                self.odd_events.append(str(body)[:200])

    def drop_rest(self, first: int, reason: str, now_ns: int) -> None:
        """The board will not make the messages of the plan from `first` on."""
        with self._guard:
            offset_ns = self._clock.offset_ns() if self._clock.known else 0
            for seq in range(first, self._plan.planned() or 0):
                if seq not in self.sent and seq not in self.dropped:
                    self.dropped.add(seq)
                    self._row(Event.DROPPED, seq, 0, now_ns - offset_ns, None, reason)

    def on_their_way(self) -> bool:
        """Whether an acknowledgement may still come."""
        with self._guard:
            return bool(self._qos and self.sent - self.acknowledged - self.given_up)

    def settle_before(self, first: int, now_ns: int) -> None:
        """After a reset the board holds none of the messages before `first`: those that left have arrived.

        It lets go of a message only when that is acknowledged; the reset swallowed what it had to say of it.
        """
        if not self._qos:
            return
        with self._guard:
            offset_ns = self._clock.offset_ns() if self._clock.known else 0
            for seq in sorted(seq for seq in self.sent - self.acknowledged if seq < first):
                self.acknowledged.add(seq)
                reason = "told by its outbox after a reset"
                self._row(Event.ACKNOWLEDGED, seq, 0, now_ns - offset_ns, None, reason)

    def next_seq(self) -> int:
        """Number behind the highest that was told."""
        with self._guard:
            return max(self.sent | self.dropped, default=-1) + 1

    def commit(self, now_ns: int) -> None:
        """Write what came since the last time, with what is known of the board's clock by now.

        Raises:
            OSError: the disk is full.
        """
        with self._guard:
            if self._closed:
                return
            if self._clock.known:
                self._writer.offset_ns = self._clock.offset_ns()
                self._writer.uncertainty_ns = self._clock.uncertainty_ns(now_ns)
            self._writer.commit()

    def close(self) -> None:
        """End the stream; later events are ignored. Safe to call twice."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._writer.close()

    def _row(
        self,
        event: Event,
        seq: int,
        attempt: int,
        at_ns: int,
        payload: bytes | None,
        reason: str | None,
    ) -> None:
        plan = self._plan
        planned_ns = at_ns + (self._clock.offset_ns() if self._clock.known else 0)
        if plan.interval_us is not None:
            planned_ns = self._start_ns + plan.due_ms(seq) * 1_000_000
        self._writer.append((int(event), plan.buoy_id, seq, attempt, planned_ns, at_ns, payload, reason))
