"""What a fleet would do, in a few lines: shown by `buoy check` and at the start of `buoy run`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from buoyfleet.inventory.available import stores_of
from buoyfleet.inventory.values import decimal_text, duration_text, ids_shown
from buoyfleet.model.fleet import BoardSpec, Fleet
from buoyfleet.model.plan import BoardPlan, Plan, interval_us

_LABEL_WIDTH = 10
# More groups than fit on a screen are counted, not listed.
_MOST_GROUPS = 20


@dataclass(frozen=True, slots=True)
class Totals:
    """What a fleet would send. None: only the clock ends it, so nobody can say."""

    boards: int
    messages: int | None
    measures: int | None
    duration_s: float | None
    """From the start to the last planned message."""


def totals_of(fleet: Fleet, plan: Plan | None = None) -> Totals:
    """Count messages and measures.

    Args:
        fleet: as resolved.
        plan: its plan; without it boards are taken to start at once, which matters where a duration ends
            the run.
    """
    plans = _unspread(fleet) if plan is None else plan.boards
    messages = measures = 0
    known = True
    ends_ms: list[float] | None = []
    for board, board_plan in zip(fleet.boards, plans, strict=True):
        count = board_plan.planned()
        if count is None:
            known = False
        else:
            messages += count
            measures += count * sum(sensor.mode != "off" for sensor in board.sensors)
        if board_plan.interval_us is None:
            ends_ms = None if board_plan.end_ms is None or ends_ms is None else [*ends_ms, board_plan.end_ms]
        elif count and ends_ms is not None:
            ends_ms.append(board_plan.due_ms(count - 1))
    duration_s = None if ends_ms is None else max(ends_ms, default=0.0) / 1000
    if plan is None and duration_s is not None and fleet.run.duration_s is None:
        duration_s += fleet.run.start_spread_s
    return Totals(len(fleet.boards), messages if known else None, measures if known else None, duration_s)


def _unspread(fleet: Fleet) -> tuple[BoardPlan, ...]:
    end_ms = None if fleet.run.duration_s is None else round(fleet.run.duration_s * 1000)
    return tuple(
        BoardPlan(board.buoy_id, 0, interval_us(board.interval_ms), board.messages, end_ms)
        for board in fleet.boards
    )


def describe_fleet(fleet: Fleet, plan: Plan | None = None) -> list[str]:
    """What would run, a line each: boards, messages, pace, target, stores, thresholds."""
    totals = totals_of(fleet, plan)
    run = fleet.run
    pace = _shared(_pace(board) for board in fleet.boards)
    end = "" if totals.duration_s is None else f"about {_about(totals.duration_s)}, "
    exact = plan is not None or run.duration_s is None
    stores = ", ".join(stores_of(fleet.target))
    lines = [
        ("fleet", f"{fleet.name} ({fleet.source})"),
        ("boards", _boards(fleet)),
        ("sends", f"{_sum(totals, exact)}; QoS {run.qos}, payload {run.payload}, seed {run.seed}"),
        ("pace", f"{pace}; {end}{_starts(fleet)}"),
        ("target", f"{_target(fleet)}, topics {_topics(fleet)}"),
        ("stores", stores),
        ("requires", " · ".join(threshold.text for threshold in fleet.thresholds)),
        *(("note", note) for note in fleet.notes),
    ]
    return [f"{label:<{_LABEL_WIDTH}}{text}" for label, text in lines]


def _topics(fleet: Fleet) -> str:
    ingest = f"$aws/rules/{fleet.ingest_rule}/" if fleet.ingest_rule else ""
    return f"{ingest}{fleet.topic_prefix}/<id>/data/"


def describe_plan(fleet: Fleet, plan: Plan) -> list[str]:
    """Who sends what when: a line per group of boards that are alike."""
    alike: dict[tuple[str, ...], list[tuple[BoardSpec, BoardPlan]]] = {}
    for board, board_plan in zip(fleet.boards, plan.boards, strict=True):
        same = (board.kind, _pace(board), _sensors(board), f"link {board.link.client}")
        alike.setdefault(same, []).append((board, board_plan))
    lines = []
    for (kind, *texts), members in list(alike.items())[:_MOST_GROUPS]:
        starts = [board_plan.start_ms for _, board_plan in members]
        start = _seconds(min(starts) / 1000)
        if max(starts) > min(starts):
            start += f" to {_seconds(max(starts) / 1000)}"
        ids = ids_shown(board.buoy_id for board, _ in members)
        lines.append(f"{ids}: {kind}, {', '.join(texts)}, starting at {start}")
    if len(alike) > _MOST_GROUPS:
        lines.append(f"and {len(alike) - _MOST_GROUPS} groups more")
    return lines


def _boards(fleet: Fleet) -> str:
    kinds: dict[str, list[int]] = {}
    for board in fleet.boards:
        kinds.setdefault(board.kind, []).append(board.buoy_id)
    counts = "; ".join(f"{_grouped(len(ids))} {kind} ({ids_shown(ids)})" for kind, ids in kinds.items())
    drivers = any(sensor.mode == "hardware" for board in fleet.boards for sensor in board.sensors)
    water = f", water {fleet.run.water}" if drivers else ""
    return f"{counts}, {_shared(_sensors(board) for board in fleet.boards)}{water}"


def _sensors(board: BoardSpec) -> str:
    modes = Counter(sensor.mode for sensor in board.sensors)
    if len(modes) == 1:
        return f"sensors {next(iter(modes))}"
    return "sensors " + ", ".join(f"{count} {mode}" for mode, count in modes.items())


def _starts(fleet: Fleet) -> str:
    if all(board.interval_ms is None for board in fleet.boards):
        return "all start at once"
    return f"starts spread over {_seconds(fleet.run.start_spread_s)}"


def _pace(board: BoardSpec) -> str:
    count = "messages" if board.messages is None else f"{_grouped(board.messages)} messages"
    if board.interval_ms is None:
        return f"{count}, flat out"
    if board.interval_ms >= 1000:
        return f"{count}, one every {_seconds(board.interval_ms / 1000)}"
    return f"{count}, {decimal_text(round(1000 / board.interval_ms, 3))}/s"


def _shared(texts: Iterable[str]) -> str:
    counts = Counter(texts)
    if len(counts) == 1:
        return f"{next(iter(counts))} each"
    usual, number = counts.most_common(1)[0]
    rest = sum(counts.values()) - number
    return f"{usual} each on {_grouped(number)} boards, otherwise on {_grouped(rest)}"


def _sum(totals: Totals, exact: bool) -> str:
    if totals.messages is None or totals.measures is None:
        return "as many messages as the links take until the time is over"
    about = "" if exact else "about "
    return f"{about}{_grouped(totals.messages)} messages with {_grouped(totals.measures)} measures"


def _target(fleet: Fleet) -> str:
    target = fleet.target
    if target.kind == "local":
        return f"local: the twin at {target.attach}" if target.attach else "local: the twin on this computer"
    if target.aws is not None:
        where = target.aws.region or "the region of your AWS settings"
        account = f", account {target.aws.account}" if target.aws.account else ""
        return f"aws: pipeline {target.aws.name} in {where}{account}"
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"broker at {host}:{target.port}" + (" with TLS" if target.tls else "")


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _seconds(seconds: float) -> str:
    return duration_text(round(seconds, 3))


def _about(seconds: float) -> str:
    for unit, length_s, limit_s in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < limit_s:
            return f"{decimal_text(round(seconds / length_s, 1 if seconds < 10 * length_s else 0))} {unit}"
    return f"{decimal_text(round(seconds / 86400, 1))} d"
