"""Turns to connect: how many connections of a fleet may begin in a second."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt_support import Network, accept_and_hold, run, serving

from buoyfleet.mqtt.turns import Turns


@pytest.mark.soak
@given(
    per_s=st.sampled_from((40, 400)),
    lateness_s=st.lists(st.floats(0, 0.3), min_size=1, max_size=50),
)
def test_no_second_has_more_turns_than_the_rate_whatever_the_loop_does_to_the_timers(per_s, lateness_s):
    turns = Turns(per_s)
    now_s, taken = 0.0, []
    for n in range(1200):
        # A timer is never early, and now and then late by what the loop was doing.
        due_s = max(now_s, turns.due_s)
        now_s = due_s + (lateness_s[n // 24 % len(lateness_s)] if n % 24 == 0 else 0.0)
        turns.take(now_s)
        taken.append(now_s)
    # What a late timer missed is made up for within 20 ms of turns at most.
    for first in range(0, len(taken), 7):
        in_second = sum(taken[first] <= at_s < taken[first] + 1 for at_s in taken[first:])
        assert in_second <= per_s * 1.02 + 2


@pytest.mark.parametrize("kind", ["fleet", "paho"])
def test_connections_and_reconnections_share_the_turns(kind: str) -> None:
    class Counted(Turns):
        taken = 0

        def take(self, now_s: float) -> None:
            assert now_s >= self.due_s
            super().take(now_s)
            type(self).taken += 1

    async def main() -> None:
        async with (
            serving(accept_and_hold) as port,
            Network(kind, port, turns=Counted(10)) as network,
        ):
            boards = [network.board(f"board-{number}") for number in range(8)]
            for board in boards:
                board.call("open")
                # It is not dialled from inside `open`; one closed before its turn, 0.5 s later, takes none.
            boards[5].call("close")
            for board in boards[:5] + boards[6:]:
                await board.heard.event("open")
            assert Counted.taken == 7
            assert [board.heard.dials for board in boards] == [1, 1, 1, 1, 1, 0, 1, 1]
            boards[0].heard.events.clear()
            boards[0].call("open")
            await boards[0].heard.event("open")
            assert Counted.taken == 8

    run(main())
    assert Counted.taken == 8


def test_a_network_that_closes_leaves_those_in_the_queue_alone() -> None:
    async def main() -> None:
        async with serving(accept_and_hold) as port, Network("fleet", port, turns=Turns(0.01)) as network:
            boards = [network.board(f"board-{number}") for number in range(3)]
            for board in boards:
                board.call("open")
            await boards[0].heard.event("open")
        await asyncio.sleep(0)
        assert [board.heard.dials for board in boards] == [1, 0, 0]

    run(main())
