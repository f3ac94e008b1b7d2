"""Fetching programs: what is present is used, else it comes out of the system's packages."""

import functools
import os
import platform
import shlex
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.programs import system_packages, umqtt
from buoyfleet.programs.catalogue import MICROPYTHON, Program
from buoyfleet.programs.clock import LIBRARY
from buoyfleet.programs.find import NARROW_ARCHITECTURE, which, why_no_narrow, works
from buoyfleet.programs.process import Say

RETRY_S = 86400.0


def ensure(program: Program, folder: Path, say: Say) -> None:
    """Make every command of the program work, from PATH or from `folder/bin`.

    Raises:
        PreflightError: it is neither present nor to be had; says what to install.
    """
    if all(works(program, which(command, folder)) for command in program.commands):
        return
    if system_packages.available():
        say(f"fetching {program.name} from the system's packages into {folder} (no root needed)")
    target, work = folder / program.name, folder / f".fetching-{program.name}"
    reasons = [] if system_packages.available() else ["this system has no apt-get (no Debian, no Ubuntu)"]
    ways = (_own_suite, _newer_suite) if system_packages.available() else ()
    for way in ways:
        try:
            way(program, target, work, say)
            _write_wrappers(program, target, folder / "bin")
            _check(program, folder)
            say(f"{program.name} is in place")
            return
        except PreflightError as error:
            reasons.append(str(error))
    for command in program.commands:
        # A half that was fetched would be taken before what is in PATH.
        (folder / "bin" / command).unlink(missing_ok=True)
    raise PreflightError(
        f"no working {program.wanted}, and none could be fetched:\n  " + "\n  ".join(reasons),
        next_step=by_hand(program),
    )


def by_hand(program: Program) -> str:
    """What to type where nothing can be fetched."""
    if system_packages.available():
        return f"sudo apt-get update && sudo apt-get install {' '.join(program.packages)}"
    others = [package for package in program.packages if package != program.name]
    return " and ".join([f"install {program.wanted}", *others]) + " with this system's package manager"


def ensure_of_architecture(program: Program, architecture: str, folder: Path, say: Say) -> Path:
    """The program's first command, built for another architecture that this machine can run.

    Raises:
        PreflightError: it could not be fetched, or does not start.
    """
    folder = folder / architecture
    command = folder / "bin" / program.commands[0]
    if not works(program, command):
        say(f"fetching {program.name} for {architecture} from the system's packages into {folder}")
        target, work = folder / program.name, folder / f".fetching-{program.name}"
        system_packages.fetch_with_libc(
            list(program.packages), program.newer_suites, target, work, say, architecture
        )
        _write_wrappers(program, target, folder / "bin")
        _check(program, folder)
    return command


def ensure_board_interpreter(folder: Path, say: Say) -> None:
    """MicroPython with the 32-bit words of an ESP32, for the simulated boards.

    A machine that cannot have it runs the boards on its own words: why is said here, and kept in a file from
    which every command says it again. Tried again after a day.
    """
    note = why_no_narrow(folder)
    if note.exists() and time.time() - note.stat().st_mtime < RETRY_S:
        return
    try:
        if platform.machine() not in ("x86_64", "amd64", "i686"):
            raise PreflightError(f"a {platform.machine()} processor runs no i386 programs")
        ensure_of_architecture(MICROPYTHON, NARROW_ARCHITECTURE, folder, say)
    except PreflightError as error:
        reason = str(error).splitlines()[0].rstrip(":")
        shutil.rmtree(folder / NARROW_ARCHITECTURE, ignore_errors=True)
        note.write_text(reason + "\n")
        say(f"simulated boards will run on 64-bit words: no 32-bit MicroPython ({reason})")
    else:
        note.unlink(missing_ok=True)


def _own_suite(program: Program, target: Path, work: Path, say: Say) -> None:
    system_packages.fetch(list(program.packages), target, work, say)


def _newer_suite(program: Program, target: Path, work: Path, say: Say) -> None:
    system_packages.fetch_with_libc(list(program.packages), program.newer_suites, target, work, say)


def _check(program: Program, folder: Path) -> None:
    for command in program.commands:
        if not works(program, folder / "bin" / command):
            raise PreflightError(f"{command} of this system's packages does not start or is too old")


def _write_wrappers(program: Program, target: Path, folder: Path) -> None:
    """Scripts that start the unpacked programs with their libraries, by `exec`: the pid is the program's."""
    libraries = sorted({file.parent.relative_to(target) for file in target.rglob("*.so*")})
    search = ":".join(f"$base/{library}" for library in libraries)
    loader = next((f for f in sorted(target.rglob("ld-linux*.so*")) if not f.is_symlink()), None)
    preloaded = next((f.relative_to(target) for f in sorted(target.rglob(LIBRARY))), None)
    folder.mkdir(parents=True, exist_ok=True)
    for command in program.commands:
        binary = next((f for f in target.rglob(command) if f.is_file() and os.access(f, os.X_OK)), None)
        if binary is None:
            raise PreflightError(f"the package has no program {command}")
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
            f"# Starts {command} as unpacked beside this folder; made by buoyfleet.\n"
            f'base=$(cd "$(dirname "$0")/../{shlex.quote(target.name)}" && pwd) || exit 1\n'
            f"{line}\n"
        )
        script.chmod(0o755)
        script.replace(folder / command)


def prepare(programs: Iterable[Program], kept: Path, python: Path, say: Say) -> None:
    """Fetch programs into `kept`; with MicroPython also what simulated boards need beside it.

    Args:
        programs: which.
        kept: folder of what is fetched; the caller holds its lock (`set_up`).
        python: an interpreter that has `unearth`.
        say: takes progress.

    Raises:
        PreflightError: with everything that could not be had; the rest is there.
    """
    steps: list[Callable[[], None]] = []
    for program in programs:
        steps.append(functools.partial(ensure, program, kept, say))
        if program is MICROPYTHON:
            steps.append(functools.partial(ensure_board_interpreter, kept, say))
            steps.append(functools.partial(umqtt.ensure, python, kept, say))
    errors = []
    for step in steps:
        try:
            step()
        except PreflightError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise PreflightError("\n".join(str(error) for error in errors))
