"""What a connection does with each packet that is no PUBLISH."""

from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.packets5 import Disconnect5
from buoyfleet.cloud.local.broker.properties5 import PROTOCOL, Fault
from buoyfleet.cloud.local.broker.records import DisconnectReason, Metric
from buoyfleet.cloud.local.broker.service import Service
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.mqtt.codec import (
    PINGRESP,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Subscribe,
    Unsubscribe,
)


def handle_rare(service: Service[Connection], connection: Connection, packet: Packet, now_s: float) -> None:
    """Handle a packet that is no PUBLISH, or came before CONNECT was accepted."""
    session = connection.session
    if session is None:
        if isinstance(packet, Connect):
            service.connect(connection, packet, now_s)
        else:
            connection.protocol_error(f"{type(packet).__name__.rstrip('5').upper()} before CONNECT")
    elif isinstance(packet, Puback):
        session.acknowledge(packet.packet_id, now_s)
    elif isinstance(packet, Pingreq):
        service.records.count(Metric.PING_SUCCESS)
        connection.send(PINGRESP)
    elif isinstance(packet, Subscribe):
        connection.wire.answering = (packet.packet_id, len(packet.filters))
        service.subscribe(connection, packet, now_s)
        connection.wire.answering = (0, 0)
    elif isinstance(packet, Unsubscribe):
        service.unsubscribe(connection, packet, now_s)
    elif isinstance(packet, Disconnect):
        _disconnect(connection, session, service, packet)
    elif isinstance(packet, Connect):
        detail = "a second CONNECT on one connection"
        connection.protocol_error(detail, Fault(detail, PROTOCOL))
    else:
        connection.protocol_error(f"{type(packet).__name__.upper()} is not for a client to send here")


def _disconnect(
    connection: Connection, session: Session, service: Service[Connection], packet: Disconnect
) -> None:
    """A polite end. MQTT 5 may change the session's life, and may ask for the will all the same."""
    if isinstance(packet, Disconnect5) and packet.expiry_s is not None:
        if packet.expiry_s and not session.expiry_s:
            detail = "DISCONNECT that keeps a session which CONNECT did not want kept"
            connection.protocol_error(detail, Fault(detail, PROTOCOL))
            return
        session.expiry_s = min(packet.expiry_s, service.limits.session_s)
    if not isinstance(packet, Disconnect5) or not packet.reason:
        connection.will = None
    connection.end(DisconnectReason.CLIENT_INITIATED_DISCONNECT)
