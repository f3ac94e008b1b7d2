"""The format of a fleet file (`boards.yaml`): every key, what it can be and what it means.

Loader, JSON schema and reference page are all made from these declarations. Defaults are those of
`buoyfleet.model.fleet`; bounds come from MQTT 3.1.1, from AWS's quotas where a source is named, or from what
the ledger can hold.
"""

# ruff: noqa: RUF009 (`entry` makes a dataclass field, which is what the rule wants)

from dataclasses import dataclass
from pathlib import Path

from buoyfleet.inventory.available import KINDS, LATER_KINDS, WATERS
from buoyfleet.inventory.bench_format import BenchSection
from buoyfleet.inventory.cable_format import PORT, WifiSection
from buoyfleet.inventory.collection_fields import Keyed, Many
from buoyfleet.inventory.fields import (
    Field,
    IdPiece,
    Ids,
    Invalid,
    Schema,
    Text,
    ThresholdText,
    Whole,
    Word,
)
from buoyfleet.inventory.link_format import BackoffSection, LinkField, LinkSection
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.quantity_fields import duration_field, rate_field
from buoyfleet.inventory.sections import Nested, Section, entry, read_section, setting
from buoyfleet.inventory.sensor_fields import SensorChoices, Sensors, SensorSection, SensorsSection
from buoyfleet.inventory.target_format import SECTIONS as TARGET_SECTIONS
from buoyfleet.inventory.target_format import TargetField
from buoyfleet.inventory.target_section import TargetSection
from buoyfleet.inventory.values import duration_text
from buoyfleet.inventory.yaml_nodes import Mapping, Node, Scalar
from buoyfleet.model.fleet import BoardKind, PayloadMode, RunSpec
from buoyfleet.model.thresholds import STORES, Threshold

# The ledger's columns are 32-bit (buoyfleet.model.ledger).
HIGHEST_ID = 2**31 - 1
MOST_MESSAGES = 10_000_000
MOST_BOARDS = 100_000
DEFAULT_PREFIX = "aws/0"

FLAT_OUT = 0.0
"""Interval of a board that sends as fast as its link takes messages."""


class Rate(Field):
    """`10/s`, or `flat-out`; gives the interval in ms, or FLAT_OUT."""

    # Identity is a timestamp in whole milliseconds: no board can make more than one message in each.
    _rate = rate_field("1/h", "1000/s")
    expected = "a rate such as `10/s` (1/h to 1000/s) or `flat-out`"

    def read(self, node: Node, path: str, report: Reporter) -> float:
        if isinstance(node, Scalar) and not node.secret:
            if node.text == "flat-out":
                return FLAT_OUT
            if node.text.lower().replace("_", "-").replace(" ", "-") in (
                "flat-out",
                "flatout",
                "max",
                "unpaced",
            ):
                raise self.refuse(node, path, report, "", "did you mean `flat-out`?")
        interval: float = self._rate.read(node, path, report)
        return interval

    def schema(self) -> Schema:
        return {"anyOf": [self._rate.schema(), {"const": "flat-out"}]}


_MESSAGES = Whole(1, MOST_MESSAGES, f"a whole number from 1 to {MOST_MESSAGES}")
_INTERVAL = duration_field("1 ms", "30 d", milliseconds=True)
_COUNT_NAMES = ("count", "n", "number", "message_count")


@dataclass
class PaceSection(Section):
    """How much and how fast; what is said nearer to a board wins."""

    RULES = {"not": {"required": ["interval", "rate"]}}  # noqa: RUF012 (no field: it has no annotation)

    messages: int | None = entry(_MESSAGES, "How many messages each board sends.", also=_COUNT_NAMES)
    interval: float | None = entry(
        _INTERVAL, "Time between two messages of a board.", also=("period", "every", "delay", "pause")
    )
    rate: float | None = entry(
        Rate(),
        "Messages per time of one board, instead of `interval`; `flat-out`: no pacing.",
        also=("speed",),
    )


class LateAfter(Keyed):
    """A mapping from stores to durations; what it does not name stays as usual."""

    def resolve(self, value: dict[str, float], folder: Path) -> dict[str, float]:
        return {**RunSpec().late_after_s, **super().resolve(value, folder)}


@dataclass
class RunSection(PaceSection, model=RunSpec):
    """What the boards do in a run."""

    duration: float | None = setting(
        duration_field("1 ms", "30 d"),
        "The run ends after this time, whatever is left to send.",
        also=("time", "length"),
    )
    qos: int = setting(Whole(0, 1, "0 or 1"), "MQTT quality of service.")
    payload: PayloadMode = setting(
        Word(("stamped", "original"), "payload"),
        "`stamped`: the readings and a timestamp, so that every message can be told from every other. "
        "`original`: the readings alone, byte for byte as the original test.",
    )
    water: str = setting(
        Word(tuple(WATERS), "water"),
        "Water of virtual boards that have `hardware` sensors: "
        + ", ".join(f"`{name}` ({about})" for name, about in WATERS.items())
        + ".",
        also=("scenario", "environment"),
    )
    start_spread: float = setting(
        duration_field("0 s", "1 d"),
        "Boards start spread evenly over this time.",
    )
    seed: int = setting(
        Whole(0, 2**31 - 1),
        "Of everything random: walks, back-off. The same seed gives the same values.",
    )
    drain_timeout: float = setting(
        duration_field("100 ms", "1 d"),
        "How long to wait for acknowledgements after the last message, and then for the stores.",
    )
    late_send: float = setting(
        duration_field("1 ms", "1 h", milliseconds=True),
        "A message that leaves later than this after its planned time counts as sent late.",
    )
    late_after: dict[str, float] | None = setting(
        LateAfter(duration_field("1 ms", "30 d"), STORES, "store", least=1),
        "Per store: a measure that is visible later than this after sending counts as late.",
        shown=", ".join(
            f"`{store}: {duration_text(after)}`" for store, after in RunSpec().late_after_s.items()
        ),
    )


_LINK_ABOUT = "How the boards talk MQTT: `fleet`, `paho`, or a mapping."
_SENSORS_ABOUT = (
    "What the nine sensors are: one word for all, or a mapping with a word for each; "
    "`{mode: constant, value: 7.0}` is a fixed value."
)


@dataclass
class OverrideSection(PaceSection):
    """What is different on some boards of a group."""

    sensors: SensorChoices | None = entry(Sensors(), "Sensors that differ; the others stay as in the group.")
    link: LinkSection | None = entry(LinkField(), "Link settings that differ.")
    port: str = entry(PORT, "Serial port of this board.", default="")


@dataclass(frozen=True, slots=True)
class Override:
    """One entry of `overrides`."""

    pieces: list[IdPiece]
    section: OverrideSection
    path: str
    line: int


class OverridesField(Field):
    """A mapping from ids to what differs there."""

    _ids = Ids(HIGHEST_ID)
    expected = "a mapping with ids as keys, e.g. `103: {sensors: walk}`"

    def read(self, node: Node, path: str, report: Reporter) -> list[Override]:
        if not isinstance(node, Mapping):
            raise self.refuse(node, path, report)
        read: list[Override] = []
        for name, (key_node, value) in node.items.items():
            place = f"{path}.{name}"
            try:
                pieces = self._ids.read(key_node, path, report)
                if not isinstance(value, Mapping):
                    raise self.refuse(
                        value, place, report, f"{value.shown()} is not a mapping of what differs"
                    )
                section = read_section(OverrideSection, value, place, report)
            except Invalid:
                continue
            read.append(Override(pieces, section, place, key_node.line))
        return read

    def schema(self) -> Schema:
        pattern = self._ids.schema()["anyOf"][1]["pattern"]
        return {
            "type": "object",
            "patternProperties": {pattern: Nested(OverrideSection).schema()},
            "additionalProperties": False,
        }


@dataclass
class GroupSection(PaceSection):
    """Boards that are alike."""

    kind: BoardKind | None = entry(
        Word(tuple(KINDS), "kind", LATER_KINDS),
        "What the boards are. " + " ".join(f"`{kind}`: {about}." for kind, about in KINDS.items()),
        required=True,
        also=("type",),
    )
    ids: list[IdPiece] | None = entry(
        Ids(HIGHEST_ID),
        "The buoys' ids: `100`, `100-127`, `100-109,115`, or a list of these.",
        required=True,
        also=("id", "buoys", "range", "boards"),
    )
    sensors: SensorChoices | None = entry(Sensors(), _SENSORS_ABOUT, shown="`counter`", also=("sensor",))
    link: LinkSection | None = entry(LinkField(), _LINK_ABOUT, shown="`fleet`", also=("client", "mqtt"))
    thing_name: str = entry(
        # AWS IoT: thing names are [a-zA-Z0-9:_-]{1,128}; the same text is the MQTT client id.
        Text(
            "a name with `{id}` in it, of letters, digits, `:`, `_` and `-`",
            r"^[a-zA-Z0-9:_-]{0,118}\{id\}[a-zA-Z0-9:_-]{0,118}$",
        ),
        "MQTT client id and name of the thing in the cloud; `{id}` stands for the board's id.",
        default="buoy-{id}",
        shown="`buoy-{id}`; with target `aws` `<name>-{id}`",
        also=("thing", "client_id", "name"),
    )
    port: str = entry(
        PORT,
        "Serial port of a board on a cable, path or URL; `{id}` stands for the board's id. "
        "A `simulated` board without one is started by the run.",
        default="",
        also=("serial", "device", "tty", "com"),
    )
    wifi: WifiSection | None = entry(
        Nested(WifiSection),
        "Access point that boards on a cable are told; without it they keep their own.",
        also=("wlan", "network"),
    )
    overrides: list[Override] = entry(
        OverridesField(),
        "What is different on some of the boards, by id.",
        default_factory=list,
        also=("override",),
    )


def _slug(text: str) -> str:
    plain = "".join(char if char.isalnum() and char.isascii() else "-" for char in text.strip().lower())
    return "-".join(part for part in plain.split("-") if part)[:40].rstrip("-")


@dataclass
class FleetSection(Section):
    """A whole fleet file."""

    fleet: str = entry(
        Text(
            "a short name of small letters, digits and hyphens",
            r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$",
            _slug,
        ),
        "The fleet's name; the run's folder is called after it.",
        default="",
        required=True,
        also=("name", "title"),
    )
    target: TargetSection | None = entry(
        TargetField(),
        "Where the buoys publish: `local`, `aws`, `broker`, `mqtt://HOST:PORT`, or a mapping.",
        shown="`local`",
        also=("host", "server", "cloud"),
    )
    topic_prefix: str = entry(
        # `$` begins the broker's own topics; IoT Core allows 7 slashes, and `/<id>/data/` takes three.
        Text(
            "topic levels such as `aws/0` (at most 5; no `+`, `#`, space, leading `$` or slash at an end)",
            r"^[^$/+#\s\x00-\x1f][^/+#\s\x00-\x1f]{0,60}(?:/[^/+#\s\x00-\x1f]{1,60}){0,4}$",
            lambda text: text.strip().strip("/").removeprefix("$"),
        ),
        "Topics are `<prefix>/<id>/data/`.",
        default=DEFAULT_PREFIX,
        shown=f"`{DEFAULT_PREFIX}`; with target `aws` `<name>/0`",
        also=("topic", "prefix"),
    )
    topics: str = entry(
        Word(("prefix", "basic-ingest"), "kind of topics"),
        "`basic-ingest`: data go to `$aws/rules/<rule>/<topic>`, straight to one rule that feeds all stores. "
        "That saves the price of the message, and no subscriber sees it.",
        default="prefix",
        shown="`prefix`",
    )
    run: RunSection | None = entry(Nested(RunSection), "What every board does.", required=True)
    boards: list[GroupSection] | None = entry(
        Many(Nested(GroupSection, "a mapping with `kind` and `ids`")),
        "Groups of boards that are alike.",
        required=True,
        also=("groups", "board", "buoys"),
    )
    bench: BenchSection | None = entry(
        Nested(BenchSection), "How boards are flashed and commissioned, and what they do in service."
    )
    thresholds: list[tuple[Threshold, int]] | None = entry(
        Many(ThresholdText()),
        "What must hold for the run to pass.",
        shown="nothing missing, duplicated, altered or dropped, and no board failed",
        also=("checks", "threshold", "expect"),
    )


# Where the keys of a section are written → the section, outermost first.
PLACES: dict[str, type[Section]] = {
    "": FleetSection,
    "run": RunSection,
    "bench": BenchSection,
    "boards[]": GroupSection,
    "boards[].sensors": SensorsSection,
    "boards[].sensors.<sensor>": SensorSection,
    "boards[].link": LinkSection,
    "boards[].link.backoff": BackoffSection,
    "boards[].wifi": WifiSection,
    "boards[].overrides.<ids>": OverrideSection,
    **TARGET_SECTIONS,
}
