"""Evidence: what the stages between a board and a store can tell.

Two grains. `StageCount` exists for every target (counters, metrics, log lines). The trace (which message was
seen where) exists where the target can give it, as the twin can: Parquet files in the run's `evidence/`.
"""

import pyarrow as pa

from buoyfleet.model.stage_count import EVIDENCE_FOLDER, STAGES, StageCount

__all__ = [
    "EVIDENCE_FOLDER",
    "LINKS",
    "LINKS_SCHEMA",
    "NOTED",
    "NOTED_SCHEMA",
    "OUTCOMES",
    "OUTCOMES_SCHEMA",
    "RECEIVED",
    "RECEIVED_SCHEMA",
    "REFUSED",
    "REFUSED_SCHEMA",
    "STAGES",
    "TRACE",
    "TRACE_SCHEMA",
    "WITNESS",
    "WITNESS_SCHEMA",
    "WITNESS_STREAM",
    "StageCount",
]

RECEIVED = "received.parquet"
TRACE = "trace.parquet"
OUTCOMES = "outcomes.parquet"
WITNESS = "witness.parquet"
WITNESS_STREAM = "witness.arrows"
"""What the subscriber sees, as it comes; compacted to `WITNESS`."""
REFUSED = "refused.parquet"
LINKS = "links.parquet"
NOTED = "noted.parquet"

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
        pa.field("outcome", pa.string(), nullable=False),  # rejected, failed, merged, waiting
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

# What befell connections, apart from messages: refused, throttled, taken over, dropped.
LINKS_SCHEMA = pa.schema(
    [
        pa.field("client", pa.string(), nullable=False),  # MQTT client id, a board's thing name
        pa.field("reason", pa.string(), nullable=False),  # a short name, e.g. `duplicate-client-id`
        pa.field("detail", pa.string(), nullable=False),  # a sentence with figures
        pa.field("at_ns", pa.int64(), nullable=False),
    ]
)

# What a stage said of a message that it knows by content alone, where there is no trace: the documents of
# `processing-failed/` and of a rule's error action, say.
NOTED_SCHEMA = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("buoy", pa.int32(), nullable=False),
        pa.field("timestamp_ms", pa.int64()),  # null: the message has none
        pa.field("payload", pa.binary(), nullable=False),  # as the stage had it
        pa.field("reason", pa.string(), nullable=False),  # a short name, e.g. `timeout`
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
