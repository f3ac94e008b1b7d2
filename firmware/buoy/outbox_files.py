"""What a flash outbox finds in its folder at a start."""

import os

from buoy.flash_outbox import HEAD_BYTES, NO_SEQ, SUFFIX, TAIL_BYTES, Segment


def load(outbox):
    """Find the segments that are there, and how many whole records are in each."""
    try:
        os.mkdir(outbox.folder)
    except OSError:
        pass  # it is there; if not, listdir raises
    numbers = sorted(
        [int(name[: -len(SUFFIX)]) for name in os.listdir(outbox.folder) if name.endswith(SUFFIX)]
    )
    for number in numbers:
        segment = Segment(number, True)
        with open(outbox.path(segment), "rb") as file:
            while True:
                record = outbox.record(file)
                if record is None:
                    break
                segment.count += 1
                if record[1] != NO_SEQ:
                    outbox.last_seq = record[1]
                segment.size += HEAD_BYTES + len(record[2]) + TAIL_BYTES
        if segment.count:
            outbox.segments.append(segment)
            outbox.count += segment.count
        else:
            os.remove(outbox.path(segment))
