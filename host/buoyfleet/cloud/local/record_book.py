"""What actions of rules would hand to services that the twin does not have, as lines of JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RecordBook:
    """What actions handed over, waiting to be written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[tuple[str, str], list[str]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, kind: str, rule: str, record: Mapping[str, Any]) -> None:
        """One record."""
        line = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
        self._waiting.setdefault((kind, rule), []).append(line)

    def write(self) -> None:
        """Append what waits. May run in another thread, one call at a time.

        Raises:
            OSError: it cannot be written; what is not written is kept.
        """
        for (kind, rule), lines in list(self._waiting.items()):
            count = len(lines)
            path = self._folder / kind / f"{rule}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines[:count]))
            del lines[:count]
