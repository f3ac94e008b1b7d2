"""The process of a twin, from the outside: starting it, how it ended, ending it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from buoyfleet.model.errors import PreflightError, TargetError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
"""For each of: the end of its input, SIGTERM, SIGKILL."""
END_NOTICE_S = 1.0


class TwinProcess:
    """One process `python -m buoyfleet.cloud.local.server CONFIG`."""

    def __init__(self, config_path: Path, log_path: Path) -> None:
        self._config_path = config_path
        self.log_path = log_path
        """What it prints goes here."""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, secrets: dict[str, str] | None = None) -> dict[str, Any]:
        """Start it and return its ready line: `host`, `port`, `control_port`, `pid`, `folder`.

        Args:
            secrets: what to add to its environment.

        Raises:
            PreflightError: it cannot run; its own words.
            TargetError: it did not come up in time, or ended at once.
            OSError: the log cannot be written.
        """
        with self.log_path.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal is for the run, which drains the twin first.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "buoyfleet.cloud.local.server",
                str(self._config_path),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(secrets or {})},
            )
        message = await self._ready_line(self._process)
        if not message["ready"]:
            error = message["error"]
            raise PreflightError(
                error["what"],
                where=error.get("where", ""),
                cause=error.get("cause", ""),
                next_step=error.get("next_step", ""),
            )
        return message

    async def _ready_line(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        if process.stdout is None:
            raise TargetError("the twin has no standard output")
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await process.stdout.readline()
        except TimeoutError:
            raise TargetError(
                f"the twin did not listen within {START_TIMEOUT_S:g} s",
                where=str(self.log_path),
                cause="the machine is overloaded",
            ) from None
        if not line:
            await process.wait()
            raise TargetError(
                f"the twin ended while starting ({self.end_in_words()})",
                where=str(self.log_path),
                cause=self.last_words(),
                next_step=f"read {self.log_path}",
            )
        message: dict[str, Any] = json.loads(line)
        return message

    @property
    def dead(self) -> bool:
        """Whether it was started and runs no more."""
        return self._process is not None and self._process.returncode is not None

    async def notice_end(self) -> None:
        """A process that closed its connections is about to end: wait a moment for its status."""
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_NOTICE_S):
                    await self._process.wait()

    def end_in_words(self) -> str:
        """How it ended, e.g. `signal SIGKILL`."""
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return "not running"
        if code >= 0:
            return f"status {code}"
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
        return f"signal {-code}"

    def ended(self, folder: Path) -> TargetError:
        """It ended before the run did; its data are in `folder`."""
        return TargetError(
            f"the twin ended in mid-run ({self.end_in_words()})",
            where=str(self.log_path),
            cause=self.last_words() or "killed, or out of memory",
            next_step=f"what it had stored stays in {folder}; the verdict uses it",
        )

    def last_words(self) -> str:
        """The last line it printed; empty where there is none."""
        try:
            lines = self.log_path.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:200] if lines else ""

    async def stop(self) -> None:
        """End it: by the end of its input, else by force. Safe to call twice."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None and process.returncode is None:
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
                return
