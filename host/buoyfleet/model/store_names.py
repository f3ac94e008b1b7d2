"""Names of stores, apart from their schema: pyarrow is dear to import."""

SUBSCRIBER = "subscriber"
"""What an independent subscriber saw: the only store behind a plain broker."""
