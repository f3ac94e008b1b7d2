"""Records of the outbox on flash, and the segments that hold them (buoy.flash_outbox).

Segments are files `<number>.out` in one folder, oldest first; each holds records:

    0xB1  number * 2 + topic  seq (4)  length (2)  payload  CRC-32 of all before (4)        big endian

`number` counts the records of a segment, modulo 128. A damaged record costs itself alone: the next one is
found by its marker and CRC wherever the damaged length points, and its number says how many were lost, which
is counted. Older firmware wrote 0xB0 and no number: such records are read; damage between two counts as one.
"""

import struct
from binascii import crc32

MAGIC = 0xB1
OLD_MAGIC = 0xB0
NUMBERS = 128
MAX_PAYLOAD = 4096  # a damaged length must not ask for memory
HEAD = ">BBIH"
HEAD_BYTES = 8
TAIL_BYTES = 4
NO_SEQ = 0xFFFFFFFF  # for messages that carry no number
SUFFIX = ".out"


def write_record(file, place, seq, payload):
    """One record; `place` is its number and topic in one byte."""
    head = struct.pack(HEAD, MAGIC, place, seq, len(payload))
    file.write(head)
    file.write(payload)
    file.write(struct.pack(">I", crc32(payload, crc32(head)) & 0xFFFFFFFF))


class Segment:
    __slots__ = ("count", "number", "offset", "old", "settled", "size", "taken")

    def __init__(self, number, old=False):
        self.number = number
        self.old = old  # from before the last reset
        self.size = 0  # bytes
        self.count = 0  # whole records
        self.taken = 0
        self.settled = 0
        self.offset = 0  # of the next record to take
