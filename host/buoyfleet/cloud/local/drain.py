"""The end of a run on the twin: wait until all has come, then until it is where it belongs."""

import asyncio
import time
from collections.abc import Callable

from buoyfleet.cloud.local.pipeline import Pipeline
from buoyfleet.model.clock import Deadline

QUIET_S = 0.5
"""A drain that misses messages gives them up when nothing has come for this long: a broker on loopback holds
nothing back, so what has not come by then was never accepted."""
_SETTLE_LOOK_S = 0.05


class Drain:
    """Drains one pipeline.

    Args:
        pipeline: of the twin.
        hurry: whether buffers run ahead of their time, or are waited for.
        problem: told what did not end in time.
    """

    def __init__(self, pipeline: Pipeline, hurry: bool, problem: Callable[[str], None]) -> None:
        self._pipeline = pipeline
        self._hurry = hurry
        self._problem = problem

    async def run(self, expected: int, before: int, timeout_s: float) -> bool:
        """Whether all messages came, and everything that could end has ended.

        Args:
            expected: messages of the run.
            before: messages that had come before it.
            timeout_s: given up when nothing has moved for so long; buffers that are waited for do not move.
        """
        if not await self._all_in(expected, before, timeout_s):
            return False
        return await (self._hurried(timeout_s) if self._hurry else self._waited(Deadline(timeout_s)))

    async def _all_in(self, expected: int, before: int, timeout_s: float) -> bool:
        """Wait until all expected messages came, or nothing comes any more."""
        intake = self._pipeline.intake
        began_s = time.monotonic()
        moved, deadline = self._pipeline.moved, Deadline(timeout_s)
        while not deadline.expired:
            self._pipeline.take_in()
            if intake.arrived + sum(intake.refused.values()) - before >= expected:
                return True
            # Before the first arrival it is the drain itself that has waited.
            quiet_s = QUIET_S - min(self._pipeline.quiet_s, time.monotonic() - began_s)
            if quiet_s <= 0:
                return True
            await self._pipeline.arrival(min(quiet_s, deadline.remaining_s))
            if moved != self._pipeline.moved:
                moved, deadline = self._pipeline.moved, Deadline(timeout_s)
        return False

    async def _waited(self, deadline: Deadline) -> bool:
        """Let the buffers take their time. What is still in them then is waiting, and the verdict says so."""
        pipeline = self._pipeline
        while not deadline.expired and not pipeline.settled(pipeline.clock.utc_ns()):
            await asyncio.sleep(min(_SETTLE_LOOK_S, deadline.remaining_s))
        return True

    async def _hurried(self, timeout_s: float) -> bool:
        hurry = asyncio.ensure_future(self._pipeline.hurry())
        moved = None
        while not hurry.done() and moved != self._pipeline.moved:
            moved = self._pipeline.moved
            await asyncio.wait({hurry}, timeout=timeout_s)
        if not hurry.done():
            self._problem(f"the delivery stream did not get on for {timeout_s:g} s, and was given up")
            hurry.cancel()
            await asyncio.gather(hurry, return_exceptions=True)
            return False
        hurry.result()
        return True
