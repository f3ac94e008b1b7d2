# ruff: noqa
# mypy: ignore-errors
"""Makes a file system in a flash image and copies a folder into it.

micropython install.py FLASH OFFSET SIZE FOLDER
"""

import os
import sys
import vfs

from partition import Partition


def copy(source, target):
    for entry in os.ilistdir(source):
        name, kind = entry[0], entry[1]
        if kind == 0x4000:
            vfs_flash.mkdir(target + "/" + name)
            copy(source + "/" + name, target + "/" + name)
            continue
        with open(source + "/" + name, "rb") as file:
            data = file.read()
        with vfs_flash.open(target + "/" + name, "wb") as file:
            file.write(data)


flash, offset, size, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
device = Partition(flash, offset, size)
vfs.VfsLfs2.mkfs(device)
vfs_flash = vfs.VfsLfs2(device)
copy(folder, "")
