"""Flashing, files and commissioning on simulated boards whose ports take the time of their baud rate.

    python benchmarks/bench_boards.py [files] [install] [flash] [commission]

files       `buoy files sync` against `mpremote cp -r` of the same files, at the REPL's 115 200 baud
install     the step `files` of a first commissioning in the board's own time: at most 8 s
flash       `buoy flash` of one board against esptool alone, at 460 800 baud
commission  eight boards against two, at 460 800 baud
Each figure is a ratio of two runs in this process's time; the bars are those of the design.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

from buoyfleet.bench.install import install as install_files
from buoyfleet.bench.prepare import make_software
from buoyfleet.bench.survey import survey_by_repl
from buoyfleet.serial.port import BAUD, SerialPort, open_port
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.simulation.esp32.pacer import BITS_PER_BYTE
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import synthetic_image, write_synthetic

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PASSWORD = "bench-password"
INSTALL_S = 8.0
READ_S, PROGRAM_S, PROGRAM_BYTE_S, ERASE_S = 50e-6, 30e-6, 2.5e-6, 45e-3
"""Of the flash, as in host/buoyfleet/simulation/esp32/repl/partition.py."""


def timed(folder: Path, *command: object) -> float:
    """Seconds that a program takes; its failure ends the benchmark."""
    began = time.monotonic()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        env=os.environ | {"WIFI_PASSWORD": PASSWORD},
    )
    if done.returncode:
        sys.exit(f"{command}: {done.stdout}{done.stderr}")
    return time.monotonic() - began


def row(name: str, ours: float, theirs: float, ratio: float, bar: str, kept: bool) -> None:
    print(f"{name:<44}{ours:8.2f} s{theirs:9.2f} s{ratio:8.2f}   {bar}  {'kept' if kept else 'MISSED'}")


def files(folder: Path) -> None:
    """A first install, and one with nothing to do."""
    source = folder / "source"
    for name in ("buoy", "sensors"):
        shutil.copytree(
            ROOT / ("firmware/buoy" if name == "buoy" else name),
            source / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name in ("boot.py", "main.py"):
        shutil.copy(ROOT / "firmware" / name, source)
    with Simulator(folder / "sim", [400, 401], paced=True) as boards:
        # boot.py and main.py come last, so that nothing runs in mpremote's way.
        peer = timed(
            source, BIN / "mpremote", "connect", boards.path(400), "cp", "-r", "buoy", "sensors", ":"
        )
        peer += timed(source, BIN / "mpremote", "connect", boards.path(400), "cp", "boot.py", "main.py", ":")
        first = timed(folder, BIN / "buoy", "files", "sync", boards.path(401))
        again = timed(folder, BIN / "buoy", "files", "sync", boards.path(401))
    row("first install: buoy, mpremote cp -r", first, peer, peer / first, ">= 3", peer >= 3 * first)
    row("nothing to do: buoy, mpremote cp -r", again, peer, peer / again, ">= 20", peer >= 20 * again)


class Counted:
    """A port that counts what goes over it, both ways."""

    def __init__(self, line: SerialPort) -> None:
        self._line = line
        self.bytes = 0

    def read(self, size: int = 1) -> bytes:
        data = self._line.read(size)
        self.bytes += len(data)
        return data

    def write(self, data: bytes) -> int | None:
        self.bytes += len(data)
        return self._line.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)


def install(folder: Path) -> None:
    """The step `files` of the first commissioning of a board, in the board's own time, whatever else this
    computer does: bytes at 115 200 baud, one direction after the other, and the operations of its flash by
    the costs of repl/partition.py. Then the whole command, paced, by the clock on the wall."""
    software = make_software(None)  # made once for all boards, not for each
    with Simulator(folder / "counted", [405]) as boards:
        port = boards.path(405)
        line = Counted(open_port(port))
        repl = RawRepl(cast(SerialPort, line), port)
        repl.enter()
        before, line.bytes = boards.flash_use(405), 0
        install_files(repl, survey_by_repl(repl), software)
        used = boards.flash_use(405).since(before)
        repl.leave()
        line.close()
    content = sum(map(len, software.files.values()))
    parts = {
        "line": line.bytes * BITS_PER_BYTE / BAUD,
        "reads": used.reads * READ_S,
        "writes": used.writes * PROGRAM_S + content * PROGRAM_BYTE_S,
        "erasures": used.erases * ERASE_S,
    }
    board_s = sum(parts.values())
    row("files step, in the board's own time", board_s, INSTALL_S, board_s / INSTALL_S, "<= 1",
        board_s <= INSTALL_S)  # fmt: skip
    print("    " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items()))
    print(f"    {line.bytes} bytes, {used.reads} reads, {used.writes} writes, {used.erases} erasures")
    with Simulator(folder / "sim", [404], paced=True) as boards:
        seconds = timed(folder, BIN / "buoy", "files", "sync", boards.path(404))
    print(f"    the whole command took {seconds:.2f} s on the wall, load {os.getloadavg()[0]:.1f}")


def flash(folder: Path) -> None:
    """One bare board each."""
    image = write_synthetic(folder / "image.bin")
    with Simulator(folder / "sim", [402, 403], paced=True, flashed=False) as boards:
        esptool = (BIN / "esptool", "--port", boards.path(402), "--baud", 460800)
        peer = timed(folder, *esptool, "write-flash", "0x1000", image)
        ours = timed(folder, BIN / "buoy", "flash", boards.path(403), "--interpreter", image)
    row("flash one board: buoy, esptool", ours, peer, ours / peer, "<= 1.10", ours <= 1.10 * peer)


def commission(folder: Path) -> None:
    """Everything, on two boards and on eight."""
    write_synthetic(folder / "image.bin")
    seconds = {}
    for count in (2, 8):
        place = folder / str(count)
        place.mkdir()
        ids = range(410, 410 + count)
        lines = ["fleet: bench", "target: local", "run: {messages: 1, rate: 1/s}", "boards:"]
        lines += [
            f"  - {{kind: esp32, ids: '{ids[0]}-{ids[-1]}', port: 'sim/ports/buoy-{{id}}', sensors: counter,"
        ]
        lines += ['     wifi: {ssid: bench, password: "${env:WIFI_PASSWORD}"}}']
        lines += ["bench: {interpreter: ../image.bin, ntp_host: none}"]
        (place / "boards.yaml").write_text("\n".join(lines) + "\n")
        points = {"bench": PASSWORD}
        with Simulator(place / "sim", ids, paced=True, flashed=False, access_points=points):
            seconds[count] = timed(place, BIN / "buoy", "commission")
    ratio = seconds[8] / seconds[2]
    row("commission: eight boards, two boards", seconds[8], seconds[2], ratio, "<= 1.3", ratio <= 1.3)


def main() -> None:
    """The parts that are named, or all."""
    parts = {"files": files, "install": install, "flash": flash, "commission": commission}
    names = sys.argv[1:] or list(parts)
    print(
        f"image of {len(synthetic_image()) >> 10} kB, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(f"{'':<44}{'first':>10}{'second':>11}{'ratio':>8}")
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bench-boards-") as folder:
            parts[name](Path(folder))


if __name__ == "__main__":
    main()
