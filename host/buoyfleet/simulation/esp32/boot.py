"""What an ESP32 prints and starts after a reset, decided by what is in its flash alone."""

from dataclasses import dataclass
from random import Random

from buoyfleet.simulation.buses.chip import DEEPSLEEP_RESET, HARD_RESET, PWRON_RESET, SOFT_RESET, WDT_RESET
from buoyfleet.simulation.esp32.efuse import ESP32, ChipKind
from buoyfleet.simulation.esp32.flash_image import FlashImage
from buoyfleet.simulation.esp32.image import (
    DATA,
    ImageError,
    Partition,
    application,
    banner_version,
    read_image,
    read_partitions,
)

ROM_BANNER = "ets Jul 29 2019 12:21:46\r\n\r\n"
REASONS = {
    PWRON_RESET: "0x1 (POWERON_RESET)",
    HARD_RESET: "0xc (SW_CPU_RESET)",
    WDT_RESET: "0xc (SW_CPU_RESET)",
    DEEPSLEEP_RESET: "0x5 (DEEPSLEEP_RESET)",
    SOFT_RESET: "0xc (SW_CPU_RESET)",
}
"""machine.reset_cause() → what the ROM prints; names from ESP32 TRM, "Reset and Clock"."""
BROWN_OUT = "0xf (RTCWDT_BROWN_OUT_RESET)"
ROM_WATCHDOG = "0x10 (RTCWDT_RTC_RESET)"
"""After the boot ROM found nothing and its watchdog ran out."""
ROM_RETRIES = 8
"""Complaints before the watchdog of the boot ROM resets the chip."""
LEAST_GARBAGE, MOST_GARBAGE = 3, 24
"""Bytes around a reset that no terminal can read: the UART is set up while the line is already watched."""
FILE_SYSTEM = "vfs"
"""The partition that MicroPython mounts (ports/esp32/modules/flashbdev.py)."""


@dataclass(frozen=True, slots=True)
class Boot:
    """The outcome of a reset."""

    text: bytes
    """As printed at 115 200 baud."""
    version: str = ""
    """Of the MicroPython that starts, as its banner says it (`v1.25.0`); empty: nothing starts."""
    partitions: tuple[Partition, ...] = ()
    files: Partition | None = None
    """Where the file system of a MicroPython that starts lies."""


def download_text(cause: int) -> str:
    """What the ROM prints when IO0 is low."""
    reason = REASONS.get(cause, REASONS[PWRON_RESET])
    return (
        f"{ROM_BANNER}rst:{reason},boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\n"
        "waiting for download\r\n"
    )


def boot(
    flash: FlashImage,
    cause: int,
    brown_out: bool = False,
    *,
    chip: ChipKind = ESP32,
    again: bool = False,
    noise: Random | None = None,
) -> Boot:
    """Start from flash.

    Args:
        flash: the chip's.
        cause: `machine.reset_cause()` to be.
        brown_out: the supply sagged.
        chip: kind of it.
        again: the ROM found nothing before and its watchdog ran out.
        noise: source of the bytes around the text of a chip that does not boot; None: there are none.
    """
    reason = BROWN_OUT if brown_out else REASONS.get(cause, REASONS[PWRON_RESET])
    reason = ROM_WATCHDOG if again else reason
    text = f"{ROM_BANNER}rst:{reason},boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
    try:
        loader = read_image(flash, chip.boot_loader, chip)
    except ImageError as error:
        complaint = str(error)
        if not complaint.startswith("invalid header"):
            complaint = f"ets_main.c 371 \r\n{complaint}"
        return Boot(_garbled(text + f"{complaint}\r\n" * ROM_RETRIES, noise))
    text += "configsip: 0, SPIWP:0xee\r\nmode:DIO, clock div:2\r\n"
    try:
        table = read_partitions(flash, loader.flash_bytes)
    except ImageError as error:
        text += f"E (85) flash_parts: {error}\r\nE (85) boot: Failed to verify partition table\r\n"
        return Boot(_garbled(text, noise))
    try:
        program = application(flash, table)
        image = read_image(flash, program.offset, chip)
    except ImageError as error:
        text += f"E (85) boot: {error}\r\nE (95) boot: No bootable app partitions in the partition table\r\n"
        return Boot(_garbled(text, noise))
    text += f"entry {program.offset:#x}\r\n"
    if flash.size < image.flash_bytes:
        # esp_flash_init_default_chip of ESP-IDF, called before the program's own code.
        text += (
            f"E (296) spi_flash: Detected size({flash.size >> 10}k) smaller than the size in the binary "
            f"image header({image.flash_bytes >> 10}k). Probe failed.\r\n\r\n"
            "assert failed: do_core_init startup.c:328 (flash_ret == ESP_OK)\r\n\r\nRebooting...\r\n"
        )
        return Boot(_garbled(text, noise))
    version = banner_version(flash, program.offset, image.length)
    if not version:
        return Boot(f"{text}E (90) simulation: this program is no MicroPython: not simulated\r\n".encode())
    files = next((one for one in table if one.kind == DATA and one.label == FILE_SYSTEM), None)
    if files is None:
        return Boot(f"{text}E (90) simulation: no partition {FILE_SYSTEM}: not simulated\r\n".encode())
    return Boot(text.encode(), version, tuple(table), files)


def _garbled(text: str, noise: Random | None) -> bytes:
    """The text between bytes that differ each time, as a bare chip is seen on a terminal."""
    data = text.encode()
    if noise is None:
        return data
    return _garbage(noise) + data + _garbage(noise)


def _garbage(noise: Random) -> bytes:
    return noise.randbytes(noise.randint(LEAST_GARBAGE, MOST_GARBAGE))
