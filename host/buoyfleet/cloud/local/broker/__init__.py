"""The twin's MQTT broker: MQTT 3.1.1 and 5 as AWS IoT Core has it, each limit a setting."""

from buoyfleet.cloud.local.broker.authority import Authorise, Principal
from buoyfleet.cloud.local.broker.broker import Broker
from buoyfleet.cloud.local.broker.context import Sink
from buoyfleet.cloud.local.broker.records import ConnectionInfo, DisconnectReason, Metric, OnRefused, Reason
from buoyfleet.model.limits import Limits

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
