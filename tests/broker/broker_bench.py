"""A broker in a thread for tests, with a clock turned by hand and all that it reports."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import uvloop

from buoyfleet.cloud.local.broker import Authorise, Broker, Limits
from buoyfleet.cloud.local.broker.account import Account

DEADLINE_S = 60.0
Answer = TypeVar("Answer")


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Received(NamedTuple):
    """A call of the sink."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    client_id: str


class Refusal(NamedTuple):
    """A call of `on_refused`."""

    reason: str
    detail: str
    client_id: str
    topic: str
    payload: bytes | None


class Bench:
    """A broker on a loop in a thread of its own, with all it reports."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        authorise: Authorise | None = None,
        tls: ssl.SSLContext | None = None,
        alpn: bool = False,
        sink: Callable[..., None] | None = None,
        account: Account | None = None,
    ) -> None:
        self.clock = Clock()
        self.received: list[Received] = []
        self.refused: list[Refusal] = []
        self._changed = threading.Event()
        self.broker = Broker(
            sink or self._sink,
            limits=limits,
            on_refused=self._refused,
            authorise=authorise,
            account=account,
            clock=self.clock,
        )
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self.run(self.broker.start(tls=tls, alpn_port=0 if alpn else None))

    def _sink(self, *call: Any) -> None:
        self.received.append(Received(*call[:6]))
        self._changed.set()

    def _refused(self, *call: Any) -> None:
        self.refused.append(Refusal(*call))
        self._changed.set()

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the broker's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    def call(self, function: Callable[[], Answer]) -> Answer:
        """Call a function on the broker's loop."""

        async def called() -> Answer:
            return function()

        answer: Answer = self.run(called())
        return answer

    def advance(self, seconds: float) -> None:
        """Let time pass for the broker."""

        def pass_time() -> None:
            self.clock.now_s += seconds
            self.broker.tick()

        self.call(pass_time)

    def eventually(self, what: Callable[[], bool], meaning: str = "what the test waits for") -> None:
        """Wait until it is so; fail at the deadline."""
        end = time.monotonic() + DEADLINE_S
        while True:
            self._changed.clear()
            if self.call(what):
                return
            if time.monotonic() > end:
                raise AssertionError(f"not within {DEADLINE_S} s: {meaning}")
            self._changed.wait(0.01)  # what the broker does not report is looked at again

    def metric(self, name: str) -> int:
        """A counter by its CloudWatch name."""
        return int(self.call(self.broker.metrics)[f"AWS/IoT {name}"])

    def reasons(self) -> list[str]:
        """The reasons given so far."""
        return self.call(lambda: [refusal.reason for refusal in self.refused])

    def payloads(self) -> list[bytes]:
        """What the sink got so far."""
        return self.call(lambda: [message.payload for message in self.received])

    def connected(self) -> int:
        """Clients connected now."""
        return self.call(lambda: self.broker.connections)

    def close(self) -> None:
        """Stop the broker and its loop."""
        self.run(self.broker.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()
