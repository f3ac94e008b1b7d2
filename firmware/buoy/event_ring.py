"""What a board told during a test, on flash: bounded, the oldest dropped first, numbers that outlast resets.

Segments are files `<number of the first event>.evt`, a line of JSON per event. They are there until the test
is over, so that a bench that missed lines, or had no cable, can have them told again.
"""

import os

from buoy.identity import EVENTS

_SUFFIX = ".evt"


class EventRing:
    """Events by number, from 1.

    Args:
        folder: made if missing; nothing else may be in it.
        segments: most files kept.
        segment_bytes: size from which a new file is begun; a LittleFS block is 4096.

    Raises:
        OSError: the folder cannot be made or read.
    """

    def __init__(self, folder, segments=64, segment_bytes=4000):
        self._folder = folder
        self._most = segments
        self._segment_bytes = segment_bytes
        self._pending = []
        self.failures = 0
        try:
            os.mkdir(folder)
        except OSError:
            pass  # it is there; if not, listdir raises
        names = os.listdir(folder)
        self._firsts = []
        for name in names:
            if name.endswith(_SUFFIX):
                try:
                    self._firsts.append(int(name[: -len(_SUFFIX)]))
                except ValueError:
                    pass  # no file of ours
        self._firsts.sort()
        self._size = 0  # of the last segment
        self.last = 0
        if self._firsts:
            self.last = self._firsts[-1] - 1
            for line in self._lines(self._firsts[-1]):
                self.last += 1
                self._size += len(line)
            if os.stat(self._path(self._firsts[-1]))[6] != self._size:
                self._size = segment_bytes  # nothing is written behind half a line

    def add(self, text):
        """One event, bytes without a line end; it is on flash after `flush`."""
        self._pending.append(text)
        self.last += 1

    def flush(self):
        """Write what was added; if flash cannot take it, it is counted, and gone from the ring."""
        if not self._pending:
            return
        data = b"\n".join(self._pending) + b"\n"
        first = self.last - len(self._pending) + 1
        self._pending = []
        try:
            if self._firsts and self._size < self._segment_bytes:
                with open(self._path(self._firsts[-1]), "ab") as file:
                    file.write(data)
                self._size += len(data)
            else:
                with open(self._path(first), "wb") as file:
                    file.write(data)
                self._firsts.append(first)
                self._size = len(data)
            while len(self._firsts) > self._most:
                os.remove(self._path(self._firsts.pop(0)))
        except OSError:
            # Numbers are places in a file: what follows begins another one.
            self.failures += 1
            self._size = self._segment_bytes

    def events(self, first, last):
        """(number, bytes) of the events from `first` to `last` that are there."""
        self.flush()
        for index in range(len(self._firsts)):
            number = self._firsts[index]
            if number > last:
                return
            if index + 1 < len(self._firsts) and self._firsts[index + 1] <= first:
                continue
            for line in self._lines(number):
                if first <= number <= last:
                    yield number, line[:-1]
                number += 1

    def clear(self):
        """The test is over: remove everything; numbers go on."""
        self._pending = []
        while self._firsts:
            os.remove(self._path(self._firsts.pop()))

    def _path(self, first):
        return "%s/%d%s" % (self._folder, first, _SUFFIX)

    def _lines(self, first):
        with open(self._path(first), "rb") as file:
            while True:
                line = file.readline()
                # One that broke off, as other file systems than LittleFS can leave it, is none.
                if line[-1:] != b"\n":
                    return
                yield line


def keep_events(console, anew):
    """From here on events are kept on flash as well, behind those of before a reset or anew."""
    console.ring = EventRing(EVENTS)
    if anew:
        console.ring.clear()
        console.ring.last = console.events
    console.events = console.ring.last
