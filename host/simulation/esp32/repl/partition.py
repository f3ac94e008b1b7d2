# ruff: noqa
# mypy: ignore-errors
"""MicroPython side: a partition of the flash image as a block device."""


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
