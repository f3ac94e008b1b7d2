"""Runs the link on MicroPython, and scripted brokers for it to meet."""

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from buoyfleet.mqtt.codec import Connect, Decoder, Disconnect, Packet, Publish, Subscribe

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(__file__).with_name("link_program.py")
CONNACK = b"\x20\x02\x00\x00"
TIMEOUT_S = 200.0


def run_link(
    micropython: Path, port: int, messages: int, *options: str, qos: int = 1, limit_ms: int = 5000
) -> dict[str, Any]:
    """Run the link until all messages are acknowledged or the time is over; what it prints at the end."""
    paths = [ROOT / "firmware", ROOT, ROOT / ".tools" / "umqtt"]
    arguments = [str(port), str(messages), str(qos), str(limit_ms), *options]
    done = subprocess.run(
        [micropython, "-X", "heapsize=256k", PROGRAM, *arguments],
        env={**os.environ, "MICROPYPATH": ":".join([*map(str, paths), ".frozen"])},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


class Peer:
    """The broker's side of one connection."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.connection = connection
        self.number = number
        """Of the connection, from 0."""
        self._decoder = Decoder(4096)
        self._packets: list[Packet] = []

    def receive(self) -> Packet | None:
        """The next packet; None when the client is gone."""
        while not self._packets:
            data = self.connection.recv(4096)
            if not data:
                return None
            self._packets += self._decoder.feed(data)
        return self._packets.pop(0)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(data)

    def accept(self) -> None:
        """Take CONNECT, answer CONNACK 0 and both SUBSCRIBEs."""
        assert isinstance(self.receive(), Connect)
        self.send(CONNACK)
        for _ in range(2):
            packet = self.receive()
            assert isinstance(packet, Subscribe)
            self.send(b"\x90\x03" + packet.packet_id.to_bytes(2, "big") + b"\x01")

    def published(self) -> Publish | None:
        """The next PUBLISH; None when the client is gone or says goodbye."""
        packet = self.receive()
        if packet is None or isinstance(packet, Disconnect):
            return None
        assert isinstance(packet, Publish), packet
        return packet

    def acknowledge(self, packet: Publish) -> None:
        """Send its PUBACK."""
        self.send(b"\x40\x02" + int(packet.packet_id or 0).to_bytes(2, "big"))

    def serve(self) -> None:
        """Acknowledge everything until the client goes."""
        while (packet := self.receive()) is not None:
            if isinstance(packet, Publish):
                self.acknowledge(packet)


@contextlib.contextmanager
def scripted_broker(script: Callable[[Peer], None]) -> Iterator[int]:
    """A broker that follows a script on every connection; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    failures: list[BaseException] = []
    connections: list[socket.socket] = []

    def accept() -> None:
        number = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=follow, args=(connection, number), daemon=True).start()
            number += 1

    def follow(connection: socket.socket, number: int) -> None:
        with connection:
            try:
                script(Peer(connection, number))
            except OSError:
                pass  # the client left in the middle of the script
            except BaseException as error:
                failures.append(error)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()
        for connection in connections:
            connection.close()
    assert not failures, failures
