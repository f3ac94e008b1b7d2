"""Our raw REPL and file transfer against mpremote's transport: one program, one board, the same faults.

    python benchmarks/transfer.py

The line is paced at 115,200 baud. Faults: bytes that the line spoils, a board that hangs for two seconds, and
a reset, each when a quarter was sent. A transfer is `whole` where the file on the board has the right hash.
"""

import hashlib
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mpremote.transport_serial import SerialTransport

from buoyfleet.boards.firmware_files import installed_firmware
from buoyfleet.serial.board_files import list_files, send_files
from buoyfleet.serial.port import open_port
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.simulation.esp32.simulator import Simulator

BOARD = 400
LIMIT_S = 60.0
NAME = "sent.bin"
Progress = Callable[[int, int], None]


def ours(port: str, data: bytes, progress: Progress) -> None:
    """As the bench sends it."""
    line = open_port(port)
    try:
        repl = RawRepl(line, port)
        repl.enter()
        send_files(repl, {NAME: data}, progress)
        repl.leave()
    finally:
        line.close()


def theirs(port: str, data: bytes, progress: Progress) -> None:
    """As `mpremote cp` sends it."""
    transport = SerialTransport(port)
    try:
        transport.enter_raw_repl(soft_reset=False)
        transport.fs_writefile(NAME, data, progress_callback=progress)
        transport.exit_raw_repl()
    finally:
        transport.close()


def outcome(
    boards: Simulator, send: Callable[[str, bytes, Progress], None], data: bytes, strike: Callable[[], None]
) -> str:
    """How one transfer ended, with its time."""
    struck = threading.Event()
    ended: list[str] = []

    def progress(done: int, whole: int) -> None:
        if not struck.is_set() and done * 4 >= whole:
            struck.set()
            strike()

    def work() -> None:
        try:
            send(boards.path(BOARD), data, progress)
            ended.append("")
        except Exception as error:
            ended.append(f"{type(error).__name__}: {str(error).splitlines()[0][:60]}")

    began = time.monotonic()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    seconds = time.monotonic() - began
    boards.noise(BOARD, 0.0)
    if not ended:
        return f"hangs, given up after {seconds:.0f} s"
    if ended[0]:
        return f"{ended[0]} ({seconds:.1f} s)"
    line = open_port(boards.path(BOARD))
    repl = RawRepl(line, boards.path(BOARD))
    repl.enter()
    found = list_files(repl, [NAME]).files.get(NAME)
    repl.leave()
    line.close()
    right = found is not None and found.digest == hashlib.sha256(data).hexdigest()
    return f"{'whole' if right else 'ALTERED, and nothing said'} ({seconds:.1f} s)"


def main() -> None:
    """The table."""
    data = max(installed_firmware().files.values(), key=len)
    print(f"{len(data)} bytes of program at 115,200 baud")

    def pause(boards: Simulator) -> None:
        boards.hang(BOARD)
        timer = threading.Timer(2.0, lambda: boards.hang(BOARD, False))
        timer.daemon = True
        timer.start()

    faults: dict[str, Callable[[Simulator], None]] = {
        "no fault": lambda _boards: None,
        "one byte in 5,000 spoilt": lambda boards: boards.noise(BOARD, 0.0002),
        "hangs for two seconds": pause,
        "reset": lambda boards: boards.power(BOARD, True),
    }
    for name, fault in faults.items():
        for who, send in (("buoy", ours), ("mpremote", theirs)):
            with (
                tempfile.TemporaryDirectory(prefix="transfer-") as folder,
                Simulator(Path(folder), [BOARD], paced=True) as boards,
            ):
                print(f"{name:<26}{who:<10}{outcome(boards, send, data, lambda: fault(boards))}", flush=True)  # noqa: B023


if __name__ == "__main__":
    main()
