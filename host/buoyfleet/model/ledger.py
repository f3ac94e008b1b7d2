"""The ledger: what every board sent. Event rows in Arrow IPC streams, compacted to one Parquet file.

During a run every pack (or board on a cable) appends to its own `ledger/<name>.arrows`. A `sent` row is in
the file before its bytes leave the machine, so that a crash can lose an acknowledgement but never a send.
At the end all streams are compacted to `ledger.parquet` with the same columns.
"""

from enum import IntEnum

import pyarrow as pa

STREAM_SUFFIX = ".arrows"
STREAM_FOLDER = "ledger"
COMPACTED = "ledger.parquet"


class Event(IntEnum):
    """Kinds of rows."""

    PLANNED = 0
    """A message of the plan; `at_ns` is its planned time."""
    SENT = 1
    """An attempt; `attempt` counts from 1, `payload` is there on the first."""
    ACKNOWLEDGED = 2
    """PUBACK arrived. QoS 0 is sent and never acknowledged."""
    DROPPED = 3
    """Will not be sent; `reason` says why."""


SCHEMA = pa.schema(
    [
        pa.field("event", pa.uint8(), nullable=False),
        pa.field("buoy", pa.int32(), nullable=False),
        pa.field("seq", pa.int32(), nullable=False),  # number of the message on its board, from 0
        pa.field("attempt", pa.uint16(), nullable=False),  # from 1 on `sent` rows, else 0
        pa.field("planned_ns", pa.int64(), nullable=False),  # host UTC; for unpaced sends the time of sending
        pa.field("at_ns", pa.int64(), nullable=False),  # UTC by the board's own clock, raw
        pa.field("offset_ns", pa.int64(), nullable=False),  # add to at_ns for host UTC
        pa.field("uncertainty_ns", pa.int64(), nullable=False),  # of that offset, one-sided
        pa.field("payload", pa.binary()),  # exact bytes; JSON
        pa.field("reason", pa.string()),
    ]
)
