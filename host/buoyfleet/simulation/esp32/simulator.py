"""Simulated boards for tests, commands and fleets: one event loop on a thread serves all of them.

with Simulator(folder, [128, 129]) as simulator:
    print(simulator.path(128), simulator.url(128))
    simulator.unplug(128)
"""

import asyncio
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from buoyfleet.model.errors import UsageError
from buoyfleet.simulation.buoy import simulated_buoy
from buoyfleet.simulation.esp32.board import Board, Cable, FlashUse
from buoyfleet.simulation.esp32.child import HEAP
from buoyfleet.simulation.esp32.efuse import ESP32, ChipKind
from buoyfleet.simulation.esp32.flash_image import SIZE
from buoyfleet.simulation.esp32.hand import Hand
from buoyfleet.simulation.esp32.ports import PtyPort, Rfc2217Port
from buoyfleet.simulation.esp32.synthetic import synthetic_image
from buoyfleet.simulation.water.environment import Environment

T = TypeVar("T")
ANSWER_S = 20.0


class Simulator:
    """Boards of this machine; every method may be called from any thread.

    Args:
        folder: profiles (`<id>/flash.bin`) and port links (`ports/buoy-<id>`).
        ids: buoys to start, powered and plugged in.
        seed, scenario: of the water they share.
        paced: bytes take the time of the baud rate, and the file system that of a flash chip.
        flashed: boards whose flash is new get a synthetic MicroPython image; else it is erased.
        factory: flash image that new boards get instead, see `factory_image`.
        heap: of MicroPython.
        program: MicroPython in place of the one that the set-up found.
        access_points: Wi-Fi in range, name → password.
        chip: kind of it.
        flash_bytes: size of new boards' flash.
    """

    def __init__(
        self,
        folder: Path,
        ids: Iterable[int] = (),
        *,
        seed: int = 1,
        scenario: str = "calm",
        paced: bool = False,
        flashed: bool = True,
        factory: Path | None = None,
        heap: str = HEAP,
        program: Path | None = None,
        access_points: dict[str, str] | None = None,
        chip: ChipKind = ESP32,
        flash_bytes: int = SIZE,
    ) -> None:
        self.folder = Path(folder).resolve()
        self._environment = Environment(scenario, seed)
        self._seed, self._paced, self._flashed, self._heap = seed, paced, flashed, heap
        self._program = program
        self._chip, self._flash_bytes = chip, flash_bytes
        self._factory = factory
        self._access_points = access_points
        self._boards: dict[int, Board] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._images: dict[ChipKind, bytes] = {}
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated boards", daemon=True)
        self._thread.start()
        self._hand = Hand(self._board, _unplug, lambda board: _plug(board, self._port_of(board.buoy.buoy_id)))
        try:
            self._wait(self._hand.start(self.folder))
            for buoy_id in ids:
                self.add(buoy_id)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ids(self) -> tuple[int, ...]:
        """Of the boards there are."""
        return tuple(self._boards)

    def add(
        self,
        buoy_id: int,
        *,
        plugged: bool = True,
        chip: ChipKind | None = None,
        flash_bytes: int | None = None,
    ) -> None:
        """Start one more board, of another kind or with another flash if given."""
        if buoy_id in self._boards:
            raise UsageError(f"board {buoy_id} is simulated already")
        self._wait(self._add(buoy_id, plugged, chip or self._chip, flash_bytes or self._flash_bytes))

    def path(self, buoy_id: int) -> str:
        """The serial port's path; it stays the same until the board is replugged elsewhere."""
        pty = self._board(buoy_id).pty
        if pty is None:
            raise UsageError(f"board {buoy_id} is not plugged in", next_step="replug it first")
        return str(pty.path)

    def url(self, buoy_id: int) -> str:
        """The same port by RFC 2217, with DTR and RTS."""
        port = self._servers[buoy_id].sockets[0].getsockname()[1]
        return f"rfc2217://127.0.0.1:{port}"

    def state(self, buoy_id: int) -> str:
        """See `Board.state`."""
        return self._board(buoy_id).state

    def child_pid(self, buoy_id: int) -> int | None:
        """Of the board's MicroPython process; None if none runs."""
        return self._board(buoy_id).child_pid

    def unplug(self, buoy_id: int) -> None:
        """Pull the cable, which also powers the board."""
        self._do(buoy_id, _unplug)

    def replug(self, buoy_id: int, name: str | None = None) -> str:
        """Plug it in again, under another port name if given; returns the path. It powers up."""
        path = self._port_of(buoy_id).with_name(name or f"buoy-{buoy_id}")

        self._do(buoy_id, lambda board: _plug(board, path))
        return str(path)

    def power(self, buoy_id: int, on: bool) -> None:
        """Cut or restore the supply while the cable's port stays."""
        self._do(buoy_id, lambda board: board.power(on))

    def cut_power_after_writes(self, buoy_id: int, count: int) -> None:
        """Cut it when the file system begins its count-th block write or erasure from now; 0: never."""
        self._do(buoy_id, lambda board: board.cut_after_writes(count))

    def flash_use(self, buoy_id: int) -> FlashUse:
        """What its file system has read, written and erased so far, paced or not."""
        return self._do(buoy_id, lambda board: board.flash_use)

    def brown_out(self, buoy_id: int) -> None:
        """Let the supply sag."""
        self._do(buoy_id, lambda board: board.brown_out())

    def hang(self, buoy_id: int, on: bool = True) -> None:
        """Let the program stand still, or go on."""
        self._do(buoy_id, lambda board: board.hang(on))

    def noise(self, buoy_id: int, rate: float) -> None:
        """Spoil this share of the bytes on the line, both ways."""

        def set_rate(board: Board) -> None:
            board.noise_rate = rate

        self._do(buoy_id, set_rate)

    def wifi_in_range(self, buoy_id: int, on: bool) -> None:
        """Carry the board out of every access point's range, or back."""

        def carry(board: Board) -> None:
            radio = board.chip.radio
            radio.clear("out-of-range") if on else radio.inject("out-of-range")

        self._do(buoy_id, carry)

    def access_point(self, name: str, password: str | None) -> None:
        """Set up an access point for all boards; None: it is gone."""
        for buoy_id in self.ids:

            def change(board: Board) -> None:
                if password is None:
                    board.chip.radio.access_points.pop(name, None)
                else:
                    board.chip.radio.access_points[name] = password

            self._do(buoy_id, change)

    def with_board(self, buoy_id: int, call: Callable[[Board], T]) -> T:
        """Do something with a board on its loop, e.g. inject a fault into a part."""
        return self._do(buoy_id, call)

    def close(self) -> None:
        """End all boards."""
        if self._loop.is_closed():
            return
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER_S)
        self._loop.close()

    async def _add(self, buoy_id: int, plugged: bool, chip: ChipKind, flash_bytes: int) -> None:
        profile = self.folder / str(buoy_id)
        new = not (profile / "flash.bin").exists()
        if new and self._factory is not None:
            profile.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._factory, profile / "flash.new")
            (profile / "flash.new").replace(profile / "flash.bin")
        buoy = simulated_buoy(buoy_id, self._seed, environment=self._environment, cold=True)
        board = Board(buoy, profile, self._paced, self._heap, self._program, chip, flash_bytes)
        if self._access_points is not None:
            board.chip.radio.access_points = dict(self._access_points)
        if new and self._flashed and self._factory is None:
            if chip not in self._images:
                self._images[chip] = synthetic_image(chip=chip)
            board.flash.write(chip.boot_loader, self._images[chip])
        self._boards[buoy_id] = board

        def taken(port: Rfc2217Port) -> bool:
            if board.pty is None or (board.remote is not None and board.remote.is_open):
                return True
            board.remote = port
            return False

        self._servers[buoy_id] = await self._loop.create_server(
            lambda: Rfc2217Port(Cable(board, modem_lines=True), taken), "127.0.0.1", 0
        )
        if plugged:
            path = self._port_of(buoy_id)
            board.pty = PtyPort(path, Cable(board, modem_lines=False))
            board.power(True)

    def _port_of(self, buoy_id: int) -> Path:
        return self.folder / "ports" / f"buoy-{buoy_id}"

    async def _close(self) -> None:
        self._hand.stop()
        for server in self._servers.values():
            server.close()
        for board in self._boards.values():
            board.close()
        self._boards.clear()

    def _board(self, buoy_id: int) -> Board:
        board = self._boards.get(buoy_id)
        if board is None:
            raise UsageError(f"no simulated board {buoy_id}; there are {', '.join(map(str, self._boards))}")
        return board

    def _do(self, buoy_id: int, call: Callable[[Board], T]) -> T:
        board = self._board(buoy_id)

        async def there() -> T:
            return call(board)

        return self._wait(there())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_S)


def _plug(board: Board, path: Path) -> None:
    _unplug(board)
    board.pty = PtyPort(path, Cable(board, modem_lines=False))
    board.power(True)


def _unplug(board: Board) -> None:
    board.power(False)
    if board.pty is not None:
        board.pty.close()
        board.pty = None
    if board.remote is not None:
        board.remote.close()
        board.remote = None


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
