"""The port of the twin that tests boards: the one they know, as long as nobody else has it."""

import socket
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from zlib import crc32

from buoyfleet.bench.records import Book, Record
from buoyfleet.model.errors import PreflightError
from buoyfleet.serial.lock import PortLock

CHOICE = range(20_000, 30_000)
"""Below what Linux (from 32768, ip_local_port_range) and macOS (from 49152) give to outgoing connections:
one of those would take a board's port between two commands, or keep it for a minute after it has ended."""
_HOST = "127.0.0.1"


def choose_port(
    folder: Path, book: Book, ids: Iterable[int], held: ExitStack, *, dry_run: bool = False
) -> int:
    """A port that these boards were told before, or others of this bench, if it is free; else a new one.

    Args:
        folder: of the bench; its name gives the first port, the same for a command that follows a failed one.
        book: who is who by the records.
        ids: the boards.
        held: what has to be given back is put there: until then no other command chooses this port.
        dry_run: nothing will listen: the port of a command that runs just now is free when this one is meant.

    Raises:
        PreflightError: none is free.
    """
    own = [record for buoy in ids if (record := book.of_id(buoy)) is not None]
    others = book.last.values()
    start = crc32(str(folder.resolve()).encode()) % len(CHOICE)
    ports: tuple[int, ...] = (*_by_frequency(own), *_by_frequency(others), *CHOICE[start:], *CHOICE[:start])
    for port in ports:
        try:
            lock = PortLock(f"tcp://{_HOST}:{port}", "buoy commission")
        except PreflightError:
            if dry_run:
                return port
            continue
        if _is_free(port):
            held.enter_context(lock)
            return port
        lock.release()
    raise PreflightError(
        f"no port of {_HOST} from {CHOICE[0]} to {CHOICE[-1]} is free",
        next_step="target: {kind: local, port: N} names one",
    )


def _by_frequency(records: Iterable[Record]) -> list[int]:
    ports: Counter[object] = Counter(record.settings.get("broker_port") for record in records)
    return [port for port, _ in ports.most_common() if isinstance(port, int)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As a server does it: what is left of the last connections for a minute does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True
