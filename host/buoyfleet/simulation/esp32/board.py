"""One simulated ESP32: reset circuit, what runs, and what reaches its serial line."""

import asyncio
import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.simulation.buoy import SimulatedBuoy
from buoyfleet.simulation.buses.chip import (
    DEEPSLEEP_RESET,
    HARD_RESET,
    PWRON_RESET,
    SOFT_RESET,
    WDT_RESET,
    ChipEvent,
)
from buoyfleet.simulation.buses.server import answer
from buoyfleet.simulation.esp32.board_clock import BoardClock
from buoyfleet.simulation.esp32.boot import Boot, boot, download_text
from buoyfleet.simulation.esp32.child import HEAP, SOFT_FRIENDLY, SOFT_RAW, Child, Start
from buoyfleet.simulation.esp32.efuse import ESP32, ChipKind
from buoyfleet.simulation.esp32.flash_image import SIZE, FlashImage
from buoyfleet.simulation.esp32.nvs import FlashNvs
from buoyfleet.simulation.esp32.pacer import Pacer
from buoyfleet.simulation.esp32.ports import PtyPort, Rfc2217Port
from buoyfleet.simulation.esp32.rom import ROM_BAUD, SYNC_START, RomLoader

WATCH_S = 0.1
"""How often the watchdog is looked at."""
IO0_WINDOW_S = 0.3
"""After EN was released with both lines set, IO0 may still go low for so long: the capacitor at EN, and a
client of RFC 2217 that waits for each line to be confirmed."""
ROM_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class FlashUse:
    """Operations of the file system on the flash chip."""

    reads: int
    writes: int
    erases: int

    def since(self, before: "FlashUse") -> "FlashUse":
        """What came after."""
        return FlashUse(self.reads - before.reads, self.writes - before.writes, self.erases - before.erases)


class Cable:
    """What one port tells its board."""

    def __init__(self, board: "Board", modem_lines: bool) -> None:
        self._board = board
        self._modem_lines = modem_lines

    def received(self, data: bytes) -> None:
        """See `Listener`."""
        self._board.from_host(data, self._modem_lines)

    def opened(self) -> None:
        """See `Listener`."""

    def closed(self) -> None:
        """See `Listener`."""
        if not self._modem_lines:
            self._board.pty_closed()

    def lines(self, dtr: bool, rts: bool) -> None:
        """See `Listener`."""
        self._board.lines(dtr, rts)


class Board:
    """One board; every method belongs to the event loop.

    Args:
        buoy: its parts, pins and chip.
        folder: its profile: flash image and control file.
        paced: bytes take the time that the baud rate gives them, operations of the flash theirs.
        heap: MicroPython's `-X heapsize`.
        program: MicroPython in place of the one that the set-up found.
        kind: of chip.
        flash_bytes: size of its flash.
    """

    def __init__(
        self,
        buoy: SimulatedBuoy,
        folder: Path,
        paced: bool = False,
        heap: str = HEAP,
        program: Path | None = None,
        kind: ChipKind = ESP32,
        flash_bytes: int = SIZE,
    ) -> None:
        self.buoy = buoy
        self.kind = kind
        self.chip = buoy.bench.chip
        self.flash = FlashImage(folder / "flash.bin", flash_bytes)
        self.chip.nvs = self.nvs = FlashNvs(self.flash)
        self.paced = paced
        self.state = "off"
        """off, reset, rom, dead (nothing boots), running or asleep."""
        self.noise_rate = 0.0
        """Share of bytes that the line spoils."""
        self.pty: PtyPort | None = None
        self.remote: Rfc2217Port | None = None
        self.boots = 0
        self._heap, self._program = heap, program
        self._control = folder / "control.bin"
        # See repl/partition.py: writes until the power goes, whether operations take their time, counts.
        self._control.write_bytes(bytes((0, 0, paced)) + bytes(12))
        self._loop = asyncio.get_running_loop()
        self._began = time.monotonic()
        self._random = random.Random(buoy.buoy_id)
        self._clock = BoardClock(folder / "clock")
        self._child: Child | None = None
        self._rom: RomLoader | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watch = self._loop.call_later(WATCH_S, self._look)
        self._tail = b""
        self._baud = ROM_BAUD
        self._inward = Pacer(self._loop, self._take)
        self._outward = Pacer(self._loop, lambda data, _flag: self._give(data))
        self._lines = (False, False)
        self._brown_out = False
        self._outcome = Boot(b"")

    # Power

    def power(self, on: bool) -> None:
        """Supply on (a cold start) or off."""
        self._stop()
        self.state = "off"
        if on:
            self._start(PWRON_RESET)

    def brown_out(self) -> None:
        """The supply sags: the chip says so and starts again."""
        self._stop()
        self.to_host(b"\r\nBrownout detector was triggered\r\n\r\n")
        self._brown_out = True
        self._start(PWRON_RESET)

    def cut_after_writes(self, count: int) -> None:
        """The power goes when the file system begins its `count`-th block write or erasure from now on."""
        with self._control.open("r+b") as file:
            file.write(count.to_bytes(2, "little"))

    @property
    def flash_use(self) -> FlashUse:
        """What the file system has done since the board was made; reads are up to 32 behind."""
        return FlashUse(*struct.unpack_from("<III", self._control.read_bytes(), 3))

    def hang(self, on: bool = True) -> None:
        """The program stands still (the watchdog runs on), or goes on."""
        if self._child is not None:
            self._child.pause(on)

    def close(self) -> None:
        """End everything; the profile stays."""
        self._watch.cancel()
        self._stop()
        self.state = "off"
        if self.pty is not None:
            self.pty.close()
        if self.remote is not None:
            self.remote.close()
        self.flash.close()

    @property
    def child_pid(self) -> int | None:
        """Of its MicroPython process."""
        return None if self._child is None else self._child.pid

    # Line

    def from_host(self, data: bytes, modem_lines: bool) -> None:
        """Bytes from a port."""
        if self.noise_rate:
            data = self._spoil(data)
        if not self.paced:
            self._take(data, modem_lines)
            return
        self._inward.send(data, modem_lines, self._baud)

    def to_host(self, data: bytes) -> None:
        """Bytes for whoever has a port open."""
        if self.noise_rate:
            data = self._spoil(data)
        if not self.paced:
            self._give(data)
            return
        self._outward.send(data, False, self._baud)

    def lines(self, dtr: bool, rts: bool) -> None:
        """The two transistors of a DevKit: RTS alone pulls EN low, DTR alone pulls IO0 low."""
        before, self._lines = self._lines, (dtr, rts)
        if self.state == "off":
            return
        if rts and not dtr:
            self._stop()
            self.state = "reset"
        elif self.state == "reset":
            if dtr and not rts:
                self._download(PWRON_RESET)
            elif before == (False, True):
                delay = IO0_WINDOW_S if dtr and rts else 0.0
                self._later(delay, lambda: self._start(PWRON_RESET))

    def pty_closed(self) -> None:
        """Without modem lines the loader ends with the session."""
        if self.state == "rom":
            self._start(PWRON_RESET)

    def _give(self, data: bytes) -> None:
        if self.pty is not None:
            self.pty.write(data)
        if self.remote is not None:
            self.remote.write(data)

    def _take(self, data: bytes, modem_lines: bool) -> None:
        if self.state in ("off", "reset", "asleep"):
            return
        if self._rom is None and not modem_lines:
            window = self._tail + data
            at = window.find(SYNC_START)
            if at >= 0:
                self._download(PWRON_RESET, quiet=True)
                data = window[at:]
            else:
                self._tail = window[-len(SYNC_START) + 1 :]
        if self._rom is not None:
            self._rom.feed(data)
        elif self._child is not None:
            self._child.feed(data)

    def _spoil(self, data: bytes) -> bytes:
        draw = self._random.random
        return bytes(byte ^ 1 << int(8 * draw()) if draw() < self.noise_rate else byte for byte in data)

    # Resets

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._child is not None:
            self._child.kill()
            self._child = None
        self._rom = None
        self._tail = b""
        self._baud = ROM_BAUD

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, call)

    def _download(self, cause: int, quiet: bool = False) -> None:
        self._stop()
        self.state = "rom"
        self._rom = RomLoader(
            self.flash,
            self.chip.mac,
            self.to_host,
            lambda: self._start(HARD_RESET),
            self._set_baud,
            self.kind,
        )
        if not quiet:
            self.to_host(download_text(cause).encode())

    def _set_baud(self, baud: int) -> None:
        self._baud = baud

    def _start(self, cause: int, again: bool = False) -> None:
        """A reset that boots from flash; `again` where the last one found nothing."""
        self._stop()
        now_us = self._now_us()
        self.chip.boot(cause, now_us)
        self.buoy.bench.close_uarts()
        self.nvs.load()
        self.boots += 1
        outcome = self._outcome = boot(
            self.flash, cause, self._brown_out, chip=self.kind, again=again, noise=self._random
        )
        self._brown_out = False
        self.to_host(outcome.text)
        if not outcome.version:
            self.state = "dead"
            # The boot ROM's watchdog: it tries for ever.
            self._later(ROM_RETRY_S, lambda: self._start(PWRON_RESET, again=True))
            return
        self._run(raw=False)

    def _run(self, raw: bool) -> None:
        place = self._outcome.files
        assert place is not None
        self.state = "running"
        self._follow_clock()
        self._child = Child(
            Start(
                self.flash.path,
                place.offset,
                place.size,
                self._control,
                self._clock,
                raw,
                self._heap,
                self._program,
                f"{self._outcome.version} {self.kind.machine}",
            ),
            self.to_host,
            self._request,
            self._ended,
            lambda: self.power(False),
        )
        self.chip.open_sockets = self._child.open_sockets

    def _ended(self, code: int) -> None:
        self._child = None
        if code in (SOFT_RAW, SOFT_FRIENDLY):
            self.chip.boot(SOFT_RESET, self._now_us())
            self._run(raw=code == SOFT_RAW)
            return
        self.to_host(f"\r\nGuru Meditation Error: the interpreter ended with {code}\r\n".encode())
        self._start(HARD_RESET)

    # The chip

    def advance(self) -> None:
        """Bring the parts' clock up to now, before a hand moves them."""
        self._now_us()

    def _now_us(self) -> int:
        now_us = max(self.buoy.bench.now_us, int((time.monotonic() - self._began) * 1e6))
        self.buoy.bench.advance_to_us(now_us)
        return now_us

    def _follow_clock(self) -> None:
        """Have the interpreter, and its TLS, see the chip's clock."""
        self._clock.follow(self.chip.utc_us(self._now_us()))

    def _request(self, line: bytes) -> bytes | None:
        self._now_us()
        reply = answer(self.buoy.bench, line)
        self._follow_clock()
        if self.chip.events:
            return self._obey(reply)
        return reply

    def _obey(self, reply: bytes) -> bytes | None:
        events, self.chip.events = self.chip.events, []
        for event in events:
            if event.kind != "lightsleep":  # which returns at once: see docs/simulated-esp32.md
                self._loop.call_soon(self._carry_out, event)
                return None
        return reply

    def _carry_out(self, event: ChipEvent) -> None:
        if event.kind == "soft_reset":
            self._stop()
            self.to_host(b"MPY: soft reboot\r\n")
            self.chip.boot(SOFT_RESET, self._now_us())
            self._run(raw=False)
        elif event.kind == "deepsleep":
            self._stop()
            self.state = "asleep"
            if event.sleep_ms:
                self._later(event.sleep_ms / 1000, lambda: self._start(DEEPSLEEP_RESET))
        elif event.kind == "wdt":
            self.to_host(b"E (0) task_wdt: Task watchdog got triggered.\r\n")
            self._start(WDT_RESET)
        else:
            self._start(HARD_RESET)

    def _look(self) -> None:
        self._watch = self._loop.call_later(WATCH_S, self._look)
        if self.state != "running":
            return
        self._follow_clock()
        if self.chip.watch(self._now_us()):
            events, self.chip.events = self.chip.events, []
            for event in events:
                self._carry_out(event)
