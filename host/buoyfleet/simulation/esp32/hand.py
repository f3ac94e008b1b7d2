"""The hand at simulated boards, from another process: probes into vessels, faults, cables, power.

A line of JSON each way over TCP on loopback; `<folder>/hand.json` names the port. What a person does at a
bench, `buoy hand` does here, and so can a program that automates one.
"""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from buoyfleet.model.errors import BoardError, PreflightError
from buoyfleet.simulation.esp32.board import Board
from buoyfleet.simulation.parts.solutions import Vessel, vessel
from buoyfleet.simulation.water.medium import Medium, truth

FILE_NAME = "hand.json"
ANSWER_S = 10.0
ROOM_C = 21.0
BATH_C = 22.0
# What procedures call a vessel that has no solution of its own.
_ALSO: dict[str, Callable[[float], Vessel]] = {
    "bath": lambda _: vessel("clear-water", BATH_C),
    "full": lambda temp_c: vessel("clear-water", temp_c),
    "empty": lambda temp_c: vessel("air", temp_c),
}


def vessel_of(name: str, temp_c: float) -> Vessel:
    """A vessel by its name; raises ValueError with those there are."""
    maker = _ALSO.get(name)
    return maker(temp_c) if maker is not None else vessel(name, temp_c)


class Hand:
    """Serves requests for the boards of one simulator; belongs to its event loop.

    Args:
        board: gives a board by its id; raises UsageError.
        unplug: pulls a board's cable.
        plug: plugs it in again.
    """

    def __init__(
        self, board: Callable[[int], Board], unplug: Callable[[Board], None], plug: Callable[[Board], None]
    ) -> None:
        self._board, self._unplug, self._plug = board, unplug, plug
        self._server: asyncio.Server | None = None
        self._file: Path | None = None

    async def start(self, folder: Path) -> None:
        """Listen, and write where."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._file = folder / FILE_NAME
        folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"port": self._server.sockets[0].getsockname()[1]}))

    def stop(self) -> None:
        """No more."""
        if self._server is not None:
            self._server.close()
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the other end is gone, or sent a line without end
        finally:
            writer.close()

    def answer(self, line: bytes) -> dict[str, Any]:
        """The reply to one request: `ok` with what came of it, or `error` with a sentence."""
        try:
            request = json.loads(line)
            return {"ok": self._do(request)}
        except (ValueError, KeyError, TypeError, LookupError) as error:
            return {"error": f"missing {error}" if isinstance(error, KeyError) else str(error)}
        except Exception as error:  # a simulated board's own complaint, in words for whoever asked
            return {"error": str(error)}

    def _do(self, request: dict[str, Any]) -> Any:
        board = self._board(int(request["board"]))
        bench = board.buoy.bench
        board.advance()
        what = request["do"]
        if what == "put":
            keys = request.get("keys") or tuple(bench.parts)
            medium: Medium = (
                board.buoy.place
                if request["vessel"] == "water"
                else vessel_of(request["vessel"], float(request.get("temp_c", ROOM_C)))
            )
            bench.put(medium, *keys)
            return {"in": request["vessel"], "truth": truth(medium.sample(bench.t_s))}
        if what == "fault":
            bench.inject(request["key"], request["fault"])
        elif what == "clear":
            bench.clear(request.get("key"), request.get("fault"))
        elif what == "foul":
            bench.part(request["key"]).fouling = float(request["share"])
        elif what == "unplug":
            self._unplug(board)
        elif what == "plug":
            self._plug(board)
        elif what == "power":
            board.power(bool(request["on"]))
        elif what == "look":
            return {
                key: {
                    "in": getattr(part.medium, "name", "water"),
                    "true": truth(part.sample(bench.t_s))[key],
                    "faults": sorted(part.faults),
                    "possible": dict(part.FAULTS),
                }
                for key, part in bench.parts.items()
            }
        else:
            raise ValueError(f"unknown action `{what}`")
        return None


def ask_hand(folder: Path, request: dict[str, Any]) -> Any:
    """Have the simulator of a folder do something; gives what came of it.

    Raises:
        PreflightError: no simulator runs there.
        BoardError: it will not.
    """
    try:
        port = int(json.loads((folder / FILE_NAME).read_text())["port"])
        with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
            connection.settimeout(ANSWER_S)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                reply = json.loads(stream.readline())
    except (OSError, ValueError, KeyError) as error:
        raise PreflightError(
            f"no simulated boards run in {folder}",
            cause=f"{error}",
            next_step="start them: buoy simulate; or name their folder with --folder",
        ) from error
    if "error" in reply:
        raise BoardError(
            str(reply["error"]), where=f"board {request.get('board')}", next_step="buoy hand --help"
        )
    return reply["ok"]
