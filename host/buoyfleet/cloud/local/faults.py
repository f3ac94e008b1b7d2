"""Rehearsed faults: what happens to chosen messages on entering a stage.

A fault is silent: it leaves no outcome, so that only the verdict can find it. What it causes further on (a
retyped measure that Timestream refuses, say) is ordinary behaviour and is noted as such.

    lost        the message is gone; with `measures`, only those
    duplicated  it comes twice; with `measures`, the copy holds only those
    altered     measures take `value`; without it numbers grow by one and booleans flip
    delayed     it comes `seconds` later; with `measures`, only those do
    retyped     numbers and booleans become strings of themselves: 7.5 → "7.5"
    truncated   the second half of the payload is missing: no JSON any more

Two kinds are the broker's alone and happen before it accepts the message, so that resends meet them too:

    unanswered  neither taken nor acknowledged, as on a link that carries nothing
    taken-over  the same, because another client connects under the board's client id at that moment
"""

import json
from typing import Any

from buoyfleet.model.fleet import FaultSpec
from buoyfleet.model.twin import FaultKind
from sensors.catalog import KEYS

ON_THE_LINK = ("unanswered", "taken-over")
Parts = list[tuple[dict[str, Any], int]]
"""What comes instead: (attributes, delay in ns)."""


class LinkFaults:
    """Faults between board and broker. Messages are counted per buoy from 0; a resend is the same message."""

    def __init__(self, specs: tuple[FaultSpec, ...]) -> None:
        self._faults = StageFaults(specs)
        self._hit: dict[tuple[int | None, bytes], FaultKind] = {}

    def hits(self, buoy: int | None, payload: bytes) -> FaultKind | None:
        """What happens to a message that arrives; None: nothing."""
        known = self._hit.get((buoy, payload))
        if known is not None:
            return known
        kinds = self._faults.kinds(buoy)
        if not kinds:
            return None
        self._hit[buoy, payload] = kinds[0]
        return kinds[0]


class StageFaults:
    """The faults of one stage. Messages are counted per buoy from 0, in order of arrival here."""

    def __init__(self, specs: tuple[FaultSpec, ...]) -> None:
        self._specs = specs
        self._seen: dict[int | None, int] = {}

    def _hits(self, buoy: int | None) -> list[FaultSpec]:
        number = self._seen.get(buoy, 0)
        self._seen[buoy] = number + 1
        return [
            spec
            for spec in self._specs
            if (not spec.buoys or buoy in spec.buoys) and (not spec.messages or number in spec.messages)
        ]

    def kinds(self, buoy: int | None) -> list[FaultKind]:
        """The kinds that hit the next message."""
        return [spec.kind for spec in self._hits(buoy)]

    def values(self, buoy: int | None, values: dict[str, Any]) -> Parts | None:
        """What comes instead of the attributes of a message; None: they come as they are."""
        hits = self._hits(buoy)
        if not hits:
            return None
        parts: Parts = [(values, 0)]
        for spec in hits:
            parts = [part for before in parts for part in _apply(spec, *before)]
        return parts

    def data(self, buoy: int | None, data: bytes) -> list[tuple[bytes, int]] | None:
        """As `values`, for a JSON object as bytes. Data that is none can only go, come twice or come late."""
        hits = self._hits(buoy)
        if not hits:
            return None
        parts = [(data, 0)]
        for spec in hits:
            parts = [part for before in parts for part in _apply_bytes(spec, *before)]
        return parts


def stage_faults(specs: tuple[FaultSpec, ...], stage: str) -> StageFaults | None:
    """The faults of a stage; None where it has none, so that it costs nothing."""
    chosen = tuple(spec for spec in specs if spec.stage == stage and spec.kind not in ON_THE_LINK)
    return StageFaults(chosen) if chosen else None


def link_faults(specs: tuple[FaultSpec, ...]) -> LinkFaults | None:
    """The faults between board and broker; None where there are none."""
    chosen = tuple(spec for spec in specs if spec.kind in ON_THE_LINK)
    return LinkFaults(chosen) if chosen else None


def _apply(spec: FaultSpec, values: dict[str, Any], delay_ns: int) -> Parts:
    chosen = [key for key in (spec.measures or KEYS) if key in values]
    later_ns = delay_ns + round(spec.seconds * 1e9)
    if spec.kind == "truncated":  # values have no half; a result that is gone is the nearest
        return []
    if spec.kind in ("altered", "retyped"):
        change = _retyped if spec.kind == "retyped" else _altered
        return [({**values, **{key: change(values[key], spec.value) for key in chosen}}, delay_ns)]
    if not spec.measures:
        whole = {"lost": [], "duplicated": [(values, delay_ns)] * 2, "delayed": [(values, later_ns)]}
        return whole[spec.kind]
    rest = {key: value for key, value in values.items() if key not in chosen}
    only = {key: value for key, value in values.items() if key not in KEYS or key in chosen}
    split: dict[str, Parts] = {
        "lost": [(rest, delay_ns)],
        "duplicated": [(values, delay_ns), (only, delay_ns)],
        "delayed": [(rest, delay_ns), (only, later_ns)],
    }
    return split[spec.kind]


def _apply_bytes(spec: FaultSpec, data: bytes, delay_ns: int) -> list[tuple[bytes, int]]:
    if spec.kind == "truncated":
        return [(data[: len(data) // 2], delay_ns)]
    whole = not spec.measures and spec.kind in ("lost", "duplicated", "delayed")
    values = None
    if not whole:
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            values = None
    if not isinstance(values, dict):
        if not whole:
            return [(data, delay_ns)]
        return [(data, later_ns) for _, later_ns in _apply(spec, {}, delay_ns)]
    return [
        (json.dumps(part, separators=(",", ":"), ensure_ascii=False).encode(), part_ns)
        for part, part_ns in _apply(spec, values, delay_ns)
    ]


def _altered(value: Any, wanted: float | None) -> Any:
    if type(value) is bool:
        return not value if wanted is None else bool(wanted)
    if type(value) is str:
        return value + "?" if wanted is None else str(wanted)
    if type(value) is int:
        return value + 1 if wanted is None else int(wanted)
    return value + 1.0 if wanted is None else float(wanted)


def _retyped(value: Any, _wanted: float | None) -> Any:
    return value if type(value) is str else json.dumps(value)
