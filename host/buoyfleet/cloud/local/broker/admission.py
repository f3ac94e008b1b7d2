"""CONNECT: who is let in."""

import uuid

from buoyfleet.cloud.local.broker.authority import CONNECT, Gate
from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.context import Context
from buoyfleet.cloud.local.broker.packets5 import Connect5
from buoyfleet.cloud.local.broker.rates import SecondWindow
from buoyfleet.cloud.local.broker.records import DisconnectReason, Metric, Reason
from buoyfleet.mqtt.codec import ConnackCode, Connect, encode_connack

_CLIENT_ERROR = DisconnectReason.CLIENT_ERROR


class Admission:
    """Checks a CONNECT. A refused one is recorded, answered as MQTT has it, and its connection closed.

    IoT Core's answers are not documented. Here a bad client id gets CONNACK 2 and a rate CONNACK 3 (server
    unavailable); a policy's denial gets none at all, as clients of AWS report it: an unexpected hang-up.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        rate = context.limits.connects_per_s
        self._account = None if rate is None else SecondWindow(rate)
        self._client_ids: dict[str, SecondWindow] = {}

    def admit(self, connection: Connection, packet: Connect, now_s: float) -> str | None:
        """The client id to use, with `connection.gate` set; None if the connection is refused."""
        client_id = packet.client_id
        connection.client_id = client_id
        problem = self._client_id_problem(packet)
        if problem:
            connection.refuse(
                Reason.CLIENT_ID_INVALID,
                Metric.CONNECT_CLIENT_ERROR,
                problem,
                _CLIENT_ERROR,
                answer=encode_connack(False, ConnackCode.IDENTIFIER_REJECTED),
            )
            return None
        if not client_id:  # MQTT 3.1.1, section 3.1.3.1: the server names the client
            client_id = connection.client_id = f"auto-{uuid.uuid4()}"
        if not self._within_rates(connection, client_id, now_s):
            return None
        if packet.will is not None:
            reason, detail = self._context.router.problem(packet.will.topic)
            if reason is None and self._context.limits.reserved_topics and packet.will.topic[:1] == b"$":
                reason, detail = Reason.TOPIC_RESERVED, "a will cannot go to a topic that begins with $"
            size, limit = len(packet.will.payload), self._context.limits.payload_bytes
            if reason is None and size > limit:
                reason, detail = Reason.PAYLOAD_TOO_LARGE, f"a payload of {size} bytes; {limit} are allowed"
            if reason is not None:
                connection.refuse(
                    reason,
                    Metric.CONNECT_CLIENT_ERROR,
                    f"will: {detail}",
                    _CLIENT_ERROR,
                    packet.will.topic.decode(),
                )
                return None
        if connection.admit_as.denied:
            self._deny(connection, connection.admit_as.denied)
            return None
        gate = self._context.gate(connection.admit_as, client_id, connection.ip_address, packet)
        if gate is not None and not self._authorised(connection, gate, client_id):
            return None
        connection.gate = gate
        return client_id

    def forget(self, now_s: float) -> None:
        """Forget client ids that have not tried to connect within the last second."""
        past = [key for key, window in self._client_ids.items() if now_s - window.started_s >= 1.0]
        for client_id in past:
            del self._client_ids[client_id]

    def _client_id_problem(self, packet: Connect) -> str:
        limits, client_id = self._context.limits, packet.client_id
        size = len(client_id.encode())
        if size > limits.client_id_bytes:
            return f"a client id of {size} bytes; {limits.client_id_bytes} are allowed"
        if limits.reserved_topics and client_id.startswith("$"):
            return "a client id must not begin with $"
        if not client_id and not packet.clean_session and not isinstance(packet, Connect5):
            return "an empty client id cannot have a persistent session"
        return ""

    def _within_rates(self, connection: Connection, client_id: str, now_s: float) -> bool:
        answer = encode_connack(False, ConnackCode.SERVER_UNAVAILABLE)
        rate = self._context.limits.connects_per_client_id_per_s
        if rate is not None:
            window = self._client_ids.setdefault(client_id, SecondWindow(rate))
            if not window.take(now_s):
                connection.refuse(
                    Reason.CLIENT_ID_RATE,
                    Metric.CONNECT_CLIENT_ID_THROTTLE,
                    f"CONNECT {window.count} of this second from one client id; {rate} allowed",
                    _CLIENT_ERROR,
                    answer=answer,
                )
                return False
        account = self._account
        if account is not None and not account.take(now_s):
            connection.refuse(
                Reason.CONNECT_RATE,
                Metric.CONNECT_THROTTLE,
                f"CONNECT {account.count} of this second in the account; {account.limit} allowed",
                _CLIENT_ERROR,
                answer=answer,
            )
            return False
        return True

    def _authorised(self, connection: Connection, gate: Gate, client_id: str) -> bool:
        resource = f"client/{client_id}"
        if gate.allows(CONNECT, resource):
            return True
        self._deny(connection, gate.denial(CONNECT, resource))
        return False

    def _deny(self, connection: Connection, words: str) -> None:
        connection.refuse(
            Reason.NOT_AUTHORISED, Metric.CONNECT_AUTH_ERROR, words, DisconnectReason.AUTH_ERROR
        )
