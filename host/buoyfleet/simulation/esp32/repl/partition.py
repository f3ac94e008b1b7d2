# ruff: noqa
# mypy: ignore-errors
"""MicroPython side: a partition of the flash image as a block device, the supply that fails in its writes, and
the time that a chip takes.

Times: a read of the ESP32 port 40-60 us, measured on a stock image (most of it is not the transfer);
programming and erasing from the data sheet of the Winbond W25Q32JV, AC characteristics, typical values:
first byte of a page 30 us, each further byte 2.5 us, sector 45 ms.
"""

import struct
import utime
from micropython import heap_lock, heap_unlock

READ_US = 50
PROGRAM_US, PROGRAM_BYTE_US = 30, 2.5
ERASE_US = 45000
SLEEP_US = 2000  # shorter waits are gathered: the host's own sleep takes 60 us more than asked
FLUSH_READS = 32  # so many reads are counted before the supervisor hears of them


class Control:
    """The file that the supervisor and this process share.

    2 bytes: writes and erasures that are left before the power goes, 0 if it stays; 1 byte: whether operations
    take their time; 3 x 4 bytes: reads, writes, erasures so far.

    Files of this interpreter have no buffer. Its `flush` is an fsync, which waits for this computer's disk: nobody
    needs it, since what was written outlasts this process.

    Nothing here may allocate: files that a program forgot are closed, and written, by the collector while the
    heap is locked.
    """

    def __init__(self, path, tell):
        self.tell = tell
        self.file = open(path, "r+b")
        self.left = bytearray(2)
        head = self.file.read(15)
        self.paced = head[2] == 1
        self.counts = bytearray(head[3:])
        self.reads, self.writes, self.erases = struct.unpack("<III", head[3:])
        self.owed_us = 0

    def read(self):
        self.reads += 1
        if not self.reads % FLUSH_READS:
            self.flush()
        if self.paced:
            self.take(READ_US)

    def write(self, length):
        self.cut()
        self.writes += 1
        self.flush()
        if self.paced:
            self.take(PROGRAM_US + length * 5 // 2)

    def erase(self):
        self.cut()
        self.erases += 1
        self.flush()
        if self.paced:
            self.take(ERASE_US)

    def take(self, time_us):
        self.owed_us += time_us
        if self.owed_us >= SLEEP_US:
            utime.sleep_us(self.owed_us)
            self.owed_us = 0

    def flush(self):
        struct.pack_into("<III", self.counts, 0, self.reads, self.writes, self.erases)
        self.file.seek(3)
        self.file.write(self.counts)

    def cut(self):
        left = self.left
        self.file.seek(0)
        self.file.readinto(left)
        if not (left[0] or left[1]):
            return
        if left[0] == 1 and not left[1]:
            self.tell(b"P")
            while True:
                pass  # the supervisor ends this process: nothing after this reaches the flash
        if left[0]:
            left[0] -= 1
        else:
            left[1] -= 1
            left[0] = 255
        self.file.seek(0)
        self.file.write(left)


class Partition:
    """Range of the flash image.

    On a chip the block device is no Python. Two things that Python does must not happen while LittleFS is at work:
    - Ctrl-C would leave it with half of what it was doing: the gate.
    - A collection would close the files that a program forgot, so LittleFS would be entered again in the middle of
      an operation, and breaks. Each call of a larger function takes memory, which may start a collection: so the
      heap is locked. What is called before that has no `try` and few variables: its state fits on the C stack
      (VM_MAX_STATE_ON_STACK of py/objfun.c, 11 words).

    An operation returns 0, or a negative error number, which LittleFS raises as OSError.

    Args:
        control: hears of every operation before it is done; None: nobody does.
        gate: see ctrl_c.py; None: nobody sends Ctrl-C.
    """

    BLOCK = 4096

    def __init__(self, path, offset, size, control=None, gate=None):
        self.file = open(path, "r+b")
        self.offset = offset
        self.blocks = size // self.BLOCK
        self.erased = b"\xff" * self.BLOCK
        self.control = control
        self.gate = gate or self

    def enter(self):
        """See ctrl_c.Gate; of who has none."""

    def leave(self):
        """The same."""

    def readblocks(self, number, buffer, offset=0):
        self.gate.enter()
        heap_lock()
        outcome = self.read(number, buffer, offset)
        heap_unlock()
        self.gate.leave()
        return outcome

    def writeblocks(self, number, buffer, offset=0):
        self.gate.enter()
        heap_lock()
        outcome = self.write(number, buffer, offset)
        heap_unlock()
        self.gate.leave()
        return outcome

    def ioctl(self, operation, argument):
        self.gate.enter()
        heap_lock()
        outcome = self.control_block(operation, argument)
        heap_unlock()
        self.gate.leave()
        return outcome

    def control_block(self, operation, argument):
        if operation == 4:
            return self.blocks
        if operation == 5:
            return self.BLOCK
        if operation == 6:
            return self.erase(argument)
        return 0

    def read(self, number, buffer, offset):
        try:
            if self.control:
                self.control.read()
            self.file.seek(self.offset + number * self.BLOCK + offset)
            self.file.readinto(buffer)
        except Exception as error:
            return failure(error)
        return 0

    def write(self, number, buffer, offset):
        try:
            if self.control:
                self.control.write(len(buffer))
            self.file.seek(self.offset + number * self.BLOCK + offset)
            self.file.write(buffer)
        except Exception as error:
            return failure(error)
        return 0

    def erase(self, number):
        try:
            if self.control:
                self.control.erase()
            self.file.seek(self.offset + number * self.BLOCK)
            self.file.write(self.erased)
        except Exception as error:
            return failure(error)
        return 0


def failure(error):
    """Its negative number: EIO if it is no OSError."""
    number = getattr(error, "errno", None)
    return -number if isinstance(number, int) and number > 0 else -5
