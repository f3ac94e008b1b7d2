"""Writing an interpreter image: around the identity, verified, slower where the line is bad."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from buoyfleet.bench.images import NEWEST_TRIED, OLDEST, TOO_OLD, is_too_old
from buoyfleet.bench.session import Session
from buoyfleet.model.board_names import mac_text
from buoyfleet.model.errors import BoardError
from buoyfleet.model.micropython import same_version
from buoyfleet.serial.chips import SUPPORTED
from buoyfleet.serial.esp_image import (
    TABLE,
    TABLE_BYTES,
    FlashImage,
    Region,
    files_region,
    nvs_region,
    read_table,
)
from buoyfleet.serial.esptool import ChipInfo, Esptool, Progress
from buoyfleet.serial.repl_errors import LineError

SLOWER = (230_400, 115_200)
"""Bit rates that are tried after the one asked for."""
_Answer = TypeVar("_Answer")
_SECTOR = 0x1000
_LITTLEFS = b"littlefs"
"""Stands in both superblocks of a file system (littlefs, SPEC.md), the first two sectors of its partition."""


def write_image(
    session: Session,
    image: FlashImage,
    *,
    baud: int,
    mac: str,
    erase: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write and verify; the board boots it afterwards.

    Args:
        session: open, whatever runs.
        image: checked by `read_image`.
        baud: bits per second to begin with.
        mac: of the board that is meant; empty where it does not matter which it is.
        erase: the whole flash first, identity and files included.
        progress: takes the share that is done.

    Returns:
        The rate at which it worked.

    Raises:
        BoardError: it failed at every rate, or the image does not fit this chip; then nothing was written.
        UsageError: the image has data where identity lives.
    """
    pieces = image.pieces(keep_nvs=not erase)
    _check_chip(session, image, mac)
    if erase:
        patiently(session, Esptool.erase)
    else:
        _make_room(session, image)
    rates = [baud, *(rate for rate in SLOWER if rate < baud)]
    with tempfile.TemporaryDirectory(prefix="buoy-image-") as folder:
        files: list[tuple[int, Path]] = []
        for address, data in pieces:
            file = Path(folder) / f"{address:#x}.bin"
            file.write_bytes(data)
            files.append((address, file))
        for attempt, rate in enumerate(rates):
            try:
                written = session.esptool().write(files, rate, progress)
            except BoardError as error:
                session.stop.check(session.port)
                session.log.line(f"# flashing at {rate} baud: {error.what}")
                if attempt == len(rates) - 1:
                    raise
                session.reappear(error)
                continue
            if mac and written and written != mac:
                raise BoardError(
                    f"another board was on the port: {mac_text(written)} instead of {mac_text(mac)}",
                    where=session.port,
                    cause="boards were exchanged in the meantime",
                )
            return rate
    raise AssertionError("a loop that always returns or raises")


def require_version(runs: str, image: FlashImage, port: str) -> None:
    """Compare what a board says that it runs with the image that was written.

    Raises:
        BoardError: another version, or one that the firmware cannot use.
    """
    if image.version and not same_version(runs, image.version):
        raise BoardError(
            f"after flashing MicroPython {image.version} the board says that it runs {runs or 'no version'}",
            where=port,
            cause="the board starts another program than the one that was written (two slots, otadata)",
            next_step="the same command with --erase, which loses identity and files",
        )
    refuse_old_board(runs, port)


def refuse_old_board(runs: str, port: str) -> None:
    """Refuse an interpreter that is older than the firmware needs.

    Raises:
        BoardError: with the version that runs.
    """
    if is_too_old(runs):
        raise BoardError(
            f"MicroPython {runs} runs, older than {'.'.join(map(str, OLDEST))}, the oldest that works",
            where=port,
            cause=TOO_OLD,
            next_step=f"--interpreter {'.'.join(map(str, NEWEST_TRIED))}",
        )


def confirmed_mac(session: Session, mac: str) -> str:
    """The MAC that two of three readings of the ROM loader agree on.

    Its answers carry no checksum: on a line that changes bytes a board would become another one.

    Args:
        session: open; the board has no interpreter that could be asked.
        mac: as it was read before.

    Raises:
        LineError: three readings, three MACs, or no answer.
    """
    read = [mac]
    while len(read) < 3:
        again = _asked(session, lambda chip: chip.identify(flash=False)).mac
        if again in read:
            return again
        read.append(again)
    raise LineError(
        f"the chip says another MAC each time: {', '.join(map(mac_text, read))}",
        where=session.port,
        cause="a line that changes bytes",
        next_step="another cable or hub, then the same command",
    )


def patiently(session: Session, ask: Callable[[Esptool], _Answer]) -> _Answer:
    """What esptool gets from the chip, asked again as `Session.persevere` does.

    Only for what may be repeated: reading, and erasing what is to be erased.

    esptool waits 0.2 s for the answer to MEM_END and reads nothing more after that (esptool 5.6, `mem_finish`
    and `read`): on a computer with ten boards and much else to do, a good board on a good line fails now and
    then with "Failed to start stub flasher".

    Raises:
        LineError: no answer, however often.
    """
    return session.persevere(lambda: _asked(session, ask))


def _asked(session: Session, ask: Callable[[Esptool], _Answer]) -> _Answer:
    """Raises LineError: esptool failed, which another try may cure."""
    try:
        return ask(session.esptool())
    except BoardError as error:
        session.stop.check(session.port)
        raise LineError(
            error.what, where=error.where, cause=error.cause, next_step=error.next_step
        ) from error


def _check_chip(session: Session, image: FlashImage, mac: str) -> None:
    """Refuse an image that this chip would not start, before anything is written.

    The ROM's answers carry no checksum: a chip is refused when it says twice what it is refused for.

    Raises:
        BoardError: with what does not fit.
        LineError: it says other things of itself each time.
    """
    chip = patiently(session, Esptool.identify)
    refusal = _refusal(session.port, chip, image, mac)
    if refusal is None:
        return
    again = patiently(session, Esptool.identify)
    if again == chip:
        raise refusal
    if _refusal(session.port, again, image, mac) is not None:
        raise LineError(
            f"the chip says other things of itself each time: {chip.chip}, {mac_text(chip.mac)}, "
            f"{chip.flash_bytes >> 20} MB; {again.chip}, {mac_text(again.mac)}, {again.flash_bytes >> 20} MB",
            where=session.port,
            cause="a line that changes bytes",
            next_step="another cable or hub, then the same command",
        )


def _refusal(port: str, chip: ChipInfo, image: FlashImage, mac: str) -> BoardError | None:
    """Why an image is not written on a chip; None if it may be."""
    if chip.kind != SUPPORTED:
        return BoardError(
            f"the chip is {chip.chip}, not a plain {SUPPORTED}",
            where=port,
            cause=f"{chip.kind or 'this chip'} needs another image, and the firmware does not support it",
            next_step=f"a board with an {SUPPORTED}; nothing was written",
        )
    if mac and chip.mac != mac:
        return BoardError(
            f"there is another board on the port: {mac_text(chip.mac)}, before {mac_text(mac)}",
            where=port,
        )
    if chip.flash_bytes and chip.flash_bytes < image.flash_bytes:
        return BoardError(
            f"the chip has {chip.flash_bytes >> 20} MB of flash, the image needs "
            f"{image.flash_bytes >> 20} MB",
            where=port,
            cause=f"{image.path.name} is built for boards with more flash; this one would not start with it",
            next_step=f"an image for {chip.flash_bytes >> 20} MB, e.g. ESP32_GENERIC; nothing was written",
        )
    return None


def _make_room(session: Session, image: FlashImage) -> None:
    """See that identity and files survive, or that there are none.

    Raises:
        BoardError: they would be lost or unreadable, because the image places them elsewhere.
    """
    try:
        there = read_table(_read(session, TABLE, TABLE_BYTES))
    except ValueError:
        there = ()  # half written, or bytes of another program
    if there:
        for what, now, then in (
            ("identity", nvs_region(there), nvs_region(image.regions)),
            ("files", files_region(there), files_region(image.regions)),
        ):
            if now is not None and (then is None or (now.offset, now.size) != (then.offset, then.size)):
                raise BoardError(
                    f"the {what} of the board would be lost: {now} now, {then or 'nowhere'} in the image",
                    where=session.port,
                    cause="the image has another partition table than the board",
                    next_step="an image of the same layout, or --erase to lose identity and files; "
                    "nothing was written",
                )
        return
    files = image.files
    if files is not None and _is_foreign(session, files):
        # MicroPython formats an empty partition only; anything else stops it at every start.
        patiently(session, lambda chip: chip.erase(files.offset, 2 * _SECTOR))


def _read(session: Session, offset: int, length: int) -> bytes:
    return patiently(session, lambda chip: chip.read(offset, length))


def _is_foreign(session: Session, files: Region) -> bool:
    """Whether a partition for files holds something else than nothing or a file system."""
    start = _read(session, files.offset, 64)
    second = _read(session, files.offset + _SECTOR, 64) if start.strip(b"\xff") else b""
    return bool(start.strip(b"\xff")) and _LITTLEFS not in start + second
