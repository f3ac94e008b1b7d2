"""The twin's MQTT broker: MQTT 3.1.1 and 5 as AWS IoT Core has it, each limit a setting."""

from host.cloud.local.broker.authority import Authorise, Principal
from host.cloud.local.broker.broker import Broker
from host.cloud.local.broker.context import Sink
from host.cloud.local.broker.records import ConnectionInfo, DisconnectReason, Metric, OnRefused, Reason
from host.model.limits import Limits

__all__ = [
    "Authorise",
    "Broker",
    "ConnectionInfo",
    "DisconnectReason",
    "Limits",
    "Metric",
    "OnRefused",
    "Principal",
    "Reason",
    "Sink",
]
