"""A second client under a board's client id: the rehearsal of a board whose id is used twice.

It is a real connection to the twin's own port, with the board's own certificate where there is TLS. It stays
until the board comes back and takes its id in turn, or until it has stood there long enough.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable

from buoyfleet.mqtt.codec import Connack, Connect, Decoder, ProtocolError, encode_connect

HOLD_S = 2.0
_RETRY_S = 0.3
"""IoT Core takes one CONNECT a second from a client id; the impostor tries until it is its turn."""
_GIVE_UP_S = 5.0


class Impostors:
    """Starts one impostor at a time per client id."""

    def __init__(self, host: str, context: Callable[[str], ssl.SSLContext | None], server_name: str) -> None:
        """`context` gives the TLS of a client id; None: plain MQTT."""
        self._host = host
        self._context = context
        self._server_name = server_name
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.port = 0

    def take_over(self, client_id: str) -> None:
        """Connect under that client id soon."""
        if client_id in self._tasks:
            return
        task = asyncio.get_running_loop().create_task(self._stand_in(client_id))
        self._tasks[client_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(client_id, None))

    async def close(self) -> None:
        """End all of them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stand_in(self, client_id: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_UP_S):
                while not await self._connected(client_id):
                    await asyncio.sleep(_RETRY_S)

    async def _connected(self, client_id: str) -> bool:
        """Connect once; whether the id was taken. Returns when the connection is over."""
        tls = self._context(client_id)
        try:
            reader, writer = await asyncio.open_connection(
                self._host, self.port, ssl=tls, server_hostname=self._server_name if tls else None
            )
        except OSError:
            return False
        try:
            writer.write(encode_connect(Connect(client_id, keep_alive_s=30)))
            decoder = Decoder()
            while data := await reader.read(4096):
                for packet in decoder.feed(data):
                    if isinstance(packet, Connack):
                        if packet.code:
                            return False
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(HOLD_S):
                                await reader.read()
                        return True
            return False
        except (OSError, ProtocolError):
            return False
        finally:
            writer.close()
