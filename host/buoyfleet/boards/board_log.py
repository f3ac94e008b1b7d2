"""The log of one board: every line it said, with the time, control bytes visible."""

import threading
import time
from pathlib import Path

from buoyfleet.serial.lines import visible


class BoardLog:
    """May be used from any thread; a line is in the file when the method returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._guard = threading.Lock()

    def line(self, at_ns: int, data: bytes) -> None:
        """What the board said."""
        self._write(at_ns, visible(data))

    def note(self, text: str) -> None:
        """What we say of it; told apart by the arrow."""
        self._write(time.time_ns(), f"→ {text}")

    def close(self) -> None:
        """Later lines are ignored. Safe to call twice."""
        with self._guard:
            self._file.close()

    def _write(self, at_ns: int, text: str) -> None:
        seconds, rest_ns = divmod(at_ns, 1_000_000_000)
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest_ns // 1_000_000:03d}Z"
        with self._guard:
            if not self._file.closed:
                self._file.write(f"{stamp} {text}\n")
