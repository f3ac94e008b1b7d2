# ruff: noqa
# mypy: ignore-errors
"""Runs on the board: prints a line `SHA-256 SIZE PATH` per file under the given places, and the free bytes.

A place that ends with "/" is a folder; one that ends with "*" matches names in the root. Files in `hidden` are
secret: `-` is printed in place of their hash. What is mounted in the root is no folder of the flash and is left out: the
program that the firmware mounts at /app lists nothing, and what `mpremote mount` left waits for a computer.
"""


def listing(places, hidden):
    import hashlib, os
    from binascii import hexlify

    block = bytearray(1024)
    view = memoryview(block)

    def show(path):
        if path in hidden:
            print("-", os.stat(path)[6], path)
            return
        digest = hashlib.sha256()
        size = 0
        with open(path, "rb") as file:
            while True:
                count = file.readinto(block)
                if not count:
                    break
                digest.update(view[:count])
                size += count
        print(hexlify(digest.digest()).decode(), size, path)

    def walk(folder):
        try:
            entries = list(os.ilistdir(folder))
        except (OSError, AttributeError):  # not there; or a mounted program, which has no list
            return
        for entry in entries:
            path = folder + entry[0]
            if entry[1] & 0x4000:
                if len(entry) > 3:  # mount points have no size (extmod/vfs.c)
                    walk(path + "/")
            else:
                show(path)

    for place in places:
        if place.endswith("*"):
            for entry in os.ilistdir("/"):
                if entry[0].startswith(place[:-1]) and not entry[1] & 0x4000:
                    show(entry[0])
        elif place.endswith("/"):
            walk(place)
        else:
            try:
                show(place)
            except OSError:
                pass
    stat = os.statvfs("/")
    print("free", stat[0] * stat[3])
