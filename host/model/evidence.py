"""Evidence: what the stages between a board and a store can tell.

Two grains. `StageCount` exists for every target (counters, metrics, log lines). The trace (which message was
seen where) exists where the target can give it, as the twin can: Parquet files in the run's `evidence/`.
"""

from dataclasses import dataclass, field

import pyarrow as pa

EVIDENCE_FOLDER = "evidence"
RECEIVED = "received.parquet"
TRACE = "trace.parquet"
OUTCOMES = "outcomes.parquet"
STAGES = "stages.json"
WITNESS = "witness.parquet"
REFUSED = "refused.parquet"

# Every message a target accepted from a board, numbered in order of arrival.
RECEIVED_SCHEMA = pa.schema(
    [
        pa.field("message", pa.int64(), nullable=False),
        pa.field("buoy", pa.int32()),  # from the topic; null: topic of no buoy
        pa.field("topic", pa.string(), nullable=False),
        pa.field("payload", pa.binary(), nullable=False),
        pa.field("at_ns", pa.int64(), nullable=False),  # UTC
        pa.field("dup", pa.bool_(), nullable=False),  # MQTT's DUP flag
    ]
)

# Which stages a message entered.
TRACE_SCHEMA = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("message", pa.int64(), nullable=False),
        pa.field("at_ns", pa.int64(), nullable=False),
    ]
)

# What a stage did other than pass a message on.
OUTCOMES_SCHEMA = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("message", pa.int64(), nullable=False),
        pa.field("measure", pa.string()),  # null: the whole message
        pa.field("outcome", pa.string(), nullable=False),  # rejected, failed, waiting
        pa.field("reason", pa.string(), nullable=False),  # a short name, e.g. `type-conflict`
        pa.field("detail", pa.string(), nullable=False),  # a sentence with figures
        pa.field("at_ns", pa.int64(), nullable=False),
    ]
)

# Messages a target did not accept, so that they have no number.
REFUSED_SCHEMA = pa.schema(
    [
        pa.field("buoy", pa.int32()),  # from the topic; null: topic of no buoy
        pa.field("client", pa.string(), nullable=False),  # MQTT client id
        pa.field("topic", pa.string(), nullable=False),
        pa.field("payload", pa.binary(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),  # a short name, e.g. `payload-too-large`
        pa.field("detail", pa.string(), nullable=False),  # a sentence with figures
        pa.field("at_ns", pa.int64(), nullable=False),
    ]
)

# What the witness (an independent subscriber) saw.
WITNESS_SCHEMA = pa.schema(
    [
        pa.field("buoy", pa.int32(), nullable=False),
        pa.field("payload", pa.binary(), nullable=False),
        pa.field("at_ns", pa.int64(), nullable=False),
    ]
)


@dataclass(slots=True)
class StageCount:
    """What went in and out of one stage during a run."""

    name: str
    """broker, rules, timestream, kinesis, firehose, lambda, s3."""
    unit: str
    """What is counted: messages, records, measures or batches."""
    entered: int = 0
    left: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """By reason."""
    waiting: int = 0
    """Still in a buffer of the stage."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Under the CloudWatch names, e.g. `AWS/IoT PublishIn.Success`."""
    simulated_s: float = 0.0
    """Time by the stage's own clock, where the run hurried it."""
    wall_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    """Log lines worth quoting."""
