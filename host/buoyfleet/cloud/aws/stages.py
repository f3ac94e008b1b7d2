"""From metrics, logs and failed records to the counters of the stages, in the form of every target."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from buoyfleet.cloud.aws.failures import Noted
from buoyfleet.cloud.aws.logs import LogLines
from buoyfleet.cloud.aws.metrics import PERIOD_S, Reading
from buoyfleet.cloud.aws.pipeline import DEFAULT_BUFFER_S
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.stage_count import StageCount

SHARD_RECORDS_PER_S = 1000
"""Kinesis Data Streams quotas, per shard."""


@dataclass(slots=True)
class Facts:
    """What was found out about a run."""

    metrics: Reading
    log: LogLines
    noted: list[Noted]
    series_store: str
    """`timestream` or `influxdb`."""
    series_rows: int
    s3_documents: int
    s3_objects: int
    shards: int | None = None
    """None: not known."""
    buffered_s: float = DEFAULT_BUFFER_S
    """Longest stay in Firehose's buffers."""
    lambda_timeout_s: float | None = None
    lambda_memory_mb: int | None = None
    broker_notes: list[str] = field(default_factory=list)
    """About connections."""


def stage_counts(spec: AwsSpec, facts: Facts) -> list[StageCount]:
    """All stages in the order of the way."""
    return [
        _broker(facts),
        _rules(spec, facts),
        _series(facts),
        _kinesis(facts),
        _firehose(facts),
        _lambda(facts),
        _s3(spec, facts),
    ]


def _metrics(facts: Facts, namespace: str, *, but: tuple[str, ...] = ()) -> dict[str, float]:
    return {
        label: value
        for label, value in facts.metrics.values.items()
        if label.startswith(f"{namespace} ") and not label.removeprefix(f"{namespace} ").startswith(but)
    }


def _positive(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    return {reason: number for reason, number in counts if number > 0}


_BROKER_METRICS = ("Connect.", "PublishIn.")


def _broker(facts: Facts) -> StageCount:
    get = facts.metrics.get
    rejected = _positive(
        (
            ("publish-rate", get("AWS/IoT PublishIn.Throttle")),
            ("not-authorised", get("AWS/IoT PublishIn.AuthError")),
            ("malformed", get("AWS/IoT PublishIn.ClientError")),
            ("server-error", get("AWS/IoT PublishIn.ServerError")),
        )
    )
    left = get("AWS/IoT PublishIn.Success")
    notes = list(facts.broker_notes)
    throttled = get("AWS/IoT Connect.ClientIDThrottle")
    if throttled:
        notes.append(f"{throttled} connects refused: a client id may connect once a second")
    if get("AWS/IoT Connect.Throttle"):
        notes.append(f"{get('AWS/IoT Connect.Throttle')} connects refused by the account's rate")
    if get("AWS/IoT Connect.AuthError"):
        notes.append(f"{get('AWS/IoT Connect.AuthError')} connects refused by certificate or policy")
    if left:
        notes.append("CloudWatch counts all clients of the account, in whole minutes")
    metrics = {
        label: value
        for label, value in facts.metrics.values.items()
        if label.removeprefix("AWS/IoT ").startswith(_BROKER_METRICS)
    }
    return StageCount(
        "broker", "messages", left + sum(rejected.values()), left, rejected, metrics=metrics, notes=notes
    )


def _rules(spec: AwsSpec, facts: Facts) -> StageCount:
    get = facts.metrics.get
    rules = spec.rules

    def most(name: str) -> int:
        return max(get(f"AWS/IoT {name} {{RuleName={rule}}}") for rule in rules)

    rejected = _positive(
        (("malformed-payload", most("ParseError")), ("rule-throttled", most("RuleMessageThrottled")))
    )
    matched = most("TopicMatch")
    notes = [
        f"rule {rule}: {failed} actions failed"
        for rule in rules
        if (failed := get(f"AWS/IoT Failure {{RuleName={rule}}}"))
    ]
    errors = Counter(one.reason for one in facts.noted if one.stage == "rules")
    rejected.update(errors)
    return StageCount(
        "rules",
        "messages",
        matched,
        max(0, matched - sum(rejected.values())),
        rejected,
        metrics=_metrics(facts, "AWS/IoT", but=_BROKER_METRICS),
        notes=notes,
    )


def _refusals(facts: Facts, stage: str) -> dict[str, int]:
    return dict(Counter(one.reason for one in facts.noted if one.stage == stage))


def _series(facts: Facts) -> StageCount:
    store = facts.series_store
    rejected = _refusals(facts, store)
    errors = facts.metrics.get("AWS/Timestream UserErrors")
    if errors and not rejected:
        rejected = {"refused": errors}
    notes = [one.detail for one in facts.noted if one.stage == store][:1]
    return StageCount(
        store,
        "measures",
        facts.series_rows + sum(rejected.values()),
        facts.series_rows,
        rejected,
        metrics=_metrics(facts, "AWS/Timestream"),
        notes=notes,
    )


def _kinesis(facts: Facts) -> StageCount:
    get = facts.metrics.get
    label = "AWS/Kinesis IncomingRecords"
    left = get(label)
    refused = get("AWS/Kinesis WriteProvisionedThroughputExceeded")
    notes = []
    busiest = facts.metrics.busiest.get(label, 0.0)
    if busiest and facts.shards:
        share = busiest / PERIOD_S / (SHARD_RECORDS_PER_S * facts.shards)
        notes.append(
            f"busiest minute: {busiest:.0f} records, {share:.1%} of what {facts.shards} "
            f"{'shards take' if facts.shards != 1 else 'shard takes'}"
        )
    return StageCount(
        "kinesis",
        "records",
        left + refused,
        left,
        _positive((("records-per-second", refused),)),
        metrics=_metrics(facts, "AWS/Kinesis"),
        notes=notes,
    )


def _firehose(facts: Facts) -> StageCount:
    get = facts.metrics.get
    entered = get("AWS/Firehose DataReadFromKinesisStream.Records")
    delivered = max(get("AWS/Firehose DeliveryToS3.Records"), facts.s3_documents)
    failed = sum(one.stage == "lambda" for one in facts.noted)
    throttled = get("AWS/Firehose ThrottledGetRecords")
    waiting = max(0, entered - delivered - failed)
    notes = [f"it holds data back for up to {facts.buffered_s:g} s"] if waiting else []
    if throttled:
        notes.append(f"{throttled} reads of the stream were throttled")
    return StageCount(
        "firehose",
        "records",
        entered,
        delivered,
        waiting=waiting,
        metrics=_metrics(facts, "AWS/Firehose"),
        notes=notes,
    )


def _lambda(facts: Facts) -> StageCount:
    rejected = _refusals(facts, "lambda")
    left = facts.metrics.get("AWS/Firehose SucceedProcessing.Records") or facts.s3_documents
    notes = list(facts.log.quotes.values())
    if facts.lambda_timeout_s is not None and facts.lambda_memory_mb is not None:
        notes.append(f"timeout {facts.lambda_timeout_s:g} s, memory {facts.lambda_memory_mb} MB")
    for reason, number in facts.log.counts.items():
        notes.append(f"{number} log lines of {reason}")
    if facts.log.problem:
        notes.append(facts.log.problem)
    return StageCount(
        "lambda",
        "records",
        left + sum(rejected.values()),
        left,
        rejected,
        metrics=_metrics(facts, "AWS/Lambda"),
        notes=notes,
    )


def _s3(spec: AwsSpec, facts: Facts) -> StageCount:
    failed = sum(one.stage == "lambda" for one in facts.noted)
    return StageCount(
        "s3",
        "records",
        facts.s3_documents,
        facts.s3_documents,
        metrics={"objects": facts.s3_objects},
        notes=[f"{failed} records under {spec.failed_prefix}"] if failed else [],
    )
