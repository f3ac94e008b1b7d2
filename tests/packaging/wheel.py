"""The wheel as it is published, and an environment that has nothing else of this checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build(folder: Path) -> Path:
    """Make the wheel with the build program of the set-up; no network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=200,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


class Environment:
    """A virtual environment with the wheel, which sees the dependencies of this one, and a home of its own.

    Args:
        folder: for all of it.
        wheel: what to install.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.bin = folder / "venv" / "bin"
        (self.packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
        # Only the folder itself: what is editable there comes from a .pth file, which is not read.
        (self.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [sys.executable, "-m", "pip", "--python", self.bin / "python"]
        self.run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], folder, check=True)
        self.home, self.work = folder / "home", folder / "work"
        for made in (self.home, self.work):
            made.mkdir()

    @property
    def kept(self) -> Path:
        """Where this user's fetched programs go."""
        return self.home / ".local" / "share" / "buoyfleet"

    def share_programs(self) -> None:
        """As after `buoy setup`: what the set-up of the checkout fetched."""
        self.kept.mkdir(parents=True)
        for name in ("bin", "micropython", "i386", "umqtt"):
            (self.kept / name).symlink_to(ROOT / ".tools" / name)

    def buoy(self, *words: object, timeout_s: float = 300) -> "subprocess.CompletedProcess[str]":
        """Run `buoy`; standard error is in `stdout` too."""
        return self.run([self.bin / "buoy", *words], self.work, timeout_s=timeout_s)

    def python(self, code: str) -> str:
        """What a program of a user prints."""
        return self.run([self.bin / "python", "-c", code], self.work, check=True).stdout.strip()

    def installed_files(self) -> dict[str, tuple[int, int]]:
        """Every file below site-packages, with size and time of change."""
        return {
            str(file.relative_to(self.packages)): (file.stat().st_size, file.stat().st_mtime_ns)
            for file in self.packages.rglob("*")
            if file.is_file()
        }

    def run(
        self, words: list[object], cwd: Path, *, timeout_s: float = 300, check: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "LANG": "C.UTF-8"}
        if hasattr(self, "home"):
            environment |= {"HOME": str(self.home), "BUOY_LOCKS": os.environ.get("BUOY_LOCKS", "")}
        return subprocess.run(
            [str(word) for word in words],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=check,
        )
