"""Writing a report: complete or not at all."""

import os
import re
from pathlib import Path

from buoyfleet.model.errors import PreflightError


def write_atomically(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Put a file in place by renaming; `durable` also survives a power cut right after.

    Raises:
        PreflightError: this machine cannot take it (disk full, no permission, folder gone).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PreflightError(
            f"the report cannot be written: {error.strerror}",
            where=str(path),
            cause="a full disk, or a folder that you may not write to",
            next_step=f"make room, then: buoy report {path.parent}",
        ) from error


# Control characters, line separators, marks that turn the writing direction, lone surrogates, non-characters.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    """Text that stays in its place on a terminal, in HTML and in XML, where some break even escaped.

    Tabs and line ends become spaces, the others U+FFFD.
    """
    return _UNPRINTABLE.sub(lambda match: " " if match[0] in "\t\r\n" else "\ufffd", text)
