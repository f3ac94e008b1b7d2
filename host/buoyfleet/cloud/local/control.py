"""The control channel of a twin: one JSON object per line over TCP on loopback, answered in the same way.

    → {"id": 1, "do": "counts", "mark": 0}
    ← {"id": 1, "received": 3000, "stored": {"timestream": 27000, "s3": 0}}
    ← {"id": 2, "progress": {…}}             (drain only, any number before the answer)
    ← {"id": 3, "error": {"what": …, "cause": …, "next_step": …}}

A line that is no request ends the connection, so that nothing else that happens to speak to the port (a web
browser, say) is ever taken for one.

The channel has a thread and a loop of its own: whoever asks how a twin is doing gets an answer while its loop
is busy with the messages of thousands of boards. What changes something runs on the twin's loop.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from buoyfleet.model.errors import BuoyError, UsageError

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A collect names its buoys: a million ids fit."""

Progress = Callable[[dict[str, Any]], None]
Command = Callable[[dict[str, Any], Progress], Awaitable[dict[str, Any]]]
Look = Callable[[dict[str, Any]], dict[str, Any]]

_STOP_S = 5.0
_LAST_ANSWER_S = 1.0
"""For the answers under way, that to `stop` among them."""


class ControlServer:
    """Answers requests with the given commands."""

    def __init__(self, commands: dict[str, Command], looks: dict[str, Look]) -> None:
        """Nothing listens yet.

        Args:
            commands: run on the loop that calls `start`.
            looks: only read numbers, and so may run in the channel's own thread.
        """
        self._commands = commands
        self._looks = looks
        self._twin: asyncio.AbstractEventLoop | None = None
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port.

        Raises:
            OSError: the address is taken.
        """
        self._twin = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="control", daemon=True)
        self._thread.start()
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(self._listen(host, port), self._loop)
        )

    async def stop(self) -> None:
        """Close all connections. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(thread.join, _STOP_S)
        self._loop.close()

    # On the channel's own loop

    async def _listen(self, host: str, port: int) -> int:
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_LINE_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._answering:
            await asyncio.wait(self._answering, timeout=_LAST_ANSWER_S)
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._serving.add(task)
        try:
            while line := await reader.readline():
                request = _request(line)
                if request is None:
                    return
                self._answering.add(task)
                writer.write(_line(await self._answer(request, writer)))
                await writer.drain()
                self._answering.discard(task)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            return  # the other side went away, or sent a line beyond the bound
        finally:
            self._serving.discard(task)
            self._answering.discard(task)
            writer.close()

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        number = request.get("id")

        def progress(values: dict[str, Any]) -> None:
            self._loop.call_soon_threadsafe(writer.write, _line({"id": number, "progress": values}))

        do = str(request.get("do"))
        try:
            if do in self._looks:
                return {"id": number, **self._looks[do](request)}
            if do not in self._commands or self._twin is None:
                known = ", ".join((*self._looks, *self._commands))
                raise UsageError(f"unknown command {do!r}", next_step=f"one of {known}")
            work = asyncio.run_coroutine_threadsafe(_run(self._commands[do], request, progress), self._twin)
            answer: dict[str, Any] = await asyncio.wrap_future(work)
            return {"id": number, **answer}
        except BuoyError as error:
            words = {
                "what": error.what,
                "where": error.where,
                "cause": error.cause,
                "next_step": error.next_step,
            }
            return {"id": number, "error": words}
        except OSError as error:
            return {
                "id": number,
                "error": {"what": f"{error.strerror or error}", "where": str(error.filename or "")},
            }
        except (KeyError, TypeError, ValueError) as error:
            return {"id": number, "error": {"what": f"bad request: {error!r}"}}


async def _run(command: Command, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    return await command(request, progress)


def _request(line: bytes) -> dict[str, Any] | None:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return request if isinstance(request, dict) else None


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
