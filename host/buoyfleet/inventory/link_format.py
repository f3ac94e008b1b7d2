"""The `link` key: how boards talk MQTT. Defaults are those of `buoyfleet.model.fleet.LinkSpec`."""

# ruff: noqa: RUF009 (`setting` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass

from buoyfleet.inventory.fields import Field, Schema, Switch, Whole, Word
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.quantity_fields import duration_field
from buoyfleet.inventory.sections import Either, Nested, Part, Section, entry, setting
from buoyfleet.inventory.yaml_nodes import Node
from buoyfleet.model.fleet import LinkClient, LinkSpec


@dataclass
class BackoffSection(Section, model=LinkSpec, layered=True):
    """How long a board waits before it connects again."""

    min: float | None = setting(
        duration_field("1 ms", "1 h"),
        "After the first failure; doubled each time.",
        attribute="backoff_min_s",
    )
    max: float | None = setting(duration_field("1 ms", "1 d"), "At most.", attribute="backoff_max_s")


@dataclass
class LinkSection(Section, model=LinkSpec, layered=True):
    """How a board talks MQTT."""

    client: LinkClient | None = setting(
        Word(("fleet", "paho"), "client"),
        "`fleet`: our own client. `paho`: paho-mqtt.",
    )
    keep_alive: int | None = setting(
        # MQTT 3.1.1, 3.1.2.10: 16 bits; below 5 s a slow machine would lose connections that are fine.
        duration_field("5 s", "65535 s", whole_s=True),
        "MQTT keep-alive (IoT Core takes 30 s to 1200 s).",
    )
    in_flight: int | None = setting(
        Whole(1, 65535),
        "Unacknowledged messages at once (IoT Core allows 100).",
    )
    connect_timeout: float | None = setting(
        duration_field("100 ms", "10 min"),
        "For the connection and CONNACK.",
    )
    ack_timeout: float | None = setting(
        duration_field("100 ms", "10 min"),
        "A message that is not acknowledged in this time is sent again on a new connection.",
    )
    backoff: BackoffSection | None = entry(Part(BackoffSection), "How long to wait before a new try.")
    outbox: int | None = setting(
        Whole(1, 1_000_000),
        "Messages kept while the link is down; beyond it the oldest are dropped, and counted.",
    )
    clean_session: bool | None = setting(
        Switch(), "`false`: the broker keeps the session over a reconnection."
    )


class LinkField(Field):
    """One word, or a mapping."""

    _either = Either(Word(("fleet", "paho"), "link"), Nested(LinkSection))
    expected = "`fleet`, `paho` or a mapping"

    def read(self, node: Node, path: str, report: Reporter) -> LinkSection:
        read = self._either.read(node, path, report)
        return LinkSection(client="paho" if read == "paho" else "fleet") if isinstance(read, str) else read

    def schema(self) -> Schema:
        return self._either.schema()
