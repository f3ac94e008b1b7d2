"""What a run would use and cost, and which quota it would meet first at which fleet size."""

import math
from dataclasses import dataclass, replace

from buoyfleet.cloud.aws.pipeline import Settings
from buoyfleet.cloud.aws.prices import PriceTable
from buoyfleet.cloud.aws.quotas import (
    CONNECTIONS,
    CONNECTS_PER_S,
    LAMBDA_CONCURRENCY,
    PUBLISHES_IN_PER_S,
    PUBLISHES_OUT_PER_S,
    RULE_EVALUATIONS_PER_S,
    Quota,
    Quotas,
)
from buoyfleet.cloud.aws.stages import SHARD_RECORDS_PER_S
from buoyfleet.model.fleet import Fleet
from buoyfleet.model.plan import Plan
from buoyfleet.mqtt.witness import MESSAGES_PER_CONNECTION

CONNECTION_RATE = 100.0
"""Publishes per second of a connection (IoT Core quotas, not adjustable)."""
PAYLOAD_BYTES = 210
"""A stamped payload of nine measures with its topic; the counter pattern's are 150 to 190 bytes."""
SHARD_BYTES_PER_S = 1_000_000
RULES = 2
"""Rules that every message matches: one to Timestream, one to Kinesis. With Basic Ingest it is one."""
ACTIONS = 2
_METERED_KB = 5
MEMORY_STORE_H = 24
_RECORD_BYTES = 100
"""Of one measure in Timestream: dimension, names, value, time."""
_LOOKS = 40
"""Listings of the bucket that following and verifying a run takes, about."""
_METRICS = 60 * 6
_TCUS = 4
"""What a query takes at least; looks follow each other so closely that they add up to one long query."""
_VERIFY_S = 300.0
"""How long verifying looks at Timestream, about."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run uses, at its planned pace."""

    boards: int
    messages: int
    measures: int
    duration_s: float
    """From the first to the last message."""
    publishes_per_s: float
    """Of all boards together."""
    busiest_board_per_s: float
    bounded: bool
    """False where only a connection's rate bounds how much a board sends."""
    basic_ingest: bool = False
    """Messages go to one rule, are not metered as such, and no subscriber gets them."""

    @property
    def rules(self) -> int:
        """How many rules run for each message."""
        return 1 if self.basic_ingest else RULES


def usage_of(fleet: Fleet, plan: Plan) -> Usage:
    """Add up a plan."""
    messages, measures, duration_s, rate, busiest, bounded = 0, 0, 0.0, 0.0, 0.0, True
    for board, board_plan in zip(fleet.boards, plan.boards, strict=True):
        pace = CONNECTION_RATE if board_plan.interval_us is None else 1e6 / board_plan.interval_us
        pace = min(pace, CONNECTION_RATE)
        planned = board_plan.planned()
        if planned is None:
            bounded = False
            planned = math.ceil(((board_plan.end_ms or 0) - board_plan.start_ms) / 1000 * pace)
        messages += planned
        measures += planned * sum(sensor.mode != "off" for sensor in board.sensors)
        duration_s = max(duration_s, board_plan.start_ms / 1000 + planned / pace)
        rate += pace
        busiest = max(busiest, pace)
    ingest = bool(fleet.ingest_rule)
    return Usage(len(plan.boards), messages, measures, duration_s, rate, busiest, bounded, ingest)


@dataclass(frozen=True, slots=True)
class CostLine:
    """One item of the bill."""

    what: str
    units: float
    usd: float


def cost_of(usage: Usage, settings: Settings, prices: PriceTable, region: str) -> list[CostLine]:
    """The bill of a run, largest item first; list prices times the region's margin."""
    margin = prices.margin(region)
    metered = math.ceil(PAYLOAD_BYTES / (_METERED_KB * 1024)) * usage.messages
    minutes = usage.boards * (math.ceil(usage.duration_s / 60) + 1)
    batches = max(1.0, usage.messages * PAYLOAD_BYTES / 1e6, usage.duration_s / 60)
    memory_gb = (settings.lambda_memory_mb or 128) / 1024
    function_s = min(settings.lambda_timeout_s or 3.0, 1.0 + usage.messages / batches * 0.001)
    stored_gb = usage.measures * _RECORD_BYTES / 1e9
    units = {
        "iot_connection_minute": minutes,
        # In, and out to the witness; CONNECT is metered too. Basic Ingest has no charge for messages.
        "iot_message": (0 if usage.basic_ingest else metered * 2) + usage.boards,
        "iot_rule": metered * usage.rules,
        "iot_action": metered * ACTIONS,
        "kinesis_put": usage.messages,
        "firehose_gb": usage.messages * _METERED_KB * 1024 / 1e9,
        "lambda_request": batches,
        "lambda_gb_second": batches * function_s * memory_gb,
        "s3_put": batches + _LOOKS,
        "s3_get": batches,
        "timestream_write": usage.messages * math.ceil(usage.measures / max(1, usage.messages) * 0.1),
        "timestream_memory_gb_hour": stored_gb * MEMORY_STORE_H,
        "timestream_query_tcu_hour": _TCUS * (usage.duration_s + _VERIFY_S) / 3600,
        "cloudwatch_metric": _METRICS,
    }
    lines = [
        CostLine(prices.prices[name].what, number, prices.usd(name, number) * margin)
        for name, number in units.items()
    ]
    return sorted(lines, key=lambda line: -line.usd)


@dataclass(frozen=True, slots=True)
class LimitLine:
    """One limit against what the run needs of it."""

    name: str
    needed: float
    limit: float
    source: str
    """`default`, `Service Quotas`, `stream`, …"""
    boards_at_limit: int | None
    """Fleet size, at this pace per board, that reaches it; None: more boards do not matter."""

    @property
    def exceeded(self) -> bool:
        """Whether the run is beyond it."""
        return self.needed > self.limit


def limits_of(usage: Usage, quotas: Quotas, settings: Settings) -> list[LimitLine]:
    """Every limit that a run can meet, the one that the fleet would meet first in front."""
    rate = usage.publishes_per_s
    shards = settings.shards or 1
    shard_source = "the stream's shards" if settings.shards else "one shard"
    batches = max(1.0, usage.messages * PAYLOAD_BYTES / 1e6)
    # Boards connect before the start, as fast as the account allows.
    connects = min(float(usage.boards), quotas.value(CONNECTS_PER_S))

    def grows(name: str, needed: float, limit: float, source: str) -> LimitLine:
        per_board = needed / max(1, usage.boards)
        return LimitLine(name, needed, limit, source, math.floor(limit / per_board) if per_board else None)

    def asked(name: str, needed: float, quota: Quota) -> LimitLine:
        return grows(name, needed, quotas.value(quota), quotas.source(quota))

    lines = [
        LimitLine(
            "publishes/s of one connection",
            usage.busiest_board_per_s,
            CONNECTION_RATE,
            "IoT Core, not adjustable",
            None,
        ),
        asked("connections", usage.boards, CONNECTIONS),
        LimitLine(
            "connects/s (more have to wait)",
            connects,
            quotas.value(CONNECTS_PER_S),
            quotas.source(CONNECTS_PER_S),
            None,
        ),
        asked("publishes/s of the account", rate, PUBLISHES_IN_PER_S),
        # A rule match counts as outbound, and so does what the witness gets.
        asked(
            "outbound publishes/s of the account",
            rate * (usage.rules + (not usage.basic_ingest)),
            PUBLISHES_OUT_PER_S,
        ),
        asked("rule evaluations/s", rate * usage.rules, RULE_EVALUATIONS_PER_S),
        grows("Kinesis records/s", rate, SHARD_RECORDS_PER_S * shards, shard_source),
        grows("Kinesis bytes/s", rate * PAYLOAD_BYTES, SHARD_BYTES_PER_S * shards, shard_source),
        # Firehose calls the function once at a time for each shard.
        asked("concurrent Lambda executions", min(shards, batches), LAMBDA_CONCURRENCY),
    ]
    lines.sort(key=lambda line: line.needed / line.limit, reverse=True)
    return lines


def saved_by_ingest(usage: Usage, settings: Settings, prices: PriceTable, region: str) -> float:
    """US dollars that Basic Ingest takes off the bill of this run."""
    bills = (
        sum(line.usd for line in cost_of(replace(usage, basic_ingest=ingest), settings, prices, region))
        for ingest in (False, True)
    )
    without, with_it = bills
    return without - with_it


def witness_connections(usage: Usage) -> int:
    """How many connections the witness needs at this pace, at least."""
    if usage.basic_ingest:
        return 1
    return math.ceil(usage.publishes_per_s / MESSAGES_PER_CONNECTION)
