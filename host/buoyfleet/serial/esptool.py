"""esptool as a program of its own (it is GPL and never imported): started, watched, its progress read."""

import contextlib
import os
import re
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import BoardError
from buoyfleet.serial.chips import chip_name

SILENT_S = 60.0
"""Longest time without a word: erasing 4 MB takes up to 40 s (data sheets of the flash chips)."""
_LOOK_S = 0.2
_END_S = 5.0

Progress = Callable[[float], None]
"""Takes the share that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ChipInfo:
    """What esptool says of the chip on a port."""

    chip: str
    """E.g. `ESP32-D0WDQ6-V3 (revision v3.0)`."""
    mac: str
    """Twelve hex digits."""
    flash_bytes: int
    """0 where it was not asked."""

    @property
    def kind(self) -> str:
        """`ESP32` for the plain one, else the name of its successor; empty for another chip."""
        return chip_name(self.chip)


@dataclass(slots=True)
class Esptool:
    """esptool on one port; the caller holds the port's lock and has it closed."""

    port: str
    stopped: Callable[[], bool] = lambda: False
    """Looked at while it runs: True ends it."""
    on_line: Callable[[str], None] | None = None
    """Takes what it prints, for a log."""

    def identify(self, flash: bool = True) -> ChipInfo:
        """Chip, MAC and size of the flash. Resets the board.

        Raises:
            BoardError: no ESP32 answers.
        """
        # Without the stub: loading it takes longer than what is asked.
        text = self._run(["--no-stub", "flash-id" if flash else "read-mac"], 90.0)
        mac = re.search(r"^MAC:\s+((?:[0-9a-f]{2}:){5}[0-9a-f]{2})", text, re.MULTILINE)
        chip = re.search(r"^Chip type:\s+(.+)$", text, re.MULTILINE)
        size = re.search(r"^Detected flash size:\s+(\d+)(KB|MB)", text, re.MULTILINE)
        if mac is None or chip is None:
            raise BoardError("esptool named no chip and MAC", where=self.port, cause=_last(text))
        flash_bytes = int(size[1]) << (20 if size[2] == "MB" else 10) if size else 0
        return ChipInfo(chip[1].strip(), mac[1].replace(":", ""), flash_bytes)

    def write(self, pieces: Sequence[tuple[int, Path]], baud: int, progress: Progress | None = None) -> str:
        """Write files at addresses; esptool compares digests of what it wrote. Resets the board.

        Returns:
            The MAC of the chip that was written.

        Raises:
            BoardError: it failed; the flash may be half written, and is written again by another try.
        """
        sizes = [file.stat().st_size for _, file in pieces]
        arguments = ["--chip", "esp32", "--baud", str(baud), "write-flash"]
        for offset, file in pieces:
            arguments += [hex(offset), str(file)]
        watch = _WriteWatch(sizes, progress)
        # Ten bits a byte, three times over for erasing, stub and sync.
        text = self._run(arguments, 60.0 + 30.0 * sum(sizes) / baud, watch)
        verified = text.count("Hash of data verified")
        if verified < len(pieces):
            raise BoardError(
                f"only {verified} of {len(pieces)} parts of the image were verified", where=self.port
            )
        mac = re.search(r"^MAC:\s+([0-9a-f:]{17})", text, re.MULTILINE)
        return mac[1].replace(":", "") if mac else ""

    def read(self, offset: int, length: int) -> bytes:
        """A range of the flash. Resets the board.

        Raises:
            BoardError: it was not read.
        """
        with tempfile.TemporaryDirectory(prefix="buoy-flash-") as folder:
            file = Path(folder) / "range.bin"
            # By the stub, which sends a digest of what it read; the ROM's answers carry none.
            self._run(["--chip", "esp32", "read-flash", hex(offset), hex(length), str(file)], 90.0)
            data = file.read_bytes()
        if len(data) != length:
            raise BoardError(f"esptool read {len(data)} of {length} bytes", where=self.port)
        return data

    def erase(self, offset: int = 0, length: int = 0) -> None:
        """Erase a range of whole sectors; by default the whole flash, identity and files included."""
        if length:
            self._run(["--chip", "esp32", "erase-region", hex(offset), hex(length)], 90.0)
        else:
            self._run(["--chip", "esp32", "erase-flash"], 150.0)

    def _run(self, arguments: list[str], timeout_s: float, watch: Callable[[str], None] | None = None) -> str:
        command = [sys.executable, "-m", "esptool", "--port", self.port, *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; we end it in an orderly way
            env=os.environ | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        )
        try:
            text = self._follow(process, Deadline(timeout_s), timeout_s, watch)
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_END_S)
            if process.poll() is None:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
        if process.returncode != 0:
            raise _failure(self.port, text)
        return text

    def _follow(
        self,
        process: "subprocess.Popen[bytes]",
        deadline: Deadline,
        timeout_s: float,
        watch: Callable[[str], None] | None,
    ) -> str:
        assert process.stdout is not None
        lines: list[str] = []
        rest = b""
        silent = Deadline(SILENT_S)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if self.stopped():
                    raise BoardError("stopped", where=self.port)
                if deadline.expired or silent.expired:
                    why = f"did not finish within {timeout_s:.0f} s" if deadline.expired else "hangs"
                    raise BoardError(
                        f"esptool {why}",
                        where=self.port,
                        cause=_last("\n".join(lines)) or "no word from the chip",
                        next_step="press EN (reset) and try again; another cable or port if that fails",
                    )
                if not selector.select(_LOOK_S):
                    continue
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    process.wait(max(_END_S, deadline.remaining_s))
                    break
                silent = Deadline(SILENT_S)
                *whole, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
                for raw in whole:
                    line = raw.decode(errors="replace")
                    lines.append(line)
                    if self.on_line is not None and line.strip():
                        self.on_line(line)
                    if watch is not None:
                        watch(line)
        return "\n".join([*lines, rest.decode(errors="replace")])


class _WriteWatch:
    """Turns the lines of write-flash into one share of all parts."""

    def __init__(self, sizes: list[int], progress: Progress | None) -> None:
        self._sizes = sizes
        self._progress = progress
        self._part = 0

    def __call__(self, line: str) -> None:
        if self._progress is None:
            return
        share = re.match(r"Writing at 0x[0-9a-f]+.*?\s(\d+(?:\.\d+)?)\s?%", line)
        if share:
            inside = self._sizes[min(self._part, len(self._sizes) - 1)] * float(share[1]) / 100
            self._progress((sum(self._sizes[: self._part]) + inside) / sum(self._sizes))
        elif line.startswith("Wrote "):
            self._part += 1


_Cause = tuple[str, str, str]
"""What esptool says, its likely cause, what to do."""
_UNANSWERED: _Cause = (
    r"No serial data received|Wrong boot mode|Failed to connect(?!.*noise)|stream stopped",
    "no ESP32, a cable without data lines, or a board without the automatic reset circuit",
    "hold BOOT, press EN, let BOOT go, and type the same command again",
)
_CAUSES: tuple[_Cause, ...] = (
    (
        r"Could not open|could not open port|Connection refused",
        "the port is gone or in use",
        "buoy ports",
    ),
    (
        r"This chip is ([A-Z0-9-]+), not",
        "a board of another kind is on this port",
        "take the right board, or give its port",
    ),
    (
        r"No serial data received|Invalid head of packet|noise or corruption|Invalid SLIP|Invalid checksum|"
        r"MD5 of file does not match|Timed out waiting|transfer stopped|Lost connection|stopped responding|"
        r"No more data to read|Response doesn't match|Unexpected response|Failed to write to target|"
        r"Failed to start stub",
        "the line loses bytes at this speed, or the supply is weak",
        "another cable or hub, or --baud 115200",
    ),
)


def _failure(port: str, text: str) -> BoardError:
    found = re.search(r"A fatal error occurred: (.+)", text)
    what = found[1].strip() if found else _last(text)
    # A chip that answered before is there; what it stops at is the line.
    causes = _CAUSES if "Connected to" in text else (_UNANSWERED, *_CAUSES)
    for pattern, cause, next_step in causes:
        if re.search(pattern, text):
            return BoardError(f"esptool: {what}", where=port, cause=cause, next_step=next_step)
    return BoardError(
        f"esptool: {what or 'it failed without a word'}",
        where=port,
        next_step="the same command again; if it fails in the same way, with another cable or board",
    )


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and "reset" not in line]
    return lines[-1] if lines else ""
