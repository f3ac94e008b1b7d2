"""Messages that wait for the link, kept on flash: resets and power cuts leave their bytes and order.

Segments are files of records (buoy.outbox_record) in one folder, oldest first.

LittleFS makes the closing of a file atomic: after a power cut a file is as it was at its last close. A record
that breaks off, as other file systems can leave it, counts as damaged. A segment is removed when everything
in it has arrived; what had arrived of a segment that is still there after a reset is sent again, with the
same bytes, which changes nothing in the store.

Flash is written when a message is put, not when it is taken or settled; a message that is sent at once never
touches it. When the outbox is full, its oldest segment is dropped as a whole, and its messages are counted.
"""

import os
import struct
from binascii import crc32

from buoy.message import Message
from buoy.outbox_record import (
    HEAD,
    HEAD_BYTES,
    MAGIC,
    MAX_PAYLOAD,
    NO_SEQ,
    NUMBERS,
    OLD_MAGIC,
    SUFFIX,
    TAIL_BYTES,
    Segment,
    write_record,
)
from buoy.shims import forget
from sensors import once, seldom

_FIRST_SEGMENT = 500000  # room on both sides: what goes back to the front gets a lower number


class FlashOutbox:
    """An outbox in a folder; see `buoy.outbox.MemoryOutbox` for what the methods promise.

    Args:
        folder: made if missing; nothing else may be in it.
        topics: the two topics that messages can have (bytes), in an order that never changes.
        segments: most files kept.
        segment_bytes: size from which a new file is begun; a LittleFS block is 4096.

    Raises:
        OSError: the folder cannot be made or read.
    """

    @once
    def __init__(self, folder, topics, segments=8, segment_bytes=4000, on_drop=None):
        self.folder = folder
        self._topics = topics
        self._most = segments
        self._segment_bytes = segment_bytes
        self.on_drop = on_drop
        self.dropped = 0
        self.count = 0
        self.write_failures = 0
        self.damaged = 0  # messages lost because flash gave back other bytes
        self.last_seq = -1  # of the newest message that was there after the reset
        self._front = []  # taken once, not settled, to be taken again first
        self.segments = []
        from buoy import outbox_files  # of no use after the start

        outbox_files.load(self)
        forget("buoy", ("outbox_files",))

    def put(self, message):
        """Write behind all others. If flash cannot take it, the message is dropped, counted and told."""
        try:
            self._append(message)
        except OSError:
            self._drop(message, "flash cannot be written")

    def take(self):
        """The oldest message that is not out; the outbox must not be empty.

        None if all that seemed to be there cannot be read any more; it is counted.
        """
        message = None
        if self._front:
            message = self._front.pop(0)
        else:
            for segment in list(self.segments):
                if segment.taken < segment.count:
                    message = self._read_next(segment)
                    if message is not None:
                        break
        if message is not None:
            self.count -= 1
        return message

    @seldom
    def requeue(self, messages):
        """Back to the front, oldest first; those that were never on flash are written now."""
        unwritten = [message for message in messages if message.place is None]
        if unwritten:
            first = self.segments[0].number if self.segments else _FIRST_SEGMENT
            segment = Segment(first - 1)
            try:
                self._write(segment, unwritten)
                self.segments.insert(0, segment)
                # What follows in the same file is behind them.
                segment.taken = segment.count
                segment.offset = segment.size
            except OSError:
                pass  # counted; they stay in memory, and are lost only if power fails too
        self._front[:0] = messages
        self.count += len(messages)
        self._limit()

    def settle(self, message):
        """The message arrived; its segment goes when it was the last."""
        segment = message.place
        if segment is None:
            return
        segment.settled += 1
        if segment.settled >= segment.count:
            self._remove(segment)

    @seldom
    def clear(self, reason):
        """Drop everything, counted and told with the reason."""
        while self.count:
            message = self.take()
            if message is not None:
                self._drop(message, reason)
        for segment in list(self.segments):
            self._remove(segment)

    # Inside

    def path(self, segment):
        return "%s/%d%s" % (self.folder, segment.number, SUFFIX)

    @seldom
    def record(self, file):
        """(topic, seq, payload, number or None) of a whole record that begins here, or None."""
        head = file.read(HEAD_BYTES)
        if len(head) < HEAD_BYTES:
            return None
        magic, number, seq, length = struct.unpack(HEAD, head)
        if magic not in (MAGIC, OLD_MAGIC) or length > MAX_PAYLOAD:
            return None
        payload = file.read(length)
        tail = file.read(TAIL_BYTES)
        if len(payload) < length or len(tail) < TAIL_BYTES:
            return None
        if struct.unpack(">I", tail)[0] != crc32(payload, crc32(head)) & 0xFFFFFFFF:
            return None
        return number & 1, seq, payload, number >> 1 if magic == MAGIC else None

    @seldom
    def _read_next(self, segment):
        """The next whole record as a message; None, and the rest of the segment is lost, if there is none."""
        try:
            with open(self.path(segment), "rb") as file:
                file.seek(segment.offset)
                record = self.record(file)
                if record is None:
                    from buoy import outbox_files

                    segment.offset, record = outbox_files.find(self, file, segment.offset + 1, segment.size)
                    forget("buoy", ("outbox_files",))
        except OSError:
            record = None
        if record is None:
            lost = segment.count - segment.taken
            segment.count = segment.taken
            segment.old = True  # nothing is written behind them: numbers would not fit
            self.count -= lost
            self.dropped += lost
            self.damaged += lost
            if segment.settled >= segment.count:
                self._remove(segment)
            return None
        topic, seq, payload, _number = record
        segment.taken += 1
        segment.offset += HEAD_BYTES + len(payload) + TAIL_BYTES
        message = Message(-1 if seq == NO_SEQ else seq, self._topics[topic], payload, 0)
        # It may have left before the reset: it counts as sent once, so that DUP is set.
        message.attempts = 1 if segment.old else 0
        message.place = segment
        return message

    @seldom
    def _append(self, message):
        last = self.segments[-1] if self.segments else None
        if last is None or last.old or last.size >= self._segment_bytes:
            last = Segment(last.number + 1 if last else _FIRST_SEGMENT)
            self._write(last, (message,))
            self.segments.append(last)
        else:
            self._write(last, (message,))
        message.place = None  # whoever takes it gets it from flash
        self.count += 1
        self._limit()

    @seldom
    def _write(self, segment, messages):
        """All records, then one close: all or nothing on LittleFS. Nothing is counted before it is there."""
        size = 0
        number = segment.count
        try:
            # What a write that failed left behind is written over.
            with open(self.path(segment), "r+b" if segment.size else "wb") as file:
                file.seek(segment.size)
                for message in messages:
                    if len(message.payload) > MAX_PAYLOAD:
                        raise OSError("a message of %d bytes" % len(message.payload))
                    place = number % NUMBERS * 2 + self._topics.index(message.topic)
                    seq = NO_SEQ if message.seq < 0 else message.seq
                    write_record(file, place, seq, message.payload)
                    size += HEAD_BYTES + len(message.payload) + TAIL_BYTES
                    number += 1
        except OSError:
            self.write_failures += 1
            if not segment.size:
                self._remove_file(segment)
            raise
        segment.size += size
        segment.count += len(messages)
        for message in messages:
            message.place = segment

    @seldom
    def _limit(self):
        while len(self.segments) > self._most:
            segment = self.segments[0]
            reason = "outbox full"
            kept = []
            for message in self._front:
                if message.place is segment:
                    self.count -= 1
                    self._drop(message, reason)
                else:
                    kept.append(message)
            self._front = kept
            while segment.taken < segment.count:
                message = self._read_next(segment)
                if message is not None:
                    self.count -= 1
                    self._drop(message, reason)
            self._remove(segment)

    @seldom
    def _remove(self, segment):
        if segment in self.segments:
            self.segments.remove(segment)
            self._remove_file(segment)

    @seldom
    def _remove_file(self, segment):
        try:
            os.remove(self.path(segment))
        except OSError:
            pass  # what is in it comes again after a restart, with the same bytes

    @seldom
    def _drop(self, message, reason):
        self.dropped += 1
        if self.on_drop is not None:
            self.on_drop(message, reason)
