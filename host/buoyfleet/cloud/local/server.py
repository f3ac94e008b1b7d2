"""The twin as a process of its own: `python -m buoyfleet.cloud.local.server CONFIG.json [--standalone]`.

Prints one JSON line when it listens, `{"ready": true, "host", "port", "control_port", "pid", "folder"}`,
or when it cannot: `{"ready": false, "exit_code", "error": {"what", "where", "cause", "next_step"}}`. Ends by
itself when standard input does (its parent is gone), unless `--standalone`, and delivers first what it holds;
SIGINT and SIGTERM end it at once.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from buoyfleet.cloud.local.config import TwinConfig, load
from buoyfleet.cloud.local.twin import Twin
from buoyfleet.model.errors import BuoyError
from buoyfleet.model.exit_codes import ExitCode


async def serve(
    config: TwinConfig,
    on_ready: Callable[[Twin], None],
    *,
    watch_parent: bool,
    while_running: Callable[[Twin], Awaitable[None]] | None = None,
) -> None:
    """Run a twin until it is told to stop.

    Args:
        config: its settings.
        on_ready: called when it listens.
        watch_parent: whether the end of standard input ends it.
        while_running: run beside it, and cancelled at its end.

    Raises:
        BuoyError: it cannot start.
    """
    twin = Twin(config)
    loop = asyncio.get_running_loop()
    at_once = asyncio.Event()

    def end() -> None:
        at_once.set()
        twin.stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    beside: asyncio.Task[Any] | None = None
    try:
        await twin.start()
        if watch_parent:
            await _watch_parent(twin.stopping)
        on_ready(twin)
        if while_running is not None:
            beside = asyncio.ensure_future(while_running(twin))
        await twin.stopping.wait()
        if twin.failure is not None:
            raise twin.failure
        if watch_parent and not at_once.is_set():
            await twin.deliver_rest(at_once)
    finally:
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
        await twin.close()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


class _UntilEnd(asyncio.Protocol):
    """Sets an event when a pipe ends."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._ended.set()


async def _watch_parent(ended: asyncio.Event) -> None:
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
        raise BuoyError("standard input is no pipe", next_step="start the twin with --standalone")
    with contextlib.suppress(OSError, ValueError):
        await asyncio.get_running_loop().connect_read_pipe(lambda: _UntilEnd(ended), sys.stdin)


def run(main: "Awaitable[None]") -> None:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    # Most of what a twin makes stays (rows, index): looking for garbage often only costs time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_awaited(main))


async def _awaited(main: "Awaitable[None]") -> None:
    await main


def _say(message: dict[str, Any]) -> None:
    # The parent reads one line; whoever has closed the pipe does not want to know.
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Entry point of the process."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--standalone"]
    standalone = len(arguments) < len(sys.argv) - 1
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m buoyfleet.cloud.local.server CONFIG.json [--standalone]\n")
        return int(ExitCode.USAGE)

    def on_ready(twin: Twin) -> None:
        status = twin.status()
        _say(
            {"ready": True, **{key: status[key] for key in ("host", "port", "control_port", "pid", "folder")}}
        )

    try:
        config = load(Path(arguments[0]))
        run(serve(config, on_ready, watch_parent=not standalone))
    except BuoyError as error:
        words = {"what": error.what, "where": error.where, "cause": error.cause, "next_step": error.next_step}
        _say({"ready": False, "error": words, "exit_code": int(error.exit_code)})
        return int(error.exit_code)
    return int(ExitCode.OK)


if __name__ == "__main__":
    raise SystemExit(main())
