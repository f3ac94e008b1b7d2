"""umqtt for boards whose interpreter has none frozen in: the newest release by mpremote's `mip`, else a copy.

    python -m buoyfleet.bench.umqtt FOLDER [INDEX]

runs `mip` with a folder in the role of a board; a program of its own, as mpremote sets no time limit.
"""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from buoyfleet.model.errors import PreflightError
from buoyfleet.model.places import KEPT, SETUP
from buoyfleet.programs import umqtt

PACKAGE = "umqtt.simple"
COPY = umqtt.place(KEPT)
"""Fetched by the set-up: the oldest version that the link supports."""
INDEX_VARIABLE = "BUOY_MIP_INDEX"
"""Another package index than mpremote's own."""
FETCH_TIMEOUT_S = 30.0


class Umqtt(Mapping[str, bytes]):
    """Path on a board → content; had when first looked at, as most boards need none. Safe for threads.

    Args:
        kept: folder where what `mip` fetched is kept: all boards of a bench get the same.
        copy: what is taken where `mip` gets none.
    """

    def __init__(self, kept: Path, copy: Path = COPY) -> None:
        self._kept, self._copy = kept, copy
        self._guard = threading.Lock()
        self._files: dict[str, bytes] | None = None
        self._source = ""

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        self._get()
        return self._source

    def __getitem__(self, path: str) -> bytes:
        return self._get()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._get())

    def __len__(self) -> int:
        return len(self._get())

    def _get(self) -> dict[str, bytes]:
        with self._guard:
            if self._files is None:
                self._files = self._find()
            return self._files

    def _find(self) -> dict[str, bytes]:
        why = ""
        if not _files(self._kept):
            why = _fetch(self._kept)
        if found := _files(self._kept):
            self._source = f"umqtt: the release that mip fetched, kept in {self._kept}"
            return found
        if found := _files(self._copy):
            self._source = f"umqtt: the copy in {self._copy}, as mip got none ({why})"
            return found
        raise PreflightError(
            f"no umqtt, which boards need that have none frozen in: {why}",
            where=str(self._copy),
            next_step=f"{SETUP}, or a way to the package index of mpremote",
        )


def _files(folder: Path) -> dict[str, bytes]:
    found = sorted((folder / "umqtt").glob("*.*py"))
    return {f"lib/umqtt/{file.name}": file.read_bytes() for file in found}


def _fetch(folder: Path) -> str:
    """Why it failed; empty if it did not."""
    part = folder.with_name(f".{folder.name}-{os.getpid()}")
    command = [sys.executable, "-m", "buoyfleet.bench.umqtt", str(part), os.environ.get(INDEX_VARIABLE, "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, env=environment
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {FETCH_TIMEOUT_S:g} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["mip failed"])[-1][:200]
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when whole: another bench may have been quicker.
    try:
        part.rename(folder)
    except OSError as error:
        return str(error)
    return ""


class _Folder:
    """What `mip` uses of mpremote's transport, on a folder of this computer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fs_exists(self, path: str) -> bool:
        return (self._folder / path).exists()

    def fs_mkdir(self, path: str) -> None:
        (self._folder / path).mkdir(parents=True)

    def fs_writefile(self, path: str, data: bytes, **_: object) -> None:
        (self._folder / path).write_bytes(data)

    def fs_hashfile(self, path: str, _algorithm: str) -> bytes:
        return hashlib.sha256((self._folder / path).read_bytes()).digest()


def main() -> None:
    """Fetch into a folder."""
    from mpremote import mip
    from mpremote.commands import CommandError

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    index: str = sys.argv[2] or mip._PACKAGE_INDEX
    transport: Any = _Folder(folder)
    try:
        # As source: which bytecode a board takes depends on its interpreter.
        mip._install_package(transport, PACKAGE, index.rstrip("/"), ".", None, False)
    except (CommandError, OSError, ValueError) as error:
        sys.exit(f"mip: {error}")


if __name__ == "__main__":
    main()
