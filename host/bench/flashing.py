"""Writing an interpreter image: around the identity, verified, slower where the line is bad."""

import tempfile
from pathlib import Path

from host.bench.session import Session
from host.model.board_names import mac_text
from host.model.errors import BoardError
from host.serial.esp_image import FlashImage
from host.serial.esptool import Progress
from host.serial.raw_repl import LineError

SLOWER = (230_400, 115_200)
"""Bit rates that are tried after the one asked for."""


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
        BoardError: it failed at every rate, or the chip is another one.
        UsageError: the image has data where identity lives.
    """
    pieces = image.pieces(keep_nvs=not erase)
    # esptool itself refuses other chips, and images that are larger than the flash, before it erases.
    chip = session.esptool().identify() if erase else None
    if chip is not None:
        _right_chip(session.port, chip.chip, chip.is_esp32, chip.mac, mac)
        if chip.flash_bytes and chip.flash_bytes < image.flash_bytes:
            raise BoardError(
                f"the flash has {chip.flash_bytes >> 20} MB, the image needs {image.flash_bytes >> 20} MB",
                where=session.port,
                next_step="an image for this size of flash",
            )
    if erase:
        session.esptool().erase()
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
        try:
            again = session.esptool().identify(flash=False).mac
        except BoardError as error:
            session.stop.check(session.port)
            raise LineError(
                error.what, where=error.where, cause=error.cause, next_step=error.next_step
            ) from error
        if again in read:
            return again
        read.append(again)
    raise LineError(
        f"the chip says another MAC each time: {', '.join(map(mac_text, read))}",
        where=session.port,
        cause="a line that changes bytes",
        next_step="another cable or hub, then the same command",
    )


def _right_chip(port: str, chip: str, is_esp32: bool, found: str, meant: str) -> None:
    if not is_esp32:
        raise BoardError(
            f"the chip is {chip}, not a plain ESP32", where=port, next_step="take the right board"
        )
    if meant and found != meant:
        raise BoardError(
            f"there is another board on the port: {mac_text(found)}, before {mac_text(meant)}", where=port
        )
