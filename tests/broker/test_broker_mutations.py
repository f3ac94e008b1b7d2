"""20,000 packets with changed bytes, of each version: nothing raises or stays behind, answers are whole.

No sockets: the bytes go straight to connections, and a list takes what they write.
"""

import asyncio
import random

import pytest

from buoyfleet.cloud.local.broker import Broker, Limits
from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.things import Services
from buoyfleet.mqtt.codec import (
    DISCONNECT,
    PINGREQ,
    Connect,
    Will,
    encode_connect,
    encode_puback,
    encode_publish,
    encode_subscribe,
    encode_unsubscribe,
)

COUNT = 20_000
SAMPLE = 600
SHADOW = b"$aws/things/buoy-100/shadow/"
STATE = b'{"state":{"desired":{"a":{"b":[1,2]}},"reported":{"a":null}},"clientToken":"t","version":0}'


def bytes_of(*fields: str | bytes) -> bytes:
    return b"".join(bytes.fromhex(one) if isinstance(one, str) else one for one in fields)


def text(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def packet(head: int, *fields: str | bytes) -> bytes:
    body = bytes_of(*fields)
    length = bytes((len(body) & 127 | 128, len(body) >> 7)) if len(body) > 127 else bytes((len(body),))
    return bytes((head,)) + length + body


CONNECTS = {
    4: encode_connect(Connect("mutant", 60, True, Will(b"gone", b"x", 1, True), "name", b"secret")),
    5: packet(
        0x10,
        text(b"MQTT"),
        "05 c6 003c",
        "19 1100000064 210005 2700010000 220003 1701 26", text(b"k"), text(b"v"),
        text(b"mutant"),
        "11 0200000009 1800000005 03", text(b"ct"), "0101",
        text(b"gone"), text(b"bye"), text(b"name"), text(b"secret"),
    ),
}  # fmt: skip
OTHERS = {
    4: [
        PINGREQ,
        DISCONNECT,
        encode_publish(b"a/b", b"payload", 0),
        encode_publish(b"a/b", b"payload", 1, True, True, 3),
        encode_publish(b"a/b", b"payload", 2, packet_id=4),
        encode_publish(SHADOW + b"update", STATE, 1, packet_id=5),
        encode_publish(b"$aws/rules/r/a/b", b"{}", 1, packet_id=6),
        encode_publish(b"$aws/things/buoy-100/jobs/$next/get", b"{}", 1, packet_id=7),
        encode_puback(1),
        encode_subscribe(1, ((b"a/#", 1), (b"+/b", 0), (b"$share/g/a/#", 1), (SHADOW + b"+/+", 1))),
        encode_unsubscribe(3, (b"a/#", b"$share/g/a/#")),
    ],
    5: [
        PINGREQ,
        packet(0xE0, "04 05 1100000005"),
        packet(0x30, text(b"a/b"), "0a 0200000005 230001 0101", b"payload"),
        packet(0x33, text(b"a/b"), "0003 0e 03", text(b"json"), "26", text(b"k"), text(b"v"), b"payload"),
        packet(0x32, text(b""), "0004 03 230001", b"payload"),
        packet(0x32, text(b"ask"), "0005 0c 08", text(b"answer"), "090000", b"payload"),
        packet(0x32, text(SHADOW + b"update"), "0006 00", STATE),
        packet(0x40, "0001 10 00"),
        packet(
            0x82, "0001 00", text(b"a/#"), "1d", text(b"+/b"), "00", text(b"$share/g/a/#"), "01",
            text(b"$aws/events/presence/#"), "01",
        ),
        packet(0xA2, "0002 05 26", text(b""), text(b""), text(b"a/#"), text(b"$share/g/a/#")),
        packet(0xF0, "18 00"),
    ],
}  # fmt: skip


class Line(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.written = b""
        self.closed = False
        connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.connection.connection_lost(None)

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.close()

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high or low

    def pause_reading(self) -> None:
        """Nobody reads."""

    def resume_reading(self) -> None:
        """Nobody reads."""


def whole_packets(data: bytes) -> list[bytes]:
    """The packets of what a broker has written, each with its header; fails if the last one is cut."""
    found = []
    while data:
        length = shift = 0
        place = 1
        while True:
            length |= (data[place] & 127) << shift
            shift += 7
            place += 1
            if data[place - 1] < 128:
                break
        assert len(data) >= place + length, "a packet is cut"
        found.append(data[: place + length])
        data = data[place + length :]
    return found


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes with a few of them changed, removed, doubled, or cut off."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed))
        kind = chance.randrange(5)
        if kind < 2:
            changed[at] = chance.randrange(256)
        elif kind == 2:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 3 and len(changed) > 2:
            del changed[at]
        else:
            changed.insert(at, chance.choice((0, 1, 0x7F, 0x80, 0xFF)))
    return bytes(changed)


async def feed(line: Line, data: bytes) -> None:
    """Give the connection bytes, and the loop its turns until they are handled."""
    line.connection.data_received(data)
    await asyncio.sleep(0)
    while line.connection._shares:
        await asyncio.sleep(0)


def attack(version: int, count: int, seed: int) -> None:
    async def run() -> None:
        chance = random.Random(seed)
        broker = Broker(lambda *_: None, limits=Limits.lifted(), account=Services())
        watcher = Line(Connection(broker))
        await feed(
            watcher, CONNECTS[4].replace(b"mutant", b"watch!") + encode_subscribe(1, ((b"watched", 0),))
        )
        for number in range(count):
            attacker = Line(Connection(broker))
            connect = CONNECTS[version]
            if number % 4:
                data = connect + mutated(chance.choice(OTHERS[version]), chance)
            else:
                data = mutated(connect, chance) + chance.choice(OTHERS[version])
            for piece in (data, PINGREQ):
                if not attacker.closed:
                    await feed(attacker, piece)
            attacker.close()
            answers = whole_packets(attacker.written)
            assert all(answer[0] >> 4 in (2, 3, 4, 9, 11, 13, 14) for answer in answers), data
            if answers and version == 5:
                assert answers[0][0] == 0x20, data
            if number % 100 == 0:
                broker.flush()
                before = len(watcher.written)
                await feed(watcher, encode_publish(b"watched", b"still here") + PINGREQ)
                broker.flush()
                assert len(watcher.written) > before + 2, data
                broker.tick()
                assert len(broker._connections) == 1
        await broker.stop()
        assert broker.sessions == 0

    asyncio.run(run())


@pytest.mark.parametrize("version", [4, 5])
def test_a_sample_of_packets_with_changed_bytes(version: int) -> None:
    attack(version, SAMPLE, 1)


@pytest.mark.soak
@pytest.mark.parametrize("version", [4, 5])
def test_packets_with_changed_bytes_of_either_version(version: int) -> None:
    attack(version, COUNT, 2)


@pytest.mark.parametrize("version", [4, 5])
def test_the_packets_are_right_before_they_are_changed(version: int) -> None:
    """Otherwise the mutants would all end at the same fault."""

    async def run() -> None:
        refused: list[str] = []

        def on_refused(reason: str, detail: str, *_: object) -> None:
            refused.append(f"{reason}: {detail}")

        for data in OTHERS[version]:
            broker = Broker(lambda *_: None, on_refused=on_refused, account=Services())
            line = Line(Connection(broker))
            await feed(line, CONNECTS[version] + (OTHERS[5][2] if version == 5 else b"") + data)
            line.close()
            await broker.stop()
        # IoT Core does not take QoS 2 (3.1.1), nor AUTH (5).
        assert len(refused) == 1, refused
        assert refused[0].startswith("qos-2" if version == 4 else "protocol-error: AUTH")

    asyncio.run(run())
