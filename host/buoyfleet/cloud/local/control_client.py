"""The other end of a twin's control channel."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from buoyfleet.cloud.local.control import MAX_LINE_BYTES
from buoyfleet.model.errors import TargetError

ANSWER_TIMEOUT_S = 10.0
"""For commands at which a person waits. A run waits longer, since it would lose its twin."""


class ConnectionLost(TargetError):
    """The connection to the twin broke; the twin may live."""


class NoAnswer(TargetError):
    """The twin did not answer in time; it may live."""


class ControlClient:
    """One connection to a twin; one request at a time, each with its own time limit."""

    def __init__(self, host: str, port: int) -> None:
        self.address = f"{host}:{port}"
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._lock = asyncio.Lock()
        self._number = 0

    async def open(self, timeout_s: float) -> None:
        """Connect.

        Raises:
            ConnectionLost: nobody answers there.
        """
        self.close()
        try:
            async with asyncio.timeout(timeout_s):
                self._reader, self._writer = await asyncio.open_connection(
                    self._host, self._port, limit=MAX_LINE_BYTES
                )
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(
                f"no twin answers: {getattr(error, 'strerror', None) or 'no connection in time'}",
                where=self.address,
                cause="it is not running, or this is not its control address",
                next_step="start one with `buoy twin`; it prints its control address",
            ) from None

    def close(self) -> None:
        """Drop the connection. Safe to call twice."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                writer.close()

    async def request(
        self,
        do: str,
        within_s: float,
        progress: Callable[[dict[str, Any]], None] | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Send one request and wait for its answer, at most `within_s` after the last progress.

        Raises:
            NoAnswer: not in time.
            ConnectionLost: the connection broke, or there is none.
            TargetError: the twin refused it.
        """
        async with self._lock:
            self._number += 1
            line = json.dumps({"id": self._number, "do": do, **fields}, separators=(",", ":")) + "\n"
            try:
                async with asyncio.timeout(within_s) as limit:

                    def moved(values: dict[str, Any]) -> None:
                        limit.reschedule(asyncio.get_running_loop().time() + within_s)
                        if progress is not None:
                            progress(values)

                    return await self._exchange(line.encode(), moved)
            except TimeoutError:
                self.close()  # a late answer must not be taken for that of the next request
                raise NoAnswer(
                    f"the twin did not answer {do!r} in {within_s:g} s",
                    where=self.address,
                    cause="the machine is overloaded, or the twin hangs",
                ) from None

    async def _exchange(self, line: bytes, progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        if self._writer is None or self._reader is None or self._writer.is_closing():
            raise self._gone()
        try:
            self._writer.write(line)
            await self._writer.drain()
            while True:
                answer = await self._reader.readline()
                if not answer.endswith(b"\n"):
                    raise self._gone()
                message: dict[str, Any] = json.loads(answer)
                if "progress" not in message:
                    break
                progress(message["progress"])
        except (ConnectionError, ValueError):
            raise self._gone() from None
        error = message.get("error")
        if error is not None:
            raise TargetError(
                str(error["what"]),
                where=error.get("where") or f"twin at {self.address}",
                cause=error.get("cause", ""),
                next_step=error.get("next_step", ""),
            )
        return message

    def _gone(self) -> ConnectionLost:
        self.close()
        return ConnectionLost("the twin closed the control connection", where=self.address)


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `PORT` of a control channel on this machine.

    Raises:
        ValueError: with one sentence that says what is wrong.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no address; write HOST:PORT as `buoy twin` prints it")
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError(f"{host} is not this machine; a twin is used on the machine where it runs")
    return host, int(port)


def mismatch_of(status: dict[str, Any], payload: str, topic_prefix: str) -> str:
    """Why a run cannot use the twin that said this of itself; empty: it can."""
    for key, wanted in (("payload", payload), ("topic_prefix", topic_prefix)):
        if status[key] != wanted:
            return f"the twin was started for {key} {status[key]!r}, the run uses {wanted!r}"
    return ""
