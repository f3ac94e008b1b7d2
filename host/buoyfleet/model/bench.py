"""Settings of the bench, from the fleet file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchSpec:
    """How boards are flashed and commissioned, and what they do in service."""

    interpreter: str = ""
    """Path of an image, or a version; empty: what runs on a board stays."""
    interpreter_sha256: str = ""
    ports: tuple[str, ...] = ()
    """Paths, patterns and URLs of ports beside this computer's USB ports."""
    parallel: int = 0
    """Boards at once; 0: all."""
    per_hub: int = 0
    """Boards at once on one USB hub; 0: all."""
    baud: int = 460_800
    """Bits per second of flashing, to begin with."""
    publish_interval_s: int = 900
    low_power: bool = False
    watchdog_s: int = 120
    """0: none."""
    ntp_host: str = "0.pool.ntp.org,1.pool.ntp.org,2.pool.ntp.org"
    """Time servers, asked in turn; empty: the board has no time of its own until a console tells it."""
