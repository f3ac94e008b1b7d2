# ruff: noqa
# mypy: ignore-errors
"""MicroPython side: the root of a board's files."""

EPOCH_S = 946684800  # 1970 to 2000


class Root:
    """The board's file system, with the frozen modules behind it under a name that listings do not show."""

    def __init__(self, flash, folders):
        self.flash = flash
        self.folders = folders

    def _of(self, path):
        if path.startswith("/:"):
            return self.folders[int(path[2])], path[3:] or "/"
        return self.flash, path

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def open(self, path, mode):
        fs, path = self._of(path)
        return fs.open(path, mode)

    def stat(self, path):
        fs, path = self._of(path)
        found = fs.stat(path)
        # The port counts from 2000, this interpreter from 1970.
        return found[:7] + tuple(max(0, int(time) - EPOCH_S) for time in found[7:])

    def __getattr__(self, name):
        return getattr(self.flash, name)
