"""What an ESP32 prints and starts after a reset, decided by what is in its flash alone."""

from dataclasses import dataclass

from host.simulation.buses.chip import DEEPSLEEP_RESET, HARD_RESET, PWRON_RESET, SOFT_RESET, WDT_RESET
from host.simulation.esp32.flash_image import FlashImage
from host.simulation.esp32.image import (
    APP,
    BOOTLOADER_OFFSET,
    ImageError,
    Partition,
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
ROM_RETRIES = 8
"""Complaints before the watchdog of the boot ROM resets the chip."""


@dataclass(frozen=True, slots=True)
class Boot:
    """The outcome of a reset."""

    text: str
    """As printed at 115 200 baud."""
    version: str = ""
    """Of the MicroPython that starts; empty: nothing starts."""
    partitions: tuple[Partition, ...] = ()


def download_text(cause: int) -> str:
    """What the ROM prints when IO0 is low."""
    reason = REASONS.get(cause, REASONS[PWRON_RESET])
    return (
        f"{ROM_BANNER}rst:{reason},boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\n"
        "waiting for download\r\n"
    )


def boot(flash: FlashImage, cause: int, brown_out: bool = False) -> Boot:
    """Start from flash."""
    reason = BROWN_OUT if brown_out else REASONS.get(cause, REASONS[PWRON_RESET])
    text = f"{ROM_BANNER}rst:{reason},boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
    try:
        read_image(flash, BOOTLOADER_OFFSET)
    except ImageError as error:
        return Boot(text + f"{error}\r\n" * ROM_RETRIES)
    text += "configsip: 0, SPIWP:0xee\r\nmode:DIO, clock div:2\r\n"
    try:
        partitions = tuple(read_partitions(flash))
        program = next((one for one in partitions if one.kind == APP), None)
        if program is None:
            raise ImageError("No bootable app partitions in the partition table")
        image = read_image(flash, program.offset)
    except ImageError as error:
        return Boot(text + f"E (85) boot: {error}\r\n")
    if image.project != "micropython":
        return Boot(
            text
            + f"E (90) simulation: {image.project or 'this program'} is no MicroPython: not simulated\r\n"
        )
    return Boot(text + f"entry {program.offset:#x}\r\n", image.version, partitions)
