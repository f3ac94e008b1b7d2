"""Runs of plain messages are read past paho: as paho reads them, whatever the split of the stream."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from buoyfleet.mqtt.codec import encode_publish
from buoyfleet.mqtt.paho_reading import ReadingPaho

Heard = list[tuple[bytes, bytes, int, bool]]


class Socket:
    """A socket that has these pieces to read."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)

    def recv(self, _size: int) -> bytes:
        if not self._pieces:
            raise BlockingIOError
        return self._pieces.pop(0)

    def close(self) -> None:
        pass

    def fileno(self) -> int:
        return -1


def heard_of(pieces: list[bytes], *, plain: bool) -> tuple[Heard, bool]:
    """What is heard, in order; and whether the connection still stands."""
    heard: Heard = []
    client = ReadingPaho(CallbackAPIVersion.VERSION2, client_id="reader", reconnect_on_failure=False)
    client._sock = Socket(pieces)  # type: ignore[assignment]

    def on_message(_client: Any, _data: Any, message: Any) -> None:
        heard.append((message.topic.encode(), bytes(message.payload), message.qos, message.retain))

    client.on_message = on_message
    if plain:
        client.on_plain = lambda run: heard.extend((topic, payload, 0, False) for topic, payload in run)
    while client.receive():
        pass
    return heard, client.socket() is not None


def whole(qos: int, retain: bool, topic: bytes, payload: bytes) -> bytes:
    return encode_publish(topic, payload, qos, retain, False, 7 if qos else 0)


PACKETS = st.one_of(
    st.builds(
        whole,
        st.integers(0, 1),
        st.booleans(),
        st.sampled_from((b"a", b"aws/0/100/data/", "größe/1".encode())),
        st.one_of(st.binary(max_size=30), st.sampled_from((b"x" * 118, b"x" * 130, b"x" * 20_000))),
    ),
    st.just(b"\xd0\0"),  # PINGRESP
)
BROKEN = st.sampled_from((b"0\x02\0\0", b"0\x03\0\x09a", b"0\x01\0", b"0\0", b"\xf0\0"))


@given(
    packets=st.lists(PACKETS, max_size=8),
    end=st.one_of(st.just(b""), BROKEN),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_plain_messages_are_heard_as_paho_hears_them(
    packets: list[bytes], end: bytes, cuts: list[int]
) -> None:
    stream = b"".join(packets) + end
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    pieces = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert heard_of(pieces, plain=True) == heard_of(pieces, plain=False)


def test_a_run_of_whole_messages_is_handed_on_at_once() -> None:
    runs: list[int] = []
    client = ReadingPaho(CallbackAPIVersion.VERSION2, client_id="reader", reconnect_on_failure=False)
    client._sock = Socket([whole(0, False, b"a/b", b"%d" % n) * 100 for n in range(3)])  # type: ignore[assignment]
    client.on_plain = lambda run: runs.append(len(run))
    while client.receive():
        pass
    assert runs == [100, 100, 100]
