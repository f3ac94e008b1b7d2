"""Tells the account's services what happens to clients, where somebody listens."""

from collections.abc import Callable
from typing import Literal

from buoyfleet.cloud.local.broker.account import Account, ClientEvent, Reply
from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.records import DisconnectReason
from buoyfleet.cloud.local.broker.routing import Router
from buoyfleet.mqtt.codec import Subscribe, Unsubscribe

_PLACES = {"connected": "presence", "disconnected": "presence"}


class ClientEvents:
    """Lifecycle events. A fleet to which nobody listens costs one comparison a connection."""

    def __init__(
        self, account: Account | None, router: Router, announce: Callable[[Reply, float], None]
    ) -> None:
        self._account = account
        self._router = router
        self._announce = announce

    def connected(self, connection: Connection, now_s: float) -> None:
        """CONNECT was accepted."""
        if self._heard("connected", connection):
            self._say("connected", connection, now_s, ip_address=connection.ip_address)

    def disconnected(self, connection: Connection, reason: DisconnectReason, now_s: float) -> None:
        """A client has gone."""
        if self._heard("disconnected", connection):
            self._say("disconnected", connection, now_s, reason=reason)

    def subscribed(self, connection: Connection, packet: Subscribe, now_s: float) -> None:
        """SUBSCRIBE was handled."""
        session = connection.session
        if session is not None and not connection.ending and self._heard("subscribed", connection):
            granted = [one for one, _ in packet.filters if one in session.subscriptions]
            if granted:
                self._say("subscribed", connection, now_s, filters=granted)

    def unsubscribed(self, connection: Connection, packet: Unsubscribe, now_s: float) -> None:
        """UNSUBSCRIBE was handled."""
        if self._heard("unsubscribed", connection):
            self._say("unsubscribed", connection, now_s, filters=list(packet.filters))

    def _heard(self, kind: str, connection: Connection) -> bool:
        if self._account is None:
            return False
        if self._router.event_filters:
            return True
        place = _PLACES.get(kind, "subscriptions")
        return self._account.wants(f"$aws/events/{place}/{kind}/{connection.client_id}")

    def _say(
        self,
        kind: Literal["connected", "disconnected", "subscribed", "unsubscribed"],
        connection: Connection,
        now_s: float,
        *,
        ip_address: str = "",
        reason: DisconnectReason | None = None,
        filters: list[bytes] | None = None,
    ) -> None:
        topics = tuple(one.decode() for one in filters or ())
        who = connection.admit_as.principal("").id
        event = ClientEvent(kind, connection.client_id, who, ip_address, reason, topics)
        reply = None if self._account is None else self._account.event(event)
        if reply is not None:
            self._announce(reply, now_s)
