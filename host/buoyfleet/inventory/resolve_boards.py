"""From groups to boards: ids, pace, sensors and links of every single one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from buoyfleet.inventory.cables import Cables
from buoyfleet.inventory.fields import IdPiece
from buoyfleet.inventory.format import (
    MOST_BOARDS,
    FleetSection,
    GroupSection,
    Override,
    OverrideSection,
    PaceSection,
)
from buoyfleet.inventory.link_format import LinkSection
from buoyfleet.inventory.overrides import Changes
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.values import ids_shown
from buoyfleet.model.fleet import BoardSpec, LinkSpec, SensorSpec
from sensors.catalog import BOOLEAN_KEYS, KEYS

_COUNTERS = tuple(SensorSpec(key, "counter", 0.0, False if key in BOOLEAN_KEYS else 0.0) for key in KEYS)
# IoT Core takes one CONNECT per second and client id (IoT Core quotas); a tenth for the way there.
_AWS_RECONNECT_S = 1.1
_HOW_FAST = "write e.g. `rate: 10/s`, `interval: 1 s` or `rate: flat-out`"
_HOW_LONG = "write e.g. `messages: 100` or `duration: 1 min`"


@dataclass(slots=True)
class _Pace:
    """Messages and interval as far as they are known; `said` are the keys that exist, right or wrong."""

    messages: int | None = None
    interval_ms: float | None = None
    has_messages: bool = False
    has_interval: bool = False

    def under(self, section: PaceSection) -> "_Pace":
        """What a section nearer to the board makes of it."""
        pace = replace(self)
        if section.has("messages"):
            pace.messages, pace.has_messages = section.messages, True
        if section.has("interval") or section.has("rate"):
            pace.interval_ms = section.rate if section.interval is None else section.interval
            pace.has_interval = True
        return pace

    def changed(self, changes: Changes) -> "_Pace":
        """What the command line makes of it."""
        pace = replace(self)
        if changes.says("messages"):
            pace.messages, pace.has_messages = changes.messages, True
        if changes.says("interval_ms"):
            pace.interval_ms, pace.has_interval = changes.interval_ms, True
        return pace


def group_ids(group: GroupSection, report: Reporter, owners: dict[int, int]) -> list[int]:
    """The ids of a group, sorted. `owners` (id → line) grows by them; an id that has one already is reported.

    Too many ids are reported and not made.
    """
    pieces = group.ids or []
    path = group.under("ids")
    if sum(piece.last - piece.first + 1 for piece in pieces) + len(owners) > MOST_BOARDS:
        message = f"these are more than {MOST_BOARDS} boards, the most a fleet can have"
        report.add(group.line("ids"), path, message)
        return []
    ids: list[int] = []
    for piece in pieces:
        twice: dict[int, list[int]] = {}
        for number in range(piece.first, piece.last + 1):
            if number in owners:
                twice.setdefault(owners[number], []).append(number)
            else:
                owners[number] = piece.line
                ids.append(number)
        for line, numbers in twice.items():
            where = "earlier on this line" if line == piece.line else f"on line {line}"
            verb = "stand" if len(numbers) > 1 else "stands"
            report.add(
                piece.line, path, f"{ids_shown(numbers)} {verb} here and {where}; an id belongs to one board"
            )
    return sorted(ids)


def members(pieces: Iterable[IdPiece], ids: set[int]) -> tuple[list[int], list[IdPiece]]:
    """The ids that pieces select, and the pieces that select some that do not exist."""
    found: list[int] = []
    strange: list[IdPiece] = []
    for piece in pieces:
        wanted = piece.last - piece.first + 1
        here = (
            [number for number in range(piece.first, piece.last + 1) if number in ids]
            if wanted <= len(ids)
            else sorted(number for number in ids if piece.first <= number <= piece.last)
        )
        if len(here) < wanted:
            strange.append(piece)
        found += here
    return found, strange


def piece_text(piece: IdPiece) -> str:
    """A piece as written."""
    return str(piece.first) if piece.first == piece.last else f"{piece.first}-{piece.last}"


def link_spec(section: LinkSection | None, below: LinkSpec, report: Reporter) -> LinkSpec:
    """What a section makes of the link below it."""
    if section is None:
        return below
    spec = replace(below, **section.model_values(Path()))
    if section.backoff is not None and spec.backoff_min_s > spec.backoff_max_s:
        message = f"`min` ({spec.backoff_min_s:g} s) is longer than `max` ({spec.backoff_max_s:g} s)"
        report.add(section.line("backoff"), section.under("backoff"), message, "exchange them")
    return spec


def check_pace(section: PaceSection, report: Reporter) -> None:
    """Both ways to say how fast are one too many."""
    if section.has("interval") and section.has("rate"):
        first, second = sorted(("interval", "rate"), key=section.line)
        message = f"`{first}` is set on line {section.line(first)}; only one of the two can set the pace"
        report.add(section.line(second), section.under(second), message, f"leave `{second}` or `{first}` out")


class BoardMaker:
    """Makes the boards of all groups."""

    def __init__(
        self, document: FleetSection, changes: Changes, report: Reporter, aws_name: str = ""
    ) -> None:
        """`aws_name` is the pipeline's where the target is one: things are called after it by default."""
        self._aws_name = aws_name
        self._document = document
        self._changes = changes
        self._report = report
        self._no_interval: list[int] = []
        self._no_messages: list[int] = []
        self._names: dict[str, int] = {}
        self._cables = Cables(report)
        run = document.run
        self._timed = changes.says("duration_s") or (run is not None and run.has("duration"))

    def boards(self) -> tuple[BoardSpec, ...]:
        """All boards, by id."""
        run = self._document.run
        pace = _Pace()
        if run is not None:
            check_pace(run, self._report)
            pace = pace.under(run)
        owners: dict[int, int] = {}
        made: list[BoardSpec] = []
        for group in self._document.boards or []:
            made += self._group(group, group_ids(group, self._report, owners), pace)
        self._report_gaps()
        return tuple(sorted(made, key=lambda board: board.buoy_id))

    def _group(self, group: GroupSection, ids: list[int], pace: _Pace) -> list[BoardSpec]:
        check_pace(group, self._report)
        pace = pace.under(group)
        link = link_spec(group.link, LinkSpec(), self._report)
        sensors = _COUNTERS if group.sensors is None else group.sensors.over(_COUNTERS)
        self._check_sensors(sensors, group.line("sensors"), group.under("sensors"))
        special = self._overrides(group, set(ids))
        # What an override makes of the group is the same for all its boards.
        usual = (pace, link, sensors)
        made = {id(one): self._overridden(one.section, *usual) for one in group.overrides}
        boards = [
            self._board(group, number, *(made[id(special[number])] if number in special else usual))
            for number in ids
        ]
        self._cables.check(group, boards, special)
        return [self._cables.plugged(group, board, special.get(board.buoy_id)) for board in boards]

    def _overridden(
        self, section: OverrideSection, pace: _Pace, link: LinkSpec, sensors: tuple[SensorSpec, ...]
    ) -> tuple[_Pace, LinkSpec, tuple[SensorSpec, ...]]:
        check_pace(section, self._report)
        if section.sensors is not None:
            sensors = section.sensors.over(sensors)
            self._check_sensors(sensors, section.line("sensors"), section.under("sensors"))
        return pace.under(section), link_spec(section.link, link, self._report), sensors

    def _board(
        self, group: GroupSection, number: int, pace: _Pace, link: LinkSpec, sensors: tuple[SensorSpec, ...]
    ) -> BoardSpec:
        pace = pace.changed(self._changes)
        if not pace.has_interval:
            self._no_interval.append(number)
        if not pace.has_messages and not self._timed:
            self._no_messages.append(number)
        template = group.thing_name
        if self._aws_name:
            if not group.has("thing_name"):
                template = f"{self._aws_name}-{{id}}"
            link = replace(
                link,
                backoff_min_s=max(link.backoff_min_s, _AWS_RECONNECT_S),
                backoff_max_s=max(link.backoff_max_s, _AWS_RECONNECT_S),
            )
        name = template.replace("{id}", str(number))
        other = self._names.setdefault(name, number)
        if other != number:
            message = (
                f"boards {other} and {number} would both be called '{name}'; the broker would know only one"
            )
            self._report.add(group.line("thing_name"), group.under("thing_name"), message)
        return BoardSpec(
            buoy_id=number,
            kind=group.kind or "virtual",
            thing_name=name,
            sensors=sensors,
            link=link,
            messages=pace.messages,
            interval_ms=pace.interval_ms or None,
        )

    def _overrides(self, group: GroupSection, ids: set[int]) -> dict[int, Override]:
        special: dict[int, Override] = {}
        for override in group.overrides:
            found, strange = members(override.pieces, ids)
            if ids:
                for piece in strange:
                    message = f"{piece_text(piece)} is not among this group's boards ({ids_shown(ids)})"
                    self._report.add(override.line, override.path, message)
            for number in found:
                first = special.setdefault(number, override)
                if first is not override:
                    message = f"{number} is overridden on line {first.line} already"
                    self._report.add(override.line, override.path, message, "put both into one entry")
        return special

    def _check_sensors(self, sensors: tuple[SensorSpec, ...], line: int, path: str) -> None:
        if all(sensor.mode == "off" for sensor in sensors):
            self._report.add(line, path, "every sensor is off, so there is nothing to send", "leave one on")

    def _report_gaps(self) -> None:
        run = self._document.run
        line, path = self._document.line("run"), "run"
        if run is None and self._document.has("run"):
            return  # it is there and no mapping: that has been said
        if self._no_interval:
            boards = f"boards {ids_shown(self._no_interval)} have neither `interval` nor `rate`"
            self._report.add(line, path, boards, _HOW_FAST)
        if self._no_messages:
            boards = f"boards {ids_shown(self._no_messages)} have neither `messages` nor a `duration`"
            self._report.add(line, path, boards, _HOW_LONG)
