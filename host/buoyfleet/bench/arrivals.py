"""The other end of a self-test: a client of the broker that sees what boards publish."""

import threading
from collections.abc import Callable
from typing import Any

from buoyfleet.model.clock import Deadline
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import TargetError

CONNECT_S = 15.0
_KEPT = 10_000


class Arrivals:
    """Subscribes to all data topics under a prefix. May be used from any thread.

    Raises:
        TargetError: the broker cannot be reached or refuses.
    """

    def __init__(self, endpoint: Endpoint, topic_prefix: str, client_id: str = "witness") -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._where = f"{endpoint.host}:{endpoint.port}"
        self._filter = f"{topic_prefix}/+/data/#"
        self._news = threading.Condition()
        self._seen: list[tuple[str, bytes]] = []
        self._subscribed = threading.Event()
        self._refusal = ""
        self._client: Any = Client(CallbackAPIVersion.VERSION2, client_id)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        if endpoint.username:
            self._client.username_pw_set(endpoint.username, endpoint.password)
        if endpoint.tls is not None:
            from buoyfleet.mqtt.paho_session import NamedContext
            from buoyfleet.mqtt.tls import client_context

            name = endpoint.tls.server_name or endpoint.host
            context: Any = NamedContext(client_context(endpoint.tls, client_id), name)
            self._client.tls_set_context(context)
        try:
            self._client.connect(endpoint.host, endpoint.port, keepalive=30)
        except (OSError, ValueError) as error:
            raise TargetError(
                f"the broker cannot be reached: {error}", where=self._where, next_step="buoy check"
            ) from None
        self._client.loop_start()
        if not self._subscribed.wait(CONNECT_S):
            self.close()
            raise TargetError(
                f"the broker did not let the witness subscribe to {self._filter} within {CONNECT_S:g} s",
                where=self._where,
                cause=self._refusal,
            )

    def wait_for(self, topic: str, payload: bytes, timeout_s: float, check: Callable[[], None]) -> float:
        """Wait for a message; returns the seconds it took.

        Raises:
            TimeoutError: it did not come.
        """
        deadline = Deadline(timeout_s)
        with self._news:
            while (topic, payload) not in self._seen:
                if deadline.expired:
                    raise TimeoutError
                self._news.wait(0.2)
                check()
        return timeout_s - deadline.remaining_s

    def close(self) -> None:
        """Leave the broker. Safe to call twice."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self, client: Any, _data: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
            return
        client.subscribe(self._filter, qos=1)

    def _on_message(self, _client: object, _data: object, message: Any) -> None:
        with self._news:
            self._seen.append((message.topic, message.payload))
            del self._seen[:-_KEPT]
            self._news.notify_all()
