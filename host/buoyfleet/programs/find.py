"""Where a program is and whether it works: as fetched, else as found in PATH."""

import functools
import os
import re
import shlex
import shutil
from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.programs.catalogue import MICROPYTHON, Program
from buoyfleet.programs.clock import check_clock
from buoyfleet.programs.process import run

PROBE_TIMEOUT_S = 20.0
# Debian puts daemons where the PATH of a plain user does not look.
DAEMON_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
NARROW_ARCHITECTURE = "i386"


def which(command: str, folder: Path) -> Path | None:
    """The command as fetched into `folder`, else as found in PATH and where daemons are kept."""
    fetched = folder / "bin" / command
    if fetched.exists():
        return fetched
    found = shutil.which(command, path=os.pathsep.join([os.environ.get("PATH", ""), *DAEMON_FOLDERS]))
    return Path(found) if found else None


def typed(program: Program, command: str, folder: Path) -> str:
    """How to type a command: by its name, else by where `buoy setup` put it or will put it."""
    found = which(command, folder)
    if found is None:
        return f"buoy setup {program.name}, then: {shlex.quote(str(folder / 'bin' / command))}"
    return command if shutil.which(command) else shlex.quote(str(found))


def narrow(folder: Path) -> Path:
    """Where a fetched MicroPython with the 32-bit words of an ESP32 is, if it is there."""
    return folder / NARROW_ARCHITECTURE / "bin" / MICROPYTHON.commands[0]


def why_no_narrow(folder: Path) -> Path:
    """File that says why it could not be fetched."""
    return folder / "no-32-bit-micropython"


@functools.cache
def version(program: Program, path: Path) -> str:
    """The version of a program that works, e.g. `1.24`.

    Raises:
        PreflightError: it does not start, is too old, or does not keep a clock of its own.
    """
    try:
        done = run([path, *program.probe], timeout_s=PROBE_TIMEOUT_S)
    except PreflightError as error:
        raise PreflightError(f"{path} does not start: {error.what}") from error
    match = re.search(program.version_pattern, done.output)
    if match is None:
        said = (done.output.strip().splitlines() or [f"exit code {done.code}"])[-1]
        raise PreflightError(f"{path} does not print its version: {said}")
    if (int(match[1]), int(match[2])) < program.minimum:
        raise PreflightError(f"{path} is version {match[1]}.{match[2]}; {program.wanted} is needed")
    if program.own_clock:
        check_clock(path)
    return f"{match[1]}.{match[2]}"


def works(program: Program, path: Path | None) -> bool:
    """Whether the command starts and is new enough."""
    if path is None:
        return False
    try:
        version(program, path)
    except PreflightError:
        return False
    return True
