"""The control channel of a twin: one JSON object per line over TCP on loopback, answered in the same way.

    → {"id": 1, "do": "counts", "mark": 0}
    ← {"id": 1, "received": 3000, "stored": {"timestream": 27000, "s3": 0}}
    ← {"id": 2, "progress": {…}}             (drain only, any number before the answer)
    ← {"id": 3, "error": {"what": …, "cause": …, "next_step": …}}

A line that is no request ends the connection, so that nothing else that happens to speak to the port (a web
browser, say) is ever taken for one.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from host.model.errors import BuoyError, UsageError

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A collect names its buoys: a million ids fit."""

Progress = Callable[[dict[str, Any]], None]
Command = Callable[[dict[str, Any], Progress], Awaitable[dict[str, Any]]]


class ControlServer:
    """Answers requests with the given commands."""

    def __init__(self, commands: dict[str, Command]) -> None:
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port.

        Raises:
            OSError: the address is taken.
        """
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_LINE_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close all connections. Safe to call twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in list(self._open):
            writer.close()
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while line := await reader.readline():
                request = _request(line)
                if request is None:
                    return
                writer.write(_line(await self._answer(request, writer)))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            return  # the other side went away, or sent a line beyond the bound
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        number = request.get("id")

        def progress(values: dict[str, Any]) -> None:
            writer.write(_line({"id": number, "progress": values}))

        command = self._commands.get(str(request.get("do")))
        try:
            if command is None:
                raise UsageError(
                    f"unknown command {request.get('do')!r}", next_step=f"one of {', '.join(self._commands)}"
                )
            return {"id": number, **await command(request, progress)}
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


def _request(line: bytes) -> dict[str, Any] | None:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return request if isinstance(request, dict) else None


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
