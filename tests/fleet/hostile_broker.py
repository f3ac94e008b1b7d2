"""A broker that acknowledges everything and then does what it was told to do with it.

It keeps MQTT's rules towards its clients, so that only a look at what arrives can find out.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

from buoyfleet.mqtt.codec import (
    PINGRESP,
    Connect,
    Decoder,
    Disconnect,
    Pingreq,
    Publish,
    Subscribe,
    encode_connack,
    encode_puback,
    encode_publish,
    encode_suback,
)
from buoyfleet.mqtt.topics import topic_matches

Deliver = Callable[[int, Publish], list[bytes] | list[Publish]]
"""(number of the message, message) → payloads that subscribers get on its topic, or whole messages."""


class HostileBroker:
    """Runs in a thread of its own, on a port of its own."""

    def __init__(
        self,
        deliver: Deliver,
        *,
        suback: int = 0,
        cut_after: int = 0,
        delay_s: Callable[[bytes], float] = lambda _topic: 0.0,
    ) -> None:
        self._deliver = deliver
        self._delay_s = delay_s
        """Topic → how long its messages take to the subscriber."""
        self._suback = suback
        self._cut_after = cut_after
        """Messages after which the subscriber's connection is cut, once; 0: never."""
        self._number = 0
        self._subscribers: dict[asyncio.StreamWriter, list[bytes]] = {}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """The port, while it runs."""
        self._thread.start()
        try:
            assert self._ready.wait(10)
            yield self.port
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(65536):
                for packet in decoder.feed(data):
                    self._take(packet, writer)
        self._subscribers.pop(writer, None)
        writer.close()

    def _take(self, packet: object, writer: asyncio.StreamWriter) -> None:
        if isinstance(packet, Connect):
            writer.write(encode_connack(False, 0))
        elif isinstance(packet, Subscribe):
            filters = [topic for topic, _qos in packet.filters]
            watching = any(b"/data/" in topic for topic in filters)
            code = self._suback if watching else 0
            writer.write(encode_suback(packet.packet_id, bytes([code] * len(filters))))
            if watching and not code:
                self._subscribers[writer] = filters
        elif isinstance(packet, Pingreq):
            writer.write(PINGRESP)
        elif isinstance(packet, Publish):
            if packet.packet_id:
                writer.write(encode_puback(packet.packet_id))
            self._pass_on(packet)
        elif isinstance(packet, Disconnect):
            writer.close()

    def _pass_on(self, packet: Publish) -> None:
        delivered = self._deliver(self._number, packet)
        self._number += 1
        for subscriber, filters in list(self._subscribers.items()):
            for each in delivered:
                topic, payload = (
                    (packet.topic, each) if isinstance(each, bytes) else (each.topic, each.payload)
                )
                if not any(topic_matches(wanted, topic) for wanted in filters):
                    continue
                publish, delay_s = encode_publish(topic, payload), self._delay_s(topic)
                if delay_s:
                    self._loop.call_later(delay_s, subscriber.write, publish)
                else:
                    subscriber.write(publish)
            if self._number == self._cut_after and any(topic_matches(f, packet.topic) for f in filters):
                del self._subscribers[subscriber]
                subscriber.transport.abort()
