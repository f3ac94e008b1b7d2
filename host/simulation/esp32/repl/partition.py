# ruff: noqa
# mypy: ignore-errors
"""MicroPython side: a partition of the flash image as a block device, and the supply that fails in its writes."""


class Partition:
    """Range of the flash image.

    Args:
        cut: called before every write and erasure; it need not return.
    """

    BLOCK = 4096

    def __init__(self, path, offset, size, cut=lambda: None):
        self.file = open(path, "r+b")
        self.offset = offset
        self.blocks = size // self.BLOCK
        self.erased = b"\xff" * self.BLOCK
        self.cut = cut

    def readblocks(self, number, buffer, offset=0):
        self.file.seek(self.offset + number * self.BLOCK + offset)
        self.file.readinto(buffer)

    def writeblocks(self, number, buffer, offset=0):
        self.cut()
        self.file.seek(self.offset + number * self.BLOCK + offset)
        self.file.write(buffer)
        self.file.flush()

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.blocks
        if operation == 5:
            return self.BLOCK
        if operation == 6:
            self.cut()
            self.file.seek(self.offset + argument * self.BLOCK)
            self.file.write(self.erased)
            self.file.flush()
        return 0


class PowerCut:
    """Ends the power at the block write or erasure that the control file names."""

    def __init__(self, control, tell):
        self.tell = tell
        self.control = open(control, "r+b")
        self.left = bytearray(2)

    def __call__(self):
        # How many writes and erasures are left before the power goes; 0: it stays. Nothing here may allocate:
        # files that a program forgot are closed, and written, by the collector while the heap is locked.
        left = self.left
        self.control.seek(0)
        self.control.readinto(left)
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
        self.control.seek(0)
        self.control.write(left)
        self.control.flush()
