"""The link of a board in a pack: thousands wait for their turns to connect."""

from typing import Any

from buoy.link import CONNECTING, WAITING, LinkPolicy
from buoy.outbox import MemoryOutbox

from buoyfleet.boards.virtual import PackLink


class Transport:
    """Does nothing, and counts."""

    def __init__(self) -> None:
        self.opened = self.closed = 0
        self.listener: Any = None
        self.writable = False

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.closed += 1


def test_the_time_to_connect_counts_from_the_turn_of_the_board() -> None:
    transport, heard = Transport(), []
    link = PackLink(
        transport,
        MemoryOutbox(10, lambda _message, _reason: None),
        LinkPolicy(connect_timeout_ms=10_000),
        (),
        lambda: 0.5,
        None,
        None,
        heard.append,
    )
    link.connect(0)
    # Ten minutes in the queue of 20,000 boards.
    assert link.step(600_000) > 700_000
    assert (link.state, transport.closed, heard) == (CONNECTING, 0, [])
    link.on_dial(600_000)
    assert link.step(600_001) == 610_000
    link.step(610_000)
    assert (link.state, transport.closed) == (WAITING, 1)
    assert heard == ["no answer to CONNECT within 10000 ms"]
