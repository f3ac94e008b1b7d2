"""The programs: how to see that one works, what it is needed for, and the packages that hold it."""

from dataclasses import dataclass, field

from buoyfleet.programs.system_packages import Suite


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """A program of the system's packages."""

    name: str
    commands: tuple[str, ...]
    probe: tuple[str, ...]
    """Arguments that make each command print `version_pattern`."""
    version_pattern: str
    packages: tuple[str, ...]
    needed_for: str
    minimum: tuple[int, int] = (0, 0)
    newer_suites: dict[str, Suite] = field(default_factory=dict)
    """Where an older distribution gets it, run with that suite's own libc."""
    own_clock: bool = False
    """Its clock has to follow libfaketime's file."""

    @property
    def wanted(self) -> str:
        """`micropython 1.24 or later`."""
        least = ".".join(str(number) for number in self.minimum)
        return f"{self.name} {least} or later" if any(self.minimum) else self.name


MOSQUITTO = Program(
    name="mosquitto",
    commands=("mosquitto", "mosquitto_pub", "mosquitto_sub"),
    probe=("--help",),
    version_pattern=r"version (\d+)\.(\d+)",
    packages=("mosquitto", "mosquitto-clients"),
    needed_for="a broker of your own, and a look at topics by hand",
    minimum=(2, 0),
)
# The firmware supports MicroPython 1.24 and later. Debian 12 has none and Ubuntu 24.04 has 1.22.
MICROPYTHON = Program(
    name="micropython",
    commands=("micropython",),
    probe=("-c", "import sys; print('version', '.'.join(str(n) for n in sys.implementation.version[:2]))"),
    version_pattern=r"version (\d+)\.(\d+)",
    # A simulated board's clock is libfaketime's, of the interpreter's own architecture.
    packages=("micropython", "libfaketime"),
    needed_for="simulated boards",
    own_clock=True,
    minimum=(1, 24),
    newer_suites={
        "debian": Suite("trixie", "main"),
        "ubuntu": Suite("resolute", "universe main"),
    },
)
# Version 1 as packaged: line protocol, `/write`, the `/api/v2/write` of version 2 and InfluxQL. Where a
# distribution has dropped it, the suite that still holds it is used.
INFLUXDB = Program(
    name="influxdb",
    commands=("influxd",),
    probe=("version",),
    version_pattern=r"v(\d+)\.(\d+)",
    packages=("influxdb",),
    needed_for="an InfluxDB of your own as the twin's store",
    minimum=(1, 6),
    newer_suites={
        "debian": Suite("bookworm", "main"),
        "ubuntu": Suite("noble", "universe main"),
    },
)
NODE = Program(
    name="node",
    commands=("node", "nodejs"),
    probe=("--version",),
    version_pattern=r"v(\d+)\.(\d+)",
    packages=("nodejs",),
    needed_for="Lambda handlers in JavaScript, in the twin",
)
FETCHED = (MICROPYTHON, MOSQUITTO, INFLUXDB)
"""What `fetch.ensure` can get."""
