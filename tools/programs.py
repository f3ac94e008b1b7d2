"""Programs that the tests and the simulated boards start: what is present is used, else it is fetched."""

import os
import platform
import re
import shlex
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import system_packages
from console import SetupError, run, say

PROBE_TIMEOUT_S = 20.0
PRELOADED = "libfaketime.so.1"
CLOCK_VARIABLES = {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1"}
_YEAR_2000_S = 946684800 + 86400  # and a day: in every time zone
_SYSTEM_LIBRARIES = Path("/usr/lib")
NO_NARROW_WORDS = "no-32-bit-micropython"
"""File that says why; read by host/buoyfleet/simulation/esp32/interpreter.py."""
RETRY_S = 86400.0
# Debian puts daemons where the PATH of a plain user does not look.
DAEMON_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


@dataclass(frozen=True, slots=True)
class Program:
    """A program, how to see that it works, and the packages that hold it."""

    name: str
    commands: tuple[str, ...]
    probe: tuple[str, ...]
    """Arguments that make each command print `version_pattern`."""
    version_pattern: str
    packages: tuple[str, ...]
    minimum: tuple[int, int] = (0, 0)
    newer_suites: dict[str, system_packages.Suite] = field(default_factory=dict)
    """Where an older distribution gets it, run with that suite's own libc."""
    clock_probe: tuple[str, ...] = ()
    """Arguments that print `year N` by its clock, where that clock has to follow libfaketime's file."""


MOSQUITTO = Program(
    name="mosquitto",
    commands=("mosquitto", "mosquitto_pub", "mosquitto_sub"),
    probe=("--help",),
    version_pattern=r"version (\d+)\.(\d+)",
    packages=("mosquitto", "mosquitto-clients"),
    minimum=(2, 0),
)
# The firmware supports MicroPython 1.24 and later. Debian 12 has none and Ubuntu 24.04 has 1.22.
MICROPYTHON = Program(
    name="micropython",
    commands=("micropython",),
    probe=("-c", "import sys; print('version', '.'.join(str(n) for n in sys.implementation.version[:2]))"),
    version_pattern=r"version (\d+)\.(\d+)",
    # A simulated board's clock is libfaketime's, of the interpreter's own architecture.
    packages=("micropython", "libfaketime"),
    clock_probe=("-c", "import time; print('year', time.gmtime()[0])"),
    minimum=(1, 24),
    newer_suites={
        "debian": system_packages.Suite("trixie", "main"),
        "ubuntu": system_packages.Suite("resolute", "universe main"),
    },
)
# Version 1 as packaged: line protocol, `/write`, the `/api/v2/write` of version 2 and InfluxQL. Where a
# distribution has dropped it, the suite that still holds it is used.
INFLUXDB = Program(
    name="influxdb",
    commands=("influxd",),
    probe=("version",),
    version_pattern=r"v(\d+)\.(\d+)",
    packages=("influxdb",),
    minimum=(1, 6),
    newer_suites={
        "debian": system_packages.Suite("bookworm", "main"),
        "ubuntu": system_packages.Suite("noble", "universe main"),
    },
)


def ensure(program: Program, tools: Path) -> None:
    """Make every command of the program work, from PATH or from `tools/bin`.

    Raises:
        SetupError: it is neither present nor to be had; says what to install.
    """
    if all(works(program, which(command, tools)) for command in program.commands):
        return
    say(f"fetching {program.name} from the system's packages into {tools} (no root needed)")
    target, work = tools / program.name, tools / f".fetching-{program.name}"
    reasons = []
    for way in (_own_suite, _newer_suite):
        try:
            way(program, target, work)
            _write_wrappers(program, target, tools / "bin")
            _check(program, tools)
            say(f"{program.name} is in place")
            return
        except SetupError as error:
            reasons.append(str(error))
    for command in program.commands:
        (tools / "bin" / command).unlink(missing_ok=True)
    minimum = ".".join(str(number) for number in program.minimum)
    raise SetupError(
        f"no working {program.name} ({minimum} or later), and none could be fetched:\n  "
        + "\n  ".join(reasons)
        + f"\n  next: sudo apt-get update && sudo apt-get install {' '.join(program.packages)}"
        + f"   (macOS: brew install {program.name})"
    )


def ensure_of_architecture(program: Program, architecture: str, tools: Path) -> Path:
    """The program's first command, built for another architecture that this machine can run.

    Raises:
        SetupError: it could not be fetched, or does not start.
    """
    folder = tools / architecture
    command = folder / "bin" / program.commands[0]
    if not works(program, command):
        say(f"fetching {program.name} for {architecture} from the system's packages into {folder}")
        target, work = folder / program.name, folder / f".fetching-{program.name}"
        system_packages.fetch_with_libc(
            list(program.packages), program.newer_suites, target, work, architecture
        )
        _write_wrappers(program, target, folder / "bin")
        _check(program, folder)
    return command


def ensure_board_interpreter(tools: Path) -> None:
    """MicroPython with the 32-bit words of an ESP32, for the simulated boards.

    A machine that cannot have it runs the boards on its own words: why is said here, and kept in a file from
    which every command says it again. Tried again after a day.
    """
    note = tools / NO_NARROW_WORDS
    if note.exists() and time.time() - note.stat().st_mtime < RETRY_S:
        return
    try:
        if platform.machine() not in ("x86_64", "amd64", "i686"):
            raise SetupError(f"a {platform.machine()} processor runs no i386 programs")
        ensure_of_architecture(MICROPYTHON, "i386", tools)
    except SetupError as error:
        reason = str(error).splitlines()[0].rstrip(":")
        shutil.rmtree(tools / "i386", ignore_errors=True)
        note.write_text(reason + "\n")
        say(f"simulated boards will run on 64-bit words: no 32-bit MicroPython ({reason})")
    else:
        note.unlink(missing_ok=True)


def which(command: str, tools: Path) -> Path | None:
    """The command as fetched, else as found in PATH and where daemons are kept."""
    fetched = tools / "bin" / command
    if fetched.exists():
        return fetched
    found = shutil.which(command, path=os.pathsep.join([os.environ.get("PATH", ""), *DAEMON_FOLDERS]))
    return Path(found) if found else None


def works(program: Program, path: Path | None) -> bool:
    """Whether the command starts and is new enough."""
    if path is None:
        return False
    try:
        done = run([path, *program.probe], timeout_s=PROBE_TIMEOUT_S)
    except SetupError:
        return False
    match = re.search(program.version_pattern, done.output)
    if match is None or (int(match[1]), int(match[2])) < program.minimum:
        return False
    return not program.clock_probe or _follows_clock(program, path)


def _follows_clock(program: Program, path: Path) -> bool:
    """Whether the program believes what libfaketime's file says: 2000, as after an ESP32's power-on."""
    with tempfile.NamedTemporaryFile("w") as clock:
        clock.write(str(_YEAR_2000_S - int(time.time())))
        clock.flush()
        env = {**os.environ, **CLOCK_VARIABLES, "FAKETIME_TIMESTAMP_FILE": clock.name}
        if path.read_bytes()[:2] != b"#!":
            # A wrapper of ours preloads the library that was fetched with the program.
            env["LD_PRELOAD"] = next((str(f) for f in _SYSTEM_LIBRARIES.glob(f"*/faketime/{PRELOADED}")), "")
        try:
            done = run([path, *program.clock_probe], timeout_s=PROBE_TIMEOUT_S, env=env)
        except SetupError:
            return False
    return "year 2000" in done.output


def _own_suite(program: Program, target: Path, work: Path) -> None:
    system_packages.fetch(list(program.packages), target, work)


def _newer_suite(program: Program, target: Path, work: Path) -> None:
    system_packages.fetch_with_libc(list(program.packages), program.newer_suites, target, work)


def _check(program: Program, tools: Path) -> None:
    for command in program.commands:
        if not works(program, tools / "bin" / command):
            raise SetupError(f"{command} of this system's packages does not start or is too old")


def _write_wrappers(program: Program, target: Path, folder: Path) -> None:
    """Scripts that start the unpacked programs with their libraries, by `exec`: the pid is the program's."""
    libraries = sorted({file.parent.relative_to(target) for file in target.rglob("*.so*")})
    search = ":".join(f"$base/{library}" for library in libraries)
    loader = next((f for f in sorted(target.rglob("ld-linux*.so*")) if not f.is_symlink()), None)
    preloaded = next((f.relative_to(target) for f in sorted(target.rglob(PRELOADED))), None)
    folder.mkdir(parents=True, exist_ok=True)
    for command in program.commands:
        binary = next((f for f in target.rglob(command) if f.is_file() and os.access(f, os.X_OK)), None)
        if binary is None:
            raise SetupError(f"the package has no program {command}")
        start = f'"$base/{binary.relative_to(target)}" "$@"'
        # With a clock of its own only where one is named: libfaketime without a file ends the program.
        if loader is None:
            line = f'LD_LIBRARY_PATH="{search}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" exec {start}'
            if preloaded is not None:
                line = f'[ -z "$FAKETIME_TIMESTAMP_FILE" ] || export LD_PRELOAD="$base/{preloaded}"\n{line}'
        else:
            clock = (
                f'${{FAKETIME_TIMESTAMP_FILE:+--preload "$base/{preloaded}"}} '
                if preloaded is not None
                else ""
            )
            line = f'exec "$base/{loader.relative_to(target)}" {clock}--library-path "{search}" {start}'
        script = folder / f".{command}.new"
        script.write_text(
            "#!/bin/sh\n"
            f"# Starts {command} as unpacked beside this folder; made by tools/programs.py.\n"
            f'base=$(cd "$(dirname "$0")/../{shlex.quote(target.name)}" && pwd) || exit 1\n'
            f"{line}\n"
        )
        script.chmod(0o755)
        script.replace(folder / command)
