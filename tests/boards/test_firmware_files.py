"""The installed firmware is made once, whoever asks, and its version follows its content."""

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from buoy.commands import FIRMWARE
from buoy.timekeeping import BUILT_S

from buoyfleet.boards import firmware_files
from buoyfleet.boards.firmware_files import Firmware, firmware_sources, installed_firmware
from buoyfleet.boards.shrink import Small
from buoyfleet.boards.shrink.symbols import Symbols

RELEASE = FIRMWARE.partition("+")[0]
MOST_AGE_S = 92 * 86_400
SECOND_S = 0.3
"""For a second one to begin while the first is at work."""


def test_eight_threads_with_an_empty_cache_make_it_once(tmp_path, monkeypatch):
    entered: list[int] = []
    second = threading.Event()

    def made(*_: object) -> tuple[Firmware, Symbols]:
        entered.append(1)
        if len(entered) > 1:
            second.set()
        second.wait(SECOND_S)
        return Firmware("1.0.0+00000000", {"main.py": b"pass\n"}), Symbols()

    monkeypatch.setattr(firmware_files, "_made", made)
    together = threading.Barrier(8)

    def ask(_: int) -> Firmware:
        together.wait(90)
        return installed_firmware(tmp_path / "cache")

    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(ask, range(8)))
    assert len(entered) == 1
    assert got == [Firmware("1.0.0+00000000", {"main.py": b"pass\n"})] * 8


@pytest.fixture
def made(monkeypatch):
    """Makes the firmware of changed sources, without the long ways: compiled and made small."""
    monkeypatch.setattr(firmware_files, "shrink", lambda sources, _plan: Small(sources, b"", 0))
    monkeypatch.setattr(firmware_files, "_compiled", lambda _compiler, _name, source: source.encode())
    given = {name: Path(path).read_text() for name, path in firmware_sources().items()}

    def make(**changed: str) -> Firmware:
        return firmware_files._made({**given, **changed}, "")[0]

    return make


def test_the_version_is_the_release_and_a_hash_of_every_file(made):
    first = made()
    assert first.version == f"{RELEASE}+{first.digest}"
    telling = [name for name, data in first.files.items() if first.version.encode() in data]
    assert len(telling) == 1
    assert not [name for name, data in first.files.items() if FIRMWARE.encode() in data]
    assert made().version == first.version
    others = {made(**{name: "pass\n"}).version for name in ("sensors/ph.py", "boot.py")}
    assert len(others | {first.version}) == 3


def test_a_program_that_does_not_tell_its_version_is_refused(made):
    with pytest.raises(firmware_files.PreflightError, match="version"):
        made(**{"buoy/commands.py": "pass\n"})


def test_the_date_of_the_firmware_is_at_most_three_months_older_than_its_newest_change(project_root):
    newest_s = newest_change_s(project_root)
    assert newest_s - MOST_AGE_S <= BUILT_S <= newest_s


def newest_change_s(root: Path) -> float:
    """Of what boards run, by the history; the time of day where there are changes that are not in it."""
    git = ("git", "-C", str(root))
    places = ("--", "firmware", "sensors")
    if not (root / ".git").exists():  # an unpacked archive: whoever made it has tested this
        return max(path.stat().st_mtime for path in firmware_sources().values())
    changed = subprocess.run([*git, "status", "--porcelain", *places], capture_output=True, check=True)
    if changed.stdout:
        return time.time()
    log = subprocess.run([*git, "log", "-1", "--format=%ct", *places], capture_output=True, check=True)
    return float(log.stdout)
