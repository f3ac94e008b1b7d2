"""umqtt.simple as boards have it: stock images of MicroPython carry it frozen, the Unix port does not.

PyPI has 1.3.4, the oldest version the link supports; its archive has no build script, so that pip refuses it
and `unearth` only downloads it.
"""

import shutil
import tarfile
from pathlib import Path

from console import SetupError, run, say

REQUIREMENT = "micropython-umqtt.simple==1.3.4"
DOWNLOAD_TIMEOUT_S = 120.0
_MEMBER = "umqtt/simple.py"


def ensure(root: Path, tools: Path) -> None:
    """Put umqtt.simple into `tools/umqtt/`, a folder for the search path of a MicroPython.

    Raises:
        SetupError: it cannot be had.
    """
    folder = tools / "umqtt"
    if (folder / _MEMBER).exists():
        return
    say(f"fetching {REQUIREMENT}")
    fetching = tools / ".fetching-umqtt"
    shutil.rmtree(fetching, ignore_errors=True)
    fetching.mkdir(parents=True)
    python = root / ".venv" / "bin" / "python"
    done = run(
        [python, "-m", "unearth", "--no-binary", "-d", fetching, REQUIREMENT], timeout_s=DOWNLOAD_TIMEOUT_S
    )
    archives = list(fetching.glob("*.tar.gz"))
    if done.code or len(archives) != 1:
        raise SetupError(
            f"{REQUIREMENT} could not be fetched:\n{done.tail()}\n"
            "  likely cause: no way to the package index\n"
            f"  next: put umqtt/simple.py of any version from 1.3.4 into {folder}, then type the same command"
        )
    unpacked = fetching / "folder"
    with tarfile.open(archives[0]) as archive:
        members = [member for member in archive.getmembers() if member.name.endswith("/" + _MEMBER)]
        source = archive.extractfile(members[0]) if members else None
        if source is None:
            raise SetupError(f"{archives[0].name} holds no {_MEMBER}")
        (unpacked / "umqtt").mkdir(parents=True)
        (unpacked / _MEMBER).write_bytes(source.read())
    # Renamed when whole: a set-up that was interrupted finds no half of it.
    shutil.rmtree(folder, ignore_errors=True)
    unpacked.rename(folder)
    shutil.rmtree(fetching)
