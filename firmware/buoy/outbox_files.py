"""What a flash outbox finds in its folder at a start, and behind a damaged record."""

import os

from buoy.outbox_record import HEAD_BYTES, MAGIC, NO_SEQ, NUMBERS, OLD_MAGIC, SUFFIX, TAIL_BYTES, Segment

_BLOCK_BYTES = 128
_MOST_AHEAD = 16  # a higher number is none


def load(outbox):
    """Find the segments that are there, how many whole records are in each, and how many are damaged."""
    try:
        os.mkdir(outbox.folder)
    except OSError:
        pass  # it is there; if not, listdir raises
    numbers = []
    for name in os.listdir(outbox.folder):
        if name.endswith(SUFFIX):
            try:
                numbers.append(int(name[: -len(SUFFIX)]))
            except ValueError:
                pass  # no file of ours
    for number in sorted(numbers):
        segment = Segment(number, True)
        try:
            _count(outbox, segment)
            if not segment.count:
                os.remove(outbox.path(segment))
        except OSError:
            outbox.write_failures += 1
        if segment.count:
            outbox.segments.append(segment)
            outbox.count += segment.count
    outbox.dropped += outbox.damaged


def _count(outbox, segment):
    path = outbox.path(segment)
    size = segment.size = os.stat(path)[6]
    with open(path, "rb") as file:
        offset = 0
        expected = 0
        while offset < size:
            found, record = find(outbox, file, offset, size)
            if record is None:
                outbox.damaged += _records(file, offset, size, expected)
                return
            if record[3] is not None:
                outbox.damaged += (record[3] - expected) % NUMBERS
                expected = record[3] + 1
            elif found > offset:
                outbox.damaged += 1
            segment.count += 1
            if record[1] != NO_SEQ:
                outbox.last_seq = record[1]
            offset = found + HEAD_BYTES + len(record[2]) + TAIL_BYTES


def find(outbox, file, offset, end):
    """(offset, record) of the first whole record from `offset` on; record is None if there is none."""
    while offset < end:
        file.seek(offset)
        block = file.read(min(_BLOCK_BYTES, end - offset))
        if not block:
            break
        for index in range(len(block)):
            if block[index] in (MAGIC, OLD_MAGIC):
                file.seek(offset + index)
                record = outbox.record(file)
                if record is not None:
                    return offset + index, record
        offset += len(block)
    return offset, None


def _records(file, offset, end, expected):
    """How many damaged records stand at the end of a segment: at least one, else as the numbers say."""
    number = expected
    while offset < end:
        file.seek(offset)
        block = file.read(_BLOCK_BYTES + 1)
        for index in range(len(block) - 1):
            if block[index] == MAGIC:
                ahead = ((block[index + 1] >> 1) - number) % NUMBERS
                if ahead < _MOST_AHEAD:
                    number += ahead + 1
        offset += _BLOCK_BYTES
    return max(1, number - expected)
