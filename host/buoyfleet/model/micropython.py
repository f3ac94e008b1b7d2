"""Versions of MicroPython as its banner, its file names and people write them."""

import re
from dataclasses import dataclass

_FORM = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?:-?([A-Za-z0-9][\w.+-]*))?")
_BANNER = re.compile(rb"MicroPython (\S{1,80}) on \d{4}-\d\d-\d\d")
_FILE_NAME = re.compile(r"[-_](v\d+\.\d+(?:\.\d+)?(?:-[\w.+-]+?)?)\.(?:app-)?bin", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MicropythonVersion:
    """A version; two are equal when release and build are."""

    release: tuple[int, int, int]
    build: str = ""
    """What follows the release: `preview.123.gabc`, `dirty`; empty for a release."""

    def __str__(self) -> str:
        number = ".".join(map(str, self.release))
        return f"{number}-{self.build}" if self.build else number


def parse_version(text: str) -> MicropythonVersion | None:
    """The version in `v1.25.0`, `1.25`, `v1.26.0-preview.12.gabcdef0`; None if it is none."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return None
    return MicropythonVersion((int(match[1]), int(match[2]), int(match[3] or 0)), match[4] or "")


def same_version(one: str, other: str) -> bool:
    """Whether two texts name one version; a text that names none equals nothing, itself included."""
    first = parse_version(one)
    return first is not None and first == parse_version(other)


def version_in_program(program: bytes) -> MicropythonVersion | None:
    """The version in a compiled program: its banner, `MicroPython v1.25.0 on 2025-04-15`."""
    for match in _BANNER.finditer(program):
        version = parse_version(match[1].decode("ascii", "replace"))
        if version is not None:
            return version
    return None


def version_in_name(name: str) -> MicropythonVersion | None:
    """The version in the name of a released file, `ESP32_GENERIC-20250415-v1.25.0.bin`."""
    match = _FILE_NAME.search(name)
    return parse_version(match[1]) if match else None
