"""A program as the one file that a board has of it, and the switch that names the one that runs.

The format is that of `firmware/start.py`, which reads it.
"""

from binascii import crc32
from collections.abc import Mapping

from buoyfleet.serial.probe import VERSION_FILE

START = "start.mpy"
"""What chooses and mounts a program: outside of it, as it must outlive all of them."""
SWITCH = VERSION_FILE
MAGIC = b"BUO1"
STARTS = 3
"""How often a new program is started before the old one comes back (firmware/start.py)."""
NONE = "-"


def program_path(version: str) -> str:
    """Path on a board of the program of a version, which ends with a hash of all of it."""
    return f"app-{version}.bin"


def program_version(path: str) -> str:
    """The version in the path of a program; empty for another file."""
    if path.startswith("app-") and path.endswith(".bin"):
        return path[4:-4]
    return ""


def switch_to(version: str, before: str) -> bytes:
    """Content of the switch after a change.

    Args:
        version: of the program that is to run.
        before: of the one to come back if it does not start; empty if there is none.
    """
    return f"{version} {before or NONE} {STARTS}".encode()


def pack_program(members: Mapping[str, bytes]) -> bytes:
    """The file of a program.

    Args:
        members: path below the mount point → content; a module by its compiled form.

    Raises:
        ValueError: two paths share a key.
    """
    folders = {path[:at] for path in members for at in range(len(path)) if path[at] == "/"}
    names = [*sorted(folders), *sorted(members)]
    table_length = 6 * len(names)
    keys: set[bytes] = set()
    table = b""
    content = b""
    start = len(MAGIC) + 2 + table_length
    for name in names:
        key = (crc32(f"/{name}".encode()) & 0xFFFFFF).to_bytes(3, "little")
        if key in keys:
            raise ValueError(f"{name} has the key of another path: rename it")
        keys.add(key)
        data = members.get(name)
        table += key + (0 if data is None else start + len(content)).to_bytes(3, "little")
        content += data or b""
    return MAGIC + table_length.to_bytes(2, "little") + table + content
