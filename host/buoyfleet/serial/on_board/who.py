# ruff: noqa
# mypy: ignore-errors
"""Runs on the board: prints as JSON which chip, interpreter and firmware it has. Nothing of ours is imported:
the installed program is bundled and takes memory, and it may be the one that does not work.
"""


def who(version_file, marks):
    import json, machine, os, sys
    from binascii import hexlify

    firmware = ""
    for name in os.listdir("/"):
        if name.startswith("app-") and name.endswith(".bin"):
            firmware = name[4:-4]
    try:
        with open(version_file) as file:
            firmware = file.read(80).split()[0]
    except (OSError, IndexError):
        pass
    for mark in marks:
        try:
            os.stat(mark)
            firmware = firmware or "of unknown version"
        except OSError:
            pass
    version = ".".join([str(n) for n in sys.implementation.version[:3]])
    if "MicroPython v" in sys.version:
        version = sys.version.split("MicroPython v")[1].split(" ")[0]
    mac = hexlify(machine.unique_id()).decode()
    chip = getattr(sys.implementation, "_machine", sys.platform)
    print(json.dumps({"mac": mac, "machine": chip, "version": version, "firmware": firmware}))
