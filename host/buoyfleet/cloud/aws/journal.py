"""What enrolling has done so far, in `enrolled.jsonl` beside the certificates: one line per thing and event.

Nothing secret is in it. A line that a crash cut off is left out when reading.
"""

import json
import threading
import time
from pathlib import Path
from typing import Any

FILE = "enrolled.jsonl"


class Journal:
    """Lines of one folder; the last line of a thing counts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.Lock()

    def read(self) -> dict[str, dict[str, Any]]:
        """Thing → its last line; those that were retired are not in it.

        Raises:
            OSError: the file cannot be read.
        """
        things: dict[str, dict[str, Any]] = {}
        if not self.path.exists():
            return things
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
                thing = entry["thing"]
            except (ValueError, KeyError, TypeError):
                continue
            if entry.get("retired"):
                things.pop(thing, None)
            else:
                things[thing] = entry
        return things

    def append(self, **entry: Any) -> None:
        """Add a line, written at once.

        Raises:
            OSError: the file cannot be written.
        """
        entry["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps(entry, sort_keys=True)
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
