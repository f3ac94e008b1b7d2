"""The bench's own folder: records, keys, images, logs.

bench/
  records.jsonl      what was done to which board
  certs/             the twin's CA, and a certificate and key (0600) per thing
  images/            interpreter images by SHA-256, and which version each is
  logs/              what each board said
"""

from dataclasses import dataclass
from pathlib import Path

from buoyfleet.bench.records import Records

DEFAULT = Path("bench")


@dataclass(frozen=True, slots=True)
class BenchFolder:
    """Paths in it; nothing is made before it is needed."""

    path: Path

    @property
    def records(self) -> Records:
        """Its records."""
        return Records(self.path)

    @property
    def certificates(self) -> Path:
        """Keys and certificates."""
        return self.path / "certs"

    @property
    def images(self) -> Path:
        """Interpreter images."""
        return self.path / "images"

    @property
    def umqtt(self) -> Path:
        """The library for boards whose interpreter has none."""
        return self.path / "umqtt"

    @property
    def logs(self) -> Path:
        """What boards said."""
        return self.path / "logs"
