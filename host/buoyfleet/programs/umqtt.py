"""umqtt.simple as boards have it: stock images of MicroPython carry it frozen, the Unix port does not.

PyPI has 1.3.4, the oldest version the link supports; its archive has no build script, so that pip refuses it
and `unearth` only downloads it.
"""

import shutil
import tarfile
from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.model.places import SETUP
from buoyfleet.programs.process import Say, run

VERSION = "1.3.4"
REQUIREMENT = f"micropython-umqtt.simple=={VERSION}"
DOWNLOAD_TIMEOUT_S = 120.0
_MEMBER = "umqtt/simple.py"


def place(kept: Path) -> Path:
    """Folder for the search path of a MicroPython."""
    return kept / "umqtt"


def present(kept: Path) -> bool:
    """Whether it was fetched."""
    return (place(kept) / _MEMBER).exists()


def ensure(python: Path, kept: Path, say: Say) -> None:
    """Put umqtt.simple into `place(kept)`.

    Args:
        python: an interpreter that has `unearth`.
        kept: folder of what is fetched.
        say: takes progress.

    Raises:
        PreflightError: it cannot be had.
    """
    folder = place(kept)
    if present(kept):
        return
    say(f"fetching {REQUIREMENT}")
    fetching = kept / ".fetching-umqtt"
    shutil.rmtree(fetching, ignore_errors=True)
    fetching.mkdir(parents=True)
    done = run(
        [python, "-m", "unearth", "--no-binary", "-d", fetching, REQUIREMENT], timeout_s=DOWNLOAD_TIMEOUT_S
    )
    archives = list(fetching.glob("*.tar.gz"))
    if done.code or len(archives) != 1:
        raise PreflightError(
            f"{REQUIREMENT} could not be fetched:\n{done.tail()}",
            cause="no way to the package index",
            next_step=f"{SETUP}   (or put umqtt/simple.py of any version from 1.3.4 into {folder})",
        )
    unpacked = fetching / "folder"
    with tarfile.open(archives[0]) as archive:
        members = [member for member in archive.getmembers() if member.name.endswith("/" + _MEMBER)]
        source = archive.extractfile(members[0]) if members else None
        if source is None:
            raise PreflightError(f"{archives[0].name} holds no {_MEMBER}")
        (unpacked / "umqtt").mkdir(parents=True)
        (unpacked / _MEMBER).write_bytes(source.read())
    # Renamed when whole: a set-up that was interrupted finds no half of it.
    shutil.rmtree(folder, ignore_errors=True)
    unpacked.rename(folder)
    shutil.rmtree(fetching)
