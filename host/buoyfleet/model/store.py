"""Measures as found in a store, one row each, in the same columns for every store and every target.

A target's `collect()` writes Parquet files of this schema to `stores/<store>/*.parquet` in the run's folder.
"""

import pyarrow as pa

STORE_FOLDER = "stores"

SCHEMA = pa.schema(
    [
        pa.field("buoy", pa.int32(), nullable=False),
        pa.field("timestamp_ms", pa.int64()),  # identity of a stamped message; null where the store has none
        pa.field("measure", pa.string(), nullable=False),  # one of sensors.catalog.KEYS, or a foreign name
        pa.field("type", pa.string(), nullable=False),  # DOUBLE, BIGINT, BOOLEAN or VARCHAR
        pa.field("value", pa.float64()),  # numbers, and booleans as 0 and 1; null for VARCHAR
        pa.field("text", pa.string()),  # VARCHAR only
        pa.field("visible_ns", pa.int64(), nullable=False),  # UTC from which a reader of the store sees it
        pa.field("message", pa.int64()),  # the target's own number of the message (trace); null: unknown
    ]
)
