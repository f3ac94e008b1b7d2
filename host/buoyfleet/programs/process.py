"""Programs run under a deadline, with their output kept."""

import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.model.errors import PreflightError

Say = Callable[[str], None]
"""Takes one line of progress."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended by itself or at its deadline."""

    code: int
    output: str
    """Standard output and error together."""

    def tail(self, lines: int = 12) -> str:
        """The last lines, indented, to quote in a message."""
        return "\n".join(f"    {line}" for line in self.output.splitlines()[-lines:])


def run(
    command: Sequence[str | Path],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run a program to its end; it is killed at the deadline and whenever this call is left early.

    Raises:
        PreflightError: the program does not exist or passed its deadline.
    """
    words = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise PreflightError(f"cannot start {words[0]}: {error.strerror}") from error
    expired = threading.Event()

    def end() -> None:
        expired.set()
        process.kill()

    timer = threading.Timer(timeout_s, end)
    timer.start()
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if on_line is not None:
                on_line(line.rstrip("\n"))
        code = process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    if expired.is_set():
        raise PreflightError(
            f"{Path(words[0]).name} did not finish within {timeout_s:.0f} s\n"
            f"{Finished(code, ''.join(lines)).tail()}",
            cause="a slow or missing network connection",
            next_step="check the connection and type the same command again",
        )
    return Finished(code, "".join(lines))
