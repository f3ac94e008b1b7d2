"""A fleet as resolved from `boards.yaml`: no defaults left open, no secrets inside."""

from dataclasses import dataclass, field
from typing import Literal

from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.bench import BenchSpec
from buoyfleet.model.secret import SecretRef as SecretRef
from buoyfleet.model.store_names import SUBSCRIBER
from buoyfleet.model.thresholds import Threshold
from buoyfleet.model.twin import FaultSpec as FaultSpec
from buoyfleet.model.twin import TwinSpec as TwinSpec

BoardKind = Literal["virtual", "simulated", "esp32"]
LinkClient = Literal["fleet", "paho"]
PayloadMode = Literal["stamped", "original"]
SensorMode = Literal["hardware", "counter", "walk", "constant", "off"]


@dataclass(frozen=True, slots=True)
class SensorSpec:
    """What one of the nine sensors is on a board."""

    key: str
    mode: SensorMode
    base: float = 0.0
    """`counter`: the base of value = 2·base + n."""
    value: float | bool = 0.0
    """`constant`: the value, in the published unit."""


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """Files of mutual TLS; `{thing}` in certificate and key stands for the board's thing name."""

    ca: str
    certificate: str = ""
    key: str = ""
    server_name: str = ""
    alpn: str = ""


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """How a board talks MQTT; the policy is the firmware's (`buoy.link`), the client is chosen here."""

    client: LinkClient = "fleet"
    keep_alive_s: int = 60
    in_flight: int = 20
    """Unacknowledged QoS 1 messages at once (IoT Core allows 100)."""
    connect_timeout_s: float = 10.0
    ack_timeout_s: float = 10.0
    backoff_min_s: float = 0.5
    backoff_max_s: float = 30.0
    outbox: int = 1000
    """Messages kept while the link is down; the oldest are dropped beyond it, and counted."""
    clean_session: bool = True


@dataclass(frozen=True, slots=True)
class WifiSpec:
    """Access point that a board on a cable is told."""

    ssid: str
    password: SecretRef | None = None
    """None: an open network."""


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """One board of a fleet."""

    buoy_id: int
    kind: BoardKind
    thing_name: str
    """MQTT client id, and the thing's name in the cloud."""
    sensors: tuple[SensorSpec, ...]
    """All nine, in the order of `sensors.catalog.KEYS`."""
    link: LinkSpec
    messages: int | None
    """How many to send; None: until the run's duration is over."""
    interval_ms: float | None
    """Planned distance of two messages; None: unpaced (`--flat-out`)."""
    port: str = ""
    """Where a board on a cable is found: a path or URL; empty for virtual boards, and for simulated ones that
    the run starts itself."""
    wifi: WifiSpec | None = None
    """None: the board keeps its own."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What the fleet does in a run."""

    qos: Literal[0, 1] = 1
    payload: PayloadMode = "stamped"
    water: str = "calm"
    """Scenario of the simulated water, for boards whose sensors are `hardware`."""
    start_spread_s: float = 1.0
    """Boards start spread evenly over this time."""
    duration_s: float | None = None
    seed: int = 1
    drain_timeout_s: float = 30.0
    """How long to wait for outstanding acknowledgements, and then for the stores."""
    late_send_ms: float = 100.0
    """A message that leaves later than this after its planned time counts as sent late."""
    late_after_s: dict[str, float] = field(
        default_factory=lambda: {"timestream": 60.0, "s3": 900.0, "influxdb": 60.0, SUBSCRIBER: 60.0}
    )
    """Per store: visible later than this after sending counts as late."""


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """Where buoys publish and where their data should end."""

    kind: Literal["local", "broker", "aws"]
    host: str = "127.0.0.1"
    port: int = 0
    """0: the twin picks a free port."""
    tls: TlsSpec | None = None
    username: str = ""
    password: SecretRef | None = None
    attach: str = ""
    """`local`: control address HOST:PORT of a twin that runs already (`buoy twin`); empty: start one."""
    twin: TwinSpec | None = None
    """`local` only."""
    aws: AwsSpec | None = None
    """`aws` only."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The boards of one fleet file and what they shall do."""

    name: str
    source: str
    """Path of the fleet file."""
    target: TargetSpec
    topic_prefix: str
    """Without trailing slash; topics are `<prefix>/<buoy_id>/data/`."""
    boards: tuple[BoardSpec, ...]
    run: RunSpec
    thresholds: tuple[Threshold, ...]
    notes: tuple[str, ...] = ()
    """What was left out of the fleet file and why, e.g. thresholds of a store that the target lacks."""
    bench: BenchSpec = field(default_factory=BenchSpec)
    ingest_rule: str = ""
    """Basic Ingest: data go to `$aws/rules/<rule>/<topic>`, which no subscriber sees; empty: to the topic."""
