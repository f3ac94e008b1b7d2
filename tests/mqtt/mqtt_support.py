"""What the MQTT tests share: a loop with a deadline, a recording listener, both transports, tiny servers."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from buoyfleet.model.clock import Deadline
from buoyfleet.mqtt.codec import Connect, Decoder, Packet, encode_connack
from buoyfleet.mqtt.dialler import Dialler
from buoyfleet.mqtt.fleet_client import FleetClient
from buoyfleet.mqtt.paho_client import PahoClient, PahoHub

Value = TypeVar("Value")

KINDS = ("fleet", "paho")
Client = FleetClient | PahoClient


def run(main: Coroutine[Any, Any, Value], *, deadline_s: float = 20.0) -> Value:
    """Run on uvloop; fail if it takes too long or anything raised inside a callback of the loop."""
    raised: list[dict[str, Any]] = []

    async def watched() -> Value:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: raised.append(context))
        async with asyncio.timeout(deadline_s):
            return await main

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        value = runner.run(watched())
    assert raised == []
    return value


@dataclass
class Recorder:
    """A listener that keeps every event as a tuple (name, arguments…)."""

    client: Client | None = None
    events: list[tuple[Any, ...]] = field(default_factory=list)
    dials: int = 0
    """Attempts to connect that began."""
    inside: str = ""
    """The transport's method that is running: no event may come then."""
    on_event: Callable[[str], None] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def _note(self, *event: Any) -> None:
        assert not self.inside, f"{event[0]} came from inside {self.inside}"
        self.events.append(event)
        self._changed.set()
        if self.on_event is not None:
            self.on_event(event[0])

    def on_dial(self) -> None:
        assert not self.inside, f"a dial began inside {self.inside}"
        self.dials += 1

    def on_open(self, session_present: bool) -> None:
        self._note("open", session_present)

    def on_pubacks(self, packet_ids: list[int]) -> None:
        self._note("pubacks", packet_ids)

    def on_suback(self, packet_id: int, codes: bytes) -> None:
        self._note("suback", packet_id, codes)

    def on_message(self, topic: bytes, payload: bytes, retain: bool) -> None:
        self._note("message", topic, payload, retain)

    def on_pong(self) -> None:
        self._note("pong")

    def on_writable(self) -> None:
        self._note("writable")

    def on_closed(self, reason: str) -> None:
        self._note("closed", reason)

    def names(self) -> list[str]:
        return [event[0] for event in self.events]

    @property
    def acked(self) -> list[int]:
        return [packet_id for event in self.events if event[0] == "pubacks" for packet_id in event[1]]

    @property
    def messages(self) -> list[tuple[bytes, bytes, bool]]:
        return [event[1:] for event in self.events if event[0] == "message"]

    @property
    def reasons(self) -> list[str]:
        return [event[1] for event in self.events if event[0] == "closed"]

    async def until(self, condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        """Wait for events until the condition holds."""
        deadline = Deadline(timeout_s)
        while not condition():
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), deadline.remaining_s)
            except TimeoutError:
                raise AssertionError(f"not within {timeout_s} s; so far {self.events}") from None

    async def event(self, name: str, timeout_s: float = 5.0) -> tuple[Any, ...]:
        """Wait for the first event of that name."""
        await self.until(lambda: name in self.names(), timeout_s)
        return next(event for event in self.events if event[0] == name)


@dataclass
class Board:
    """A transport with its recorder, called as the link calls it."""

    client: Client
    heard: Recorder

    def call(self, method: str, *arguments: Any) -> None:
        self.heard.inside = method
        try:
            getattr(self.client, method)(*arguments)
        finally:
            self.heard.inside = ""

    async def opened(self) -> "Board":
        self.call("open")
        await self.heard.until(lambda: self.heard.events)
        assert self.heard.names()[0] == "open", self.heard.events
        return self

    async def subscribed(self, *filters: bytes, qos: int = 1) -> "Board":
        self.call("subscribe", filters, qos, 4242)
        self.call("flush")
        event = await self.heard.event("suback")
        assert event == ("suback", 4242, bytes([qos]) * len(filters))
        return self

    def publish(self, topic: bytes, payload: bytes, packet_id: int = 0) -> None:
        self.call("publish", topic, payload, 1 if packet_id else 0, packet_id, False)


class Network:
    """Makes boards of one kind towards one broker, and closes everything at the end."""

    def __init__(self, kind: str, port: int, **options: Any) -> None:
        self.kind = kind
        self.shared = (Dialler if kind == "fleet" else PahoHub)("127.0.0.1", port, **options)
        self.boards: list[Board] = []

    def board(self, connect: Connect | str, tls: ssl.SSLContext | None = None) -> Board:
        if isinstance(connect, str):
            connect = Connect(connect)
        client: Client
        if isinstance(self.shared, Dialler):
            client = FleetClient(self.shared, connect, tls)
        else:
            client = PahoClient(self.shared, connect, tls)
        heard = Recorder(client)
        client.listener = heard
        self.boards.append(Board(client, heard))
        return self.boards[-1]

    async def __aenter__(self) -> "Network":
        return self

    async def __aexit__(self, *_: object) -> None:
        for board in self.boards:
            board.call("disconnect")
        await self.shared.close()
        assert self.shared.open_count == 0


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(serve: Serve, *, small_buffers: bool = False, **options: Any) -> AsyncIterator[int]:
    """A server on loopback that treats every connection with `serve`; gives its port.

    `small_buffers`: little fits between a client that writes and a server that does not read.
    """
    listening = socket.socket()
    if small_buffers:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        options["limit"] = 1024
    listening.bind(("127.0.0.1", 0))
    tasks: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went, or the test is over
        except Exception as error:
            failures.append(error)
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(guarded(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, sock=listening, backlog=1000, **options)
    try:
        yield listening.getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert failures == []


async def packets_of(reader: asyncio.StreamReader) -> AsyncIterator[Packet]:
    """Packets as a server receives them, until the client is gone."""
    decoder = Decoder()
    while data := await reader.read(65_536):
        for packet in decoder.feed(data):
            yield packet


async def accept_and_hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say CONNACK 0 and read on without an answer."""
    async for packet in packets_of(reader):
        if isinstance(packet, Connect):
            writer.write(encode_connack(False, 0))


def says(*answers: bytes, connack: bool = True) -> Serve:
    """A server that answers CONNECT with CONNACK (unless told not to) and these bytes, then reads on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for packet in packets_of(reader):
            if isinstance(packet, Connect):
                if connack:
                    writer.write(encode_connack(False, 0))
                for answer in answers:
                    writer.write(answer)

    return serve
