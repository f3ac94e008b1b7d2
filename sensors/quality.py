"""Quality flags as bits of a small integer; their texts (sensors.flags) load only when one is to be told."""

OK = 0
MISSING = 1
RANGE = 2
SATURATED = 4
SATURATED_LOW = 8
CRC = 16
STALE = 32
UNCAL = 64
UNCOMP = 128
WARMING = 256
PARSE = 512
CONTRADICTORY = 1024

# Flags whose reading is not published.
WITHHOLDING = MISSING | RANGE | SATURATED | SATURATED_LOW | CRC | WARMING | PARSE


def publishable(flags: int) -> bool:
    """Whether a reading with these flags belongs in a data message."""
    return not flags & WITHHOLDING
