"""Files of a board over its raw REPL: list them by hash, send them in one batch, fetch, remove.

One program receives everything: no start-up per file, checked blocks, compressed where that is smaller. Files
arrive beside their places and are put there at the end, so that a cut leaves the old ones.
"""

import contextlib
import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from buoy.identity import CERTS

from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import BoardError
from buoyfleet.serial.on_board import program
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.serial.repl_errors import LineError

BLOCK = 2048
"""Bytes a block, before compression: a board holds it twice."""
HIDDEN = (f"{CERTS}/key.der",)
"""Never hashed, fetched or shown."""
STAGED = ".new"
_DATA, _DEFLATED, _END, _STOP = 0, 1, 2, 3
_ANSWER_S = 6.0
"""A block on its way at 115 200 baud (0.2 s), and the longest erasure of a file system."""
_BLOCK_S = 15.0
"""For all tries of a block; within it a line that loses a byte now and then gets it through."""
_STORE_S = 20.0
"""For one step of a board that has a block: a file system that is nearly full looks for room for seconds."""
_RESTARTED = ("rst:0x", "MicroPython v", "ets J", "MPY: soft reboot", "Brownout")
"""Said by a board that has restarted and waits for no block any more."""
_WINDOW_BITS = 12
_RESYNC_S = 0.15
"""The receiver takes what comes within 40 ms for the rest of a spoilt block."""


@dataclass(frozen=True, slots=True)
class BoardFile:
    """One file on a board."""

    digest: str
    """SHA-256 in hex; `-` where it is hidden."""
    size: int


@dataclass(frozen=True, slots=True)
class BoardListing:
    """What is on a board."""

    files: dict[str, BoardFile]
    """Path without leading slash → file."""
    free: int
    """Bytes."""


def list_files(repl: RawRepl, places: Iterable[str]) -> BoardListing:
    """Files of a board under places (a folder ends with `/`).

    Raises:
        BoardError: no sensible answer.
    """
    call = f"listing({tuple(places)!r}, {HIDDEN!r})"
    text = repl.run(f"{program('listing')}\n{call}", _STORE_S, by_step=True)
    files: dict[str, BoardFile] = {}
    free = -1
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-f]{64}|-) ([0-9]+) (.+)", line)
        if match:
            files[match[3].lstrip("/")] = BoardFile(match[1], int(match[2]))
        elif line.startswith("free ") and line[5:].isdecimal():
            free = int(line[5:])
        else:
            raise LineError(f"a listing of files has the line {line!r}", where=repl.port)
    if free < 0:
        raise LineError("a listing of files broke off", where=repl.port)
    return BoardListing(files, free)


def send_files(
    repl: RawRepl, files: Mapping[str, bytes], progress: Callable[[int, int], None] | None = None
) -> int:
    """Send files; each replaces what had its path, all at the end.

    Args:
        repl: at its prompt.
        files: path on the board → content.
        progress: called with bytes sent and all bytes, before compression.

    Returns:
        Bytes that went over the line.

    Raises:
        BoardError: the board refused (no space …), or blocks did not get through.
    """
    stream = b"".join(_framed(path, data) for path, data in files.items())
    repl.begin(f"{program('receive')}\nreceive({BLOCK})")
    if repl.read_line(_ANSWER_S) != "ready":
        raise LineError("the receiver of files did not start", where=repl.port)
    try:
        return _send_stream(repl, stream, progress)
    except BaseException:
        # Also where the caller was stopped: the board is to be at its prompt, without what was not finished.
        with contextlib.suppress(BoardError):
            repl.send(bytes(BLOCK + 8))
            repl.drain(_RESYNC_S)
            repl.send(_block(0, _STOP, b""))
            repl.finish(_ANSWER_S)
        raise


def _send_stream(repl: RawRepl, stream: bytes, progress: Callable[[int, int], None] | None) -> int:
    sent = 0
    blocks = [stream[at : at + BLOCK] for at in range(0, len(stream), BLOCK)]
    for number, block in enumerate(blocks):
        kind, data = _packed(block)
        sent += _send_block(repl, number, kind, data)
        if progress is not None:
            progress(min(len(stream), (number + 1) * BLOCK), len(stream))
    sent += _send_block(repl, len(blocks), _END, b"")
    repl.finish(_ANSWER_S)
    return sent


def remove_files(repl: RawRepl, paths: Iterable[str]) -> None:
    """Remove files and the folders they leave empty; what is not there is no mistake."""
    paths = tuple(paths)
    if not paths:
        return
    code = f"""
import os
for path in {paths!r}:
    try:
        os.remove(path)
        while "/" in path:
            path = path.rsplit("/", 1)[0]
            os.rmdir(path)
    except OSError:
        pass
    print()
"""
    repl.run(code, _STORE_S, by_step=True)


def fetch_file(repl: RawRepl, path: str) -> bytes:
    """The content of a file.

    Raises:
        BoardError: it is a key, it is not there, or it did not arrive whole.
    """
    if path.lstrip("/") in HIDDEN:
        raise BoardError("keys stay on the board", where=f"{repl.port}: {path}")
    code = f"""
import hashlib
from binascii import hexlify
d = hashlib.sha256()
with open({path!r}, "rb") as f:
    while True:
        b = f.read(512)
        if not b: break
        d.update(b)
        print(hexlify(b).decode())
print("=" + hexlify(d.digest()).decode())
"""
    *lines, last = repl.run(code, _STORE_S, by_step=True).split() or [""]
    try:
        data = bytes.fromhex("".join(lines))
    except ValueError:
        data = b""
    if last != "=" + hashlib.sha256(data).hexdigest():
        raise LineError("the file did not arrive whole", where=f"{repl.port}: {path}")
    return data


def _framed(path: str, data: bytes) -> bytes:
    name = path.encode()
    return struct.pack("<BI32s", len(name), len(data), hashlib.sha256(data).digest()) + name + data


def _packed(block: bytes) -> tuple[int, bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, -_WINDOW_BITS)
    packed = packer.compress(block) + packer.flush()
    return (_DEFLATED, packed) if len(packed) < len(block) - 16 else (_DATA, block)


def _block(number: int, kind: int, data: bytes) -> bytes:
    head = struct.pack("<BBH", number & 0xFF, kind, len(data))
    return head + struct.pack("<I", zlib.crc32(data, zlib.crc32(head))) + data


def _send_block(repl: RawRepl, number: int, kind: int, data: bytes) -> int:
    """One block until it is taken; returns the bytes that this took."""
    block = _block(number, kind, data)
    sent = 0
    whole = Deadline(_BLOCK_S)
    while not whole.expired:
        repl.send(block)
        sent += len(block)
        deadline = Deadline(_ANSWER_S)
        while not (deadline.expired or whole.expired):
            answer = repl.read_line(_ANSWER_S / 4)
            if answer == "~":
                answer = _stored(repl)
            if answer == "+":
                return sent
            if answer == "!":
                break
            if answer is not None and answer.startswith("E "):
                raise BoardError(f"the board cannot store it: {answer[2:]}", where=repl.port)
            if answer is not None and any(mark in answer for mark in _RESTARTED):
                raise LineError("the board restarted while it took files", where=repl.port)
            if answer is not None:
                continue  # spoilt by noise, or a line of somebody else
            # Bytes were lost, and the board waits for the rest of the block: let it have something.
            repl.send(bytes(BLOCK + 8))
            sent += BLOCK + 8
    raise LineError(
        f"a block of {len(block)} bytes did not get through within {_BLOCK_S:g} s",
        where=repl.port,
        cause="the line loses or spoils bytes: cable, hub or power supply",
        next_step="another cable, a port of the computer itself, and the same command again",
    )


def _stored(repl: RawRepl) -> str:
    """The answer of a board that has a block and stores it; it tells each step.

    Raises:
        LineError: a step takes too long: that is no fault of the line.
    """
    while True:
        answer = repl.read_line(_STORE_S)
        if answer is None:
            raise LineError(
                f"the board stores nothing more for {_STORE_S:g} s",
                where=repl.port,
                cause="its file system is full or damaged, or the board hangs",
                next_step=f"the same command again; buoy files ls {repl.port} shows what is free",
            )
        if answer in ("+", "!") or answer.startswith("E ") or any(mark in answer for mark in _RESTARTED):
            return answer
