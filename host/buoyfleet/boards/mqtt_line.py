"""The console of a board without a cable: lines that travel over MQTT, behind the face of a serial port.

The board answers `identify` and `tell` there and nothing else, see `buoy.remote`.
"""

import contextlib
import ssl
import threading
from typing import Any

import paho.mqtt.client as paho
from buoy.app import Topics
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import PreflightError
from buoyfleet.mqtt.tls import client_context
from buoyfleet.serial.port import READ_TIMEOUT_S

OPEN_TIMEOUT_S = 10.0
_KEEP_ALIVE_S = 30


class MqttLine:
    """What `buoyfleet.serial.port.SerialPort` promises, over a broker.

    Args:
        endpoint: of the broker.
        topic_prefix: of the fleet.
        buoy_id: of the board.
        witness: thing whose certificate is used; `-console` is appended for the client id.

    Raises:
        PreflightError: not connected and subscribed in time, or refused.
    """

    def __init__(self, endpoint: Endpoint, topic_prefix: str, buoy_id: int, witness: str) -> None:
        self.baudrate, self.dtr, self.rts = 0, False, False
        asked, answered = Topics(topic_prefix, buoy_id).console()
        self._asked, self._answered = asked.decode(), answered.decode()
        self._data = bytearray()
        self._guard = threading.Condition()
        self._subscribed = threading.Event()
        self._trouble = "no answer"
        self._name = f"mqtt://{endpoint.host}:{endpoint.port}/{self._asked}"
        client = paho.Client(
            CallbackAPIVersion.VERSION2, f"{witness}-console-{buoy_id}", protocol=paho.MQTTv311
        )
        if endpoint.username:
            client.username_pw_set(endpoint.username, endpoint.password)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        self._client = client
        try:
            if endpoint.tls is not None:
                context = client_context(endpoint.tls, witness)
                client.tls_set_context(_named(context, endpoint.tls.server_name or endpoint.host))
            client.connect(endpoint.host, endpoint.port, _KEEP_ALIVE_S)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise self._cannot(str(error)) from None
        client.loop_start()
        if not self._subscribed.wait(OPEN_TIMEOUT_S):
            self.close()
            raise self._cannot(self._trouble)

    @property
    def in_waiting(self) -> int:
        """Bytes that came."""
        with self._guard:
            return len(self._data)

    def read(self, size: int = 1) -> bytes:
        """At most `size` bytes; none when nothing comes in time."""
        with self._guard:
            self._guard.wait_for(lambda: self._data, READ_TIMEOUT_S)
            data = bytes(self._data[:size])
            del self._data[:size]
            return data

    def write(self, data: bytes) -> int:
        """One message; nothing is retained."""
        self._client.publish(self._asked, data, 0)
        return len(data)

    def close(self) -> None:
        """Safe to call twice."""
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
        self._client.loop_stop()

    # On paho's thread

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _more: Any) -> None:
        if code.is_failure:
            self._trouble = f"refused: {code}"
        else:
            client.subscribe(self._answered, 0)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, codes: list[ReasonCode], _more: Any) -> None:
        if any(code.is_failure for code in codes):
            self._trouble = "the broker refused the subscription"
        else:
            self._subscribed.set()

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        with self._guard:
            self._data += message.payload
            self._guard.notify()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, _more: Any) -> None:
        if code.value:
            self._trouble = f"the broker ended the connection ({code})"

    def _cannot(self, why: str) -> PreflightError:
        return PreflightError(f"the board cannot be asked over MQTT: {why}", where=self._name)


def _named(context: ssl.SSLContext, server_name: str) -> ssl.SSLContext:
    """A context that checks for a name; paho takes the address that it connects to."""
    wrap: Any = context.wrap_socket

    def wrap_socket(raw: Any, **options: Any) -> Any:
        return wrap(raw, **{**options, "server_hostname": server_name})

    vars(context)["wrap_socket"] = wrap_socket
    return context
