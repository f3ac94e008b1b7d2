"""Drives the boards of a pack: one timer, one ready list, no coroutine and no thread per board.

Each turn steps the boards that are due or had an event, then writes the ledger, then lets the bytes leave:
that order is what makes the ledger tell the truth after a crash.
"""

import asyncio
import heapq
import itertools
import time

from buoyfleet.boards.ledger import LedgerWriter
from buoyfleet.boards.virtual import VirtualBoard
from buoyfleet.model.clock import HostClock

# Boards due within this time of each other share a turn, and so a write of the ledger.
_COALESCE_MS = 0.5

# More than this per turn saves nothing and makes a turn's rows and packets pile up in memory.
_BOARDS_PER_TURN = 256


class Driver:
    """The heart of a pack. Times given to applications are milliseconds since the driver was made."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ledger: LedgerWriter, clock: HostClock) -> None:
        self._loop = loop
        self._ledger = ledger
        self._origin_ns = time.monotonic_ns()
        # A whole millisecond, as the times of plans are.
        self._origin_ns -= clock.at(self._origin_ns) % 1_000_000
        self.base_ns = clock.at(self._origin_ns)
        self.batch_ns = self.base_ns
        self.sending = False
        """A message was made in this turn: its row must be written before its bytes leave."""
        self._ready: list[VirtualBoard] = []
        self._scheduled = False
        self._heap: list[tuple[float, int, VirtualBoard]] = []
        self._tiebreak = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = float("inf")
        self.failure: OSError | None = None
        """The ledger could not be written: nothing may be sent any more."""

    def now_ms(self) -> float:
        """The applications' clock."""
        return (time.monotonic_ns() - self._origin_ns) / 1e6

    def ms_of(self, utc_ns: int) -> int:
        """A UTC time by the applications' clock, in whole ms."""
        return (utc_ns - self.base_ns) // 1_000_000

    def mark(self) -> None:
        """Events that are told from here on happen now."""
        self.batch_ns = self.base_ns + time.monotonic_ns() - self._origin_ns

    def wake(self, board: VirtualBoard) -> None:
        """Step the board in the next turn. Events of this turn count from now."""
        self.mark()
        if not board.queued:
            board.queued = True
            self._ready.append(board)
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        elapsed_ns = time.monotonic_ns() - self._origin_ns
        self.batch_ns = self.base_ns + elapsed_ns
        now_ms = elapsed_ns / 1e6
        heap = self._heap
        ready = self._ready
        self._ready = []
        while heap and heap[0][0] <= now_ms + _COALESCE_MS:
            board = heapq.heappop(heap)[2]
            board.wake_ms = float("inf")
            if not board.queued:
                board.queued = True
                ready.append(board)
        if len(ready) > _BOARDS_PER_TURN:
            self._ready = ready[_BOARDS_PER_TURN:]
            del ready[_BOARDS_PER_TURN:]
            self._scheduled = True
            self._loop.call_soon(self._turn)
        if self.failure is None:
            for board in ready:
                board.queued = False
                try:
                    wake_ms = board.step(now_ms)
                except Exception as error:  # a defect in one application must not take the others along
                    board.fail(error)
                    continue
                # One entry per board: an entry that fires early only costs a step.
                if wake_ms < board.wake_ms:
                    board.wake_ms = wake_ms
                    heapq.heappush(heap, (wake_ms, next(self._tiebreak), board))
            # Acknowledgements alone can wait for the next send, or for whoever drives the pack.
            if not self.sending or self.commit():
                self.sending = False
                for board in ready:
                    board.transport.flush()
        if heap and heap[0][0] < self._timer_ms:
            self._arm(heap[0][0])

    def commit(self) -> bool:
        """Write the ledger; False, and nothing leaves any more, if that fails."""
        try:
            self._ledger.commit()
        except OSError as error:
            self.failure = error
            return False
        return True

    def _arm(self, when_ms: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ms = when_ms
        self._timer = self._loop.call_later(max(0.0, when_ms - self.now_ms()) / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_ms = float("inf")
        if not self._scheduled:
            self._turn()

    def close(self) -> None:
        """Step nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._ready.clear()
        self._heap.clear()
