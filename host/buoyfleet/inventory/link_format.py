"""The `link` key: how boards talk MQTT. Defaults are those of `buoyfleet.model.fleet.LinkSpec`."""

# ruff: noqa: RUF009 (`entry` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass

from buoyfleet.inventory.fields import Field, Schema, Switch, Whole, Word
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.quantity_fields import duration_field
from buoyfleet.inventory.sections import Either, Nested, Section, entry
from buoyfleet.inventory.values import duration_text
from buoyfleet.inventory.yaml_nodes import Node
from buoyfleet.model.fleet import LinkClient, LinkSpec

_LINK = LinkSpec()


def _shown(seconds: float) -> str:
    return f"`{duration_text(seconds)}`"


@dataclass
class BackoffSection(Section):
    """How long a board waits before it connects again."""

    min: float | None = entry(
        duration_field("1 ms", "1 h"),
        "After the first failure; doubled each time.",
        shown=_shown(_LINK.backoff_min_s),
    )
    max: float | None = entry(duration_field("1 ms", "1 d"), "At most.", shown=_shown(_LINK.backoff_max_s))


@dataclass
class LinkSection(Section):
    """How a board talks MQTT."""

    client: LinkClient | None = entry(
        Word(("fleet", "paho"), "client"),
        "`fleet`: our own client. `paho`: paho-mqtt.",
        shown=f"`{_LINK.client}`",
    )
    keep_alive: int | None = entry(
        # MQTT 3.1.1, 3.1.2.10: 16 bits; below 5 s a slow machine would lose connections that are fine.
        duration_field("5 s", "65535 s", whole_s=True),
        "MQTT keep-alive (IoT Core takes 30 s to 1200 s).",
        shown=_shown(_LINK.keep_alive_s),
    )
    in_flight: int | None = entry(
        Whole(1, 65535),
        "Unacknowledged messages at once (IoT Core allows 100).",
        shown=f"`{_LINK.in_flight}`",
    )
    connect_timeout: float | None = entry(
        duration_field("100 ms", "10 min"),
        "For the connection and CONNACK.",
        shown=_shown(_LINK.connect_timeout_s),
    )
    ack_timeout: float | None = entry(
        duration_field("100 ms", "10 min"),
        "A message that is not acknowledged in this time is sent again on a new connection.",
        shown=_shown(_LINK.ack_timeout_s),
    )
    backoff: BackoffSection | None = entry(Nested(BackoffSection), "How long to wait before a new try.")
    outbox: int | None = entry(
        Whole(1, 1_000_000),
        "Messages kept while the link is down; beyond it the oldest are dropped, and counted.",
        shown=f"`{_LINK.outbox}`",
    )
    clean_session: bool | None = entry(
        Switch(), "`false`: the broker keeps the session over a reconnection.", shown="`true`"
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
