"""What becomes of stamps after the clock was wrong; in memory only while it is put right.

A message's stamp is its identity. One that waits in the outbox with the stamp of a wrong clock gets the stamp
that it would have had, if we know by how much the clock was wrong; if not, it is dropped and counted. What is
on its way keeps its bytes.
"""

import os

from buoy import outbox_files
from buoy.outbox_record import HEAD_BYTES, NUMBERS, TAIL_BYTES, write_record
from buoy.payload import CODE_OUTBOX_DROPPED, CODE_WRONG_CLOCK, CONNECTIVITY_ERROR
from buoy.timekeeping import WRONG_MS

_KEY = '"timestamp":'
_SLACK_MS = 60000
_DIGITS = 13  # of ms since 1970, until 2286


def after_step(board, since_ms, utc_ms, wrong_ms, now_ms):
    """The clock was ahead of the truth by `wrong_ms` (behind, if negative) since it said `since_ms`."""
    # A message made in the same step as the clock was set can bear a time just before it.
    since_ms -= _SLACK_MS
    until_ms = utc_ms + wrong_ms + _SLACK_MS
    board.app.last_timestamp_ms = 0

    def corrected(stamp_ms):
        return stamp_ms - wrong_ms if since_ms <= stamp_ms <= until_ms else stamp_ms

    moved = _rework(board.outbox, corrected)[0]
    text = "the clock was wrong by %d s and is set; %d waiting messages are stamped anew"
    board.app.report_error(CONNECTIVITY_ERROR, CODE_WRONG_CLOCK, text % (wrong_ms // 1000, moved), now_ms)


def after_start(board, utc_ms, now_ms):
    """The time is known for the first time since power-on: nothing was made after it."""
    latest_ms = utc_ms + WRONG_MS
    dropped = _rework(board.outbox, lambda stamp_ms: None if stamp_ms > latest_ms else stamp_ms)[1]
    if dropped:
        text = "%d waiting messages dropped: stamped by a clock that was wrong" % dropped
        board.app.report_error(CONNECTIVITY_ERROR, CODE_OUTBOX_DROPPED, text, now_ms)


def _rework(outbox, change):
    """(moved, dropped) messages; `change` gives a stamp's new value, or None to drop it."""
    moved = dropped = 0
    for segment in list(outbox.segments):
        news = list(_changes(outbox, segment, change))
        lost = news.count(None)
        if lost:
            _without(outbox, segment, change)
            dropped += lost
        elif news:
            # The new stamp has as many digits: the record stays where it is.
            with open(outbox.path(segment), "r+b") as file:
                for offset, place, seq, payload in news:
                    file.seek(offset)
                    write_record(file, place, seq, payload)
            moved += len(news)
    return moved, dropped


def _changes(outbox, segment, change, whole=False):
    """(offset, place, seq, new payload) of what changes, or of every record; None for what is dropped."""
    offset = number = 0
    with open(outbox.path(segment), "rb") as file:
        while True:
            offset, record = outbox_files.find(outbox, file, offset, segment.size)
            if record is None:
                return
            topic, seq, payload, kept = record
            stamp_ms, new = _stamped(payload, change)
            if stamp_ms is None:
                yield None
            elif whole:
                yield offset, number % NUMBERS * 2 + topic, seq, new
                number += 1
            elif new != payload and kept is not None:  # records of older firmware have no number: left alone
                yield offset, kept * 2 + topic, seq, new
            offset += HEAD_BYTES + len(payload) + TAIL_BYTES


def _without(outbox, segment, change):
    """The segment without what is dropped; only before the first connection: nothing of it was taken."""
    new = outbox.folder + "/new"
    kept = lost = 0
    with open(new, "wb") as file:
        for record in _changes(outbox, segment, change, True):
            if record is None:
                lost += 1
            else:
                write_record(file, record[1], record[2], record[3])
                kept += 1
    os.rename(new, outbox.path(segment))
    outbox.count -= segment.count - kept
    outbox.dropped += lost
    segment.count = kept
    segment.size = os.stat(outbox.path(segment))[6]
    if not kept:
        outbox.segments.remove(segment)
        os.remove(outbox.path(segment))


def _stamped(payload, change):
    """(new stamp, new payload); a payload that carries no stamp stays as it is."""
    text = payload.decode()
    at = text.find(_KEY) + len(_KEY)
    if text[at : at + 1] == " ":  # of `json.dumps`
        at += 1
    digits = text[at : at + _DIGITS]
    if at < len(_KEY) or not digits.isdigit():
        return 0, payload
    stamp_ms = change(int(digits))
    if stamp_ms is None or stamp_ms == int(digits):
        return stamp_ms, payload
    return stamp_ms, (text[:at] + str(stamp_ms) + text[at + _DIGITS :]).encode()
