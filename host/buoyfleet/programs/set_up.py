"""Fetch the programs that only the system can give; one set-up of a folder at a time."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from buoyfleet.model.errors import UsageError
from buoyfleet.model.file_lock import file_lock
from buoyfleet.model.kept import written_to
from buoyfleet.programs.catalogue import FETCHED, MICROPYTHON
from buoyfleet.programs.fetch import prepare
from buoyfleet.programs.find import which, why_no_narrow
from buoyfleet.programs.process import Say

LOCK_TIMEOUT_S = 1800.0


def set_up(names: Sequence[str], kept: Path, python: Path, say: Say) -> list[Path]:
    """Fetch programs, or say that they are there.

    Args:
        names: of the catalogue; none: what simulated boards need.
        kept: folder of what is fetched.
        python: an interpreter that has `unearth`.
        say: takes progress.

    Returns:
        The commands of those programs, ready to run.

    Raises:
        UsageError: no such program.
        PreflightError: with everything that could not be fetched; the rest is there. Or another set-up was
            under way for too long, or the folder cannot be written.
    """
    known = {program.name: program for program in FETCHED}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"unknown program {', '.join(unknown)}", next_step=f"use {', '.join(known)}")
    wanted = [known[name] for name in names or (MICROPYTHON.name,)]
    with alone(kept, say):
        # Whoever asks wants it tried again now.
        why_no_narrow(kept).unlink(missing_ok=True)
        prepare(wanted, kept, python, say)
    found = [which(command, kept) for program in wanted for command in program.commands]
    return [command for command in found if command is not None]


@contextlib.contextmanager
def alone(kept: Path, say: Say) -> Iterator[None]:
    """Hold the lock of a folder of programs, so that two set-ups at once do not build the same.

    Raises:
        PreflightError: another has held it for too long, or the folder cannot be written.
    """
    with written_to(kept):
        lock = kept / "lock"
        lock.touch()

    def waiting() -> None:
        say(f"another set-up of {kept} is under way; waiting for it")

    with file_lock(lock, LOCK_TIMEOUT_S, f"setting up {kept}", waiting):
        yield
