"""Packets of one connection that the throughput limit holds back."""

from buoyfleet.mqtt.codec import Packet, Publish

_PACKET_BYTES = 150
"""What a packet costs beside topic and payload (CPython 3.11, rounded)."""


class Backlog:
    """Packets in order, with what they hold: QoS 1 messages, which are unacknowledged, and bytes."""

    __slots__ = ("_packets", "qos1", "size_bytes")

    def __init__(self) -> None:
        self._packets: list[Packet] = []
        self.size_bytes = 0
        self.qos1 = 0

    def __bool__(self) -> bool:
        return bool(self._packets)

    def add(self, packet: Packet) -> None:
        """Append a packet."""
        self._packets.append(packet)
        self.size_bytes += _PACKET_BYTES
        if isinstance(packet, Publish):
            self.size_bytes += len(packet.topic) + len(packet.payload)
            self.qos1 += packet.qos == 1

    def take(self) -> list[Packet]:
        """Take all packets out."""
        packets, self._packets = self._packets, []
        self.size_bytes = self.qos1 = 0
        return packets
