"""MQTT over WebSocket: frames of a browser's protocol on the outside, a transport to MQTT on the inside.

MQTT 3.1.1, section 6: binary frames alone, and a frame may hold a part of a packet or several. The framing is
that of `websockets`, which does no input or output here.
"""

import asyncio
from typing import Any, Final, cast

from websockets.datastructures import Headers
from websockets.frames import CloseCode, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol, Side, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from buoyfleet.cloud.local.gateway.request import HttpAnswer, HttpRequest

PATH: Final = "/mqtt"
SUBPROTOCOLS: Final = ("mqtt", "mqttv3.1")
"""MQTT 3.1.1, section 6; the second name is what clients of before the standard ask for."""
MAX_FRAME_BYTES: Final = 1024 * 1024
"""The twin's own bound; IoT Core publishes none."""


class Upgrade:
    """A handshake: what to answer, and the framing that follows."""

    def __init__(self, request: HttpRequest) -> None:
        """`request`: asks for an upgrade to WebSocket."""
        names = [cast(Subprotocol, name) for name in SUBPROTOCOLS]
        # It wants to read the handshake itself, which h11 has done: frames go to an object of their own.
        handshake = ServerProtocol(subprotocols=names)
        self.framing = Protocol(Side.SERVER, state=State.OPEN, max_size=MAX_FRAME_BYTES)
        target = request.path + (f"?{request.query_string}" if request.query_string else "")
        self._response = handshake.accept(Request(target, Headers(request.headers)))

    @property
    def accepted(self) -> bool:
        """Whether it is one that MQTT can follow."""
        return self._response.status_code == 101

    def answer(self) -> HttpAnswer:
        """The refusal of a handshake that is none."""
        said = self._response
        return HttpAnswer(said.status_code, bytes(said.body or b""), tuple(said.headers.raw_items()))

    def accept(self) -> bytes:
        """The bytes that accept it."""
        return self._response.serialize()


class WebSocketDoor(asyncio.Protocol):
    """What asyncio sees of a client of WebSocket; hands on what is inside its frames."""

    def __init__(self, framing: Protocol, transport: asyncio.Transport, inner: asyncio.Protocol) -> None:
        self._framing = framing
        self._transport = transport
        self._inner = inner
        self.inside = FramedTransport(framing, transport, self)

    def begin(self, rest: bytes) -> None:
        """The handshake is over; `rest`: what came behind it."""
        self._transport.set_protocol(self)
        self._inner.connection_made(self.inside)
        if rest:
            self.data_received(rest)

    def hand_over(self, inner: asyncio.Protocol) -> None:
        """Another protocol takes the inside."""
        self._inner = inner

    def data_received(self, data: bytes) -> None:
        """Frames, whole or in part."""
        framing = self._framing
        framing.receive_data(data)
        for frame in framing.events_received():
            opcode = getattr(frame, "opcode", None)
            if opcode is Opcode.TEXT:
                framing.fail(CloseCode.UNSUPPORTED_DATA, "MQTT comes in binary frames")
            elif opcode in (Opcode.BINARY, Opcode.CONT) and framing.state is State.OPEN:
                self._inner.data_received(bytes(cast(Any, frame).data))
        self.inside.flush()
        if framing.state is not State.OPEN:  # the peer says goodbye, or broke the protocol
            self._transport.close()

    def eof_received(self) -> bool | None:
        """The peer has closed its side."""
        return self._inner.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """The transport is gone."""
        self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        """The peer does not read."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The peer has read."""
        self._inner.resume_writing()


class FramedTransport(asyncio.Transport):
    """A transport that puts what is written into binary frames."""

    def __init__(self, framing: Protocol, transport: asyncio.Transport, door: WebSocketDoor) -> None:
        super().__init__()
        self._framing = framing
        self._outer = transport
        self._door = door

    def flush(self) -> None:
        """Write what the framing has to say, answers to pings among it."""
        data = b"".join(self._framing.data_to_send())
        if data and not self._outer.is_closing():
            self._outer.write(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """One frame."""
        if self._framing.state is State.OPEN:
            self._framing.send_binary(bytes(data))
            self.flush()

    def close(self) -> None:
        """Say goodbye, then close once everything is out."""
        if self._framing.state is State.OPEN:
            self._framing.send_close(CloseCode.NORMAL_CLOSURE)
            self.flush()
        self._outer.close()

    def abort(self) -> None:
        """Drop it."""
        self._outer.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._outer.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the socket below."""
        return self._outer.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol takes what comes."""
        self._door.hand_over(cast(asyncio.Protocol, protocol))

    def pause_reading(self) -> None:
        """Leave the peer's bytes to TCP."""
        self._outer.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._outer.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When `pause_writing` is called."""
        self._outer.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Bytes that are not out yet."""
        return self._outer.get_write_buffer_size()
