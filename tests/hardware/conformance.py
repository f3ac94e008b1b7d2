"""What a simulated board has in common with a stock ESP32, row by row; `docs/conformance.md` is made from it.

    python tests/hardware/conformance.py > docs/conformance.md

Each row names the test that holds the simulation to it. `make hardware` asks real boards the same question
where a row has code for it, and prints what differs.
"""

from dataclasses import dataclass

MEASURED = "measured on stock ESP32_GENERIC 1.24.0"
MEMORY, BOOT, MPREMOTE = "test_esp32_memory.py", "test_esp32_boot.py", "test_esp32_mpremote.py"


@dataclass(frozen=True, slots=True)
class Row:
    """One behaviour."""

    topic: str
    behaviour: str
    source: str
    test: str
    """File below tests/ and function."""
    code: str = ""
    """Prints one word on a board that just had a soft reset; empty: not asked of real boards."""
    least: float = 0.0
    most: float = 0.0
    """The range that the word lies in, where it is a number."""


def _esp32(file: str, function: str) -> str:
    return f"esp32/{file}::{function}"


_IDF = "import esp32; h = esp32.idf_heap_info(esp32.HEAP_DATA); "
_WIFI = "import network; network.WLAN(0).active(True); "
HOLD_A_BUFFER = """
import esp32, machine
def largest():
    return max([r[2] for r in esp32.idf_heap_info(esp32.HEAP_DATA)])
before = largest()
uart = machine.UART(1, tx=25, rx=26, rxbuf=60000)
held = before - largest()
uart.deinit()
print(held if largest() == before else "kept")
"""
GROW_BESIDE_A_BUFFER = """
import esp32, gc, machine
def largest():
    return max([r[2] for r in esp32.idf_heap_info(esp32.HEAP_DATA)])
held = []
for number, tx, rx in ((1, 25, 26), (2, 17, 16)):
    spare = largest() - 34816
    if spare > 1024:
        held.append(machine.UART(number, tx=tx, rx=rx, rxbuf=min(65280, spare // (3 - number))))
filled = []
while gc.mem_alloc() < 61440:
    filled.append(bytearray(112))
kept = filled[-1]
filled = None
for uart in held:
    uart.deinit()
gc.collect()
print(gc.mem_alloc() + gc.mem_free() - largest())
"""
"""What `_grow_heap` in firmware/buoy/starting.py does; prints the size of the heap."""

ROWS = (
    Row(
        "clock",
        "After power-on the clock says 2000-01-01. A date that is set holds for `RTC`, `time` and files.",
        MEASURED,
        _esp32(
            "test_esp32_clock.py",
            "test_after_power_on_it_is_2000_for_rtc_time_and_files_and_a_date_set_holds_for_all",
        ),
    ),
    Row(
        "clock",
        "It goes on over `machine.reset()` and deep sleep, and is lost with the supply.",
        MEASURED,
        _esp32(
            "test_esp32_clock.py", "test_the_clock_goes_on_over_reset_and_deep_sleep_but_not_over_a_power_cut"
        ),
    ),
    Row(
        "clock",
        "TLS judges certificates by it: before it is set, every certificate of today is refused.",
        f"{MEASURED}; CONFIG_MBEDTLS_HAVE_TIME_DATE in ports/esp32/boards/sdkconfig.base",
        _esp32("test_esp32_clock.py", "test_tls_refuses_a_certificate_of_today_until_the_clock_is_set"),
    ),
    Row(
        "clock",
        "`time.gmtime(0)` is in 2000.",
        "ports/esp32, MICROPY_EPOCH_IS_1970 is not set",
        _esp32(
            "test_esp32_clock.py",
            "test_after_power_on_it_is_2000_for_rtc_time_and_files_and_a_date_set_holds_for_all",
        ),
        "import time; print(time.gmtime(0)[0])",
        2000,
        2000,
    ),
    Row(
        "memory",
        "Words have 32 bits: integers above 30 bits are objects.",
        "ESP32; MICROPY_OBJ_REPR_A in ports/esp32/mpconfigport.h",
        _esp32("test_esp32_words.py", "test_a_word_has_32_bits"),
        "import sys; print(sys.maxsize)",
        2**31 - 1,
        2**31 - 1,
    ),
    Row(
        "memory",
        "The Python heap begins with an area of 56 KiB, 56,030 bytes of it for objects; 1.8 KB are "
        "in use at the "
        "prompt. `gc.mem_free()` counts the largest block of the IDF heap as free: 165 KB.",
        f"{MEASURED}; MICROPY_GC_INITIAL_HEAP_SIZE in ports/esp32/mpconfigport.h",
        _esp32(MEMORY, "test_a_bare_prompt_has_the_heap_of_a_stock_image"),
        "import gc; gc.collect(); print(gc.mem_alloc() + gc.mem_free())",
        160_000,
        172_000,
    ),
    Row(
        "memory",
        "With Wi-Fi on, 96.4 KB of the IDF heap are free, 94.2 KB in one block. They do not come back.",
        MEASURED,
        _esp32(MEMORY, "test_wifi_takes_its_memory_and_keeps_it"),
        _WIFI + _IDF + "print(sum(r[1] for r in h))",
        93_000,
        100_000,
    ),
    Row(
        "memory",
        "A heap that is full takes a further area: as much as it has, at least what is needed, at "
        "most the largest "
        "block. It is given back only when it is wholly empty, which does not happen.",
        f"{MEASURED}; gc_try_add_heap in py/gc.c",
        _esp32(MEMORY, "test_a_heap_that_is_full_takes_as_much_again_for_ever"),
    ),
    Row(
        "memory",
        "Python can take all that Wi-Fi left; then MemoryError.",
        "gc_try_add_heap in py/gc.c",
        _esp32(MEMORY, "test_python_can_take_all_that_wifi_left_and_no_more"),
    ),
    Row(
        "memory",
        "The receive buffer of `machine.UART` (`rxbuf`, at most 65,535 bytes) is one piece of the IDF heap; "
        "`deinit` gives it back. Derived, not measured on a chip yet.",
        "ports/esp32/machine_uart.c; uart_driver_install in ESP-IDF",
        _esp32(MEMORY, "test_the_receive_buffer_of_a_uart_is_one_piece_of_the_idf_heap"),
        HOLD_A_BUFFER,
        59_000,
        63_000,
    ),
    Row(
        "memory",
        "A heap that is full while such buffers hold all but 34 KB of the largest block grows by 34 KB: "
        "to some 90,000 bytes. Derived, not measured on a chip yet.",
        "gc_try_add_heap in py/gc.c; gc_get_max_new_split in ports/esp32/gccollect.c",
        _esp32(MEMORY, "test_a_heap_grows_only_into_the_block_that_a_held_buffer_leaves"),
        GROW_BESIDE_A_BUFFER,
        86_000,
        94_000,
    ),
    Row(
        "memory",
        "A soft reset gives further areas back.",
        "ports/esp32/main.c, soft_reset_exit",
        _esp32(MEMORY, "test_a_soft_reset_gives_every_further_area_back"),
    ),
    Row(
        "memory",
        "A TLS connection takes 27 KB while it stands, in two large pieces (16.7 and 4.4 KB) and "
        "small ones, and "
        "some 34 KB during the handshake.",
        f"{MEASURED}; CONFIG_MBEDTLS_ASYMMETRIC_CONTENT_LEN in ports/esp32/boards/sdkconfig.base",
        _esp32(MEMORY, "test_a_tls_connection_takes_its_share_while_it_stands"),
    ),
    Row(
        "memory",
        "Where the buffers of TLS do not fit, `wrap_socket` raises OSError 12 (ENOMEM).",
        "extmod/modtls_mbedtls.c",
        _esp32(MEMORY, "test_tls_is_refused_where_its_buffers_do_not_fit"),
    ),
    Row(
        "memory",
        "Where the rest of a handshake does not fit, the board stands still for seconds (8 s here, "
        "49 s were seen) "
        "and fails: here with OSError -32512. A chip may say instead that the certificate is not "
        "correctly signed.",
        MEASURED,
        _esp32(MEMORY, "test_a_handshake_that_runs_out_of_memory_stands_still_and_fails"),
    ),
    Row(
        "flash",
        "Files that a program forgot to close are closed, and written, by the collector.",
        "finaliser of files in extmod/vfs_lfsx.c; gc_sweep in py/gc.c",
        _esp32("test_esp32_ctrl_c.py", "test_files_that_a_program_forgot_are_closed_by_the_collector"),
    ),
    Row(
        "flash",
        "LittleFS reads 32 bytes at a time; a rename among thirty files takes 800 to 2,800 reads.",
        MEASURED,
        _esp32("test_esp32_flash_costs.py", "test_a_rename_among_thirty_files_reads_as_much_as_on_a_chip"),
    ),
    Row(
        "flash",
        "An operation takes its time: 50 µs a read, 45 ms a sector's erasure.",
        f"{MEASURED}; data sheet of the Winbond W25Q32JV",
        _esp32("test_esp32_flash_costs.py", "test_where_it_is_asked_for_operations_take_the_time_of_a_chip"),
    ),
    Row(
        "boot",
        "An erased flash prints `invalid header: 0xffffffff` again and again, with other garbage around it.",
        MEASURED,
        _esp32(BOOT, "test_the_complaints_of_a_bare_chip_come_again_with_other_garbage_around_them"),
    ),
    Row(
        "images",
        "Name and version in the description are empty; the version stands in the banner text.",
        f"{MEASURED}; CONFIG_APP_EXCLUDE_PROJECT_VER_VAR in ports/esp32/boards/sdkconfig.base",
        _esp32(BOOT, "test_a_whole_image_boots_the_micropython_it_stands_for"),
    ),
    Row(
        "images",
        "An image with a partition table for more flash than the chip has restarts for ever.",
        "ESP-IDF, boot loader",
        _esp32(BOOT, "test_an_image_for_more_flash_than_the_chip_has_restarts_for_ever"),
    ),
    Row(
        "REPL",
        "`sys.platform` is esp32; friendly, raw and raw-paste mode, Ctrl-C and Ctrl-D work.",
        MEASURED,
        _esp32(MPREMOTE, "test_a_program_sees_an_esp32"),
    ),
    Row(
        "resets",
        "A watchdog that is not fed resets the board; it cannot be stopped.",
        "MicroPython documentation, machine.WDT",
        _esp32("test_esp32_power.py", "test_a_watchdog_that_is_not_fed_resets"),
    ),
    Row(
        "resets",
        "Deep sleep is silent and ends with a boot of its own cause.",
        MEASURED,
        _esp32("test_esp32_power.py", "test_deep_sleep_is_silent_and_ends_with_a_boot_of_its_own_cause"),
    ),
    Row(
        "hardware",
        "`ADC.read_uv()` raises OSError -258 on a chip without a reference voltage in its eFuse.",
        MEASURED,
        _esp32(MEMORY, "test_read_uv_raises_on_a_chip_without_reference_voltage"),
        "import machine; print(machine.ADC(machine.Pin(36)).read_uv() >= 0)",
    ),
    Row(
        "hardware",
        "Wi-Fi takes its time to join, and fails for the reason it has.",
        "MicroPython documentation, network.WLAN.status",
        "simulation/test_buses.py::test_wifi_takes_its_time_and_fails_for_the_reason_it_has",
    ),
)

INTRODUCTION = """# What a simulated board has in common with an ESP32

Made by `tests/hardware/conformance.py`: change the table there. Each row has a source, and a test below
`tests/` that fails when the simulation is kinder. `make hardware PORTS=…` asks real boards the rows marked ●
and prints what differs.

"""
KNOWN = """
## Known differences of memory
- The areas of the Python heap are one piece here, so a large object may fit that would not fit on a chip. For
  that a further area is taken 2 KB before the heap is full.
- Order and size of the pieces in the IDF heap are modelled, not their places: the largest block beside nine
  drivers is 34 KB here and 22.5 KB on a chip.
- The 0.85 KB that importing `umqtt.simple` takes count from the start, not from its import.
- PSRAM is not modelled: every board has the RAM of a chip without it.
- Before Wi-Fi is on, the free IDF heap was not measured; Wi-Fi's share follows from what is left with it.
- A handshake that fits does not hold up the console for seconds, as a chip's does.
- Without 32-bit words (a computer that runs no i386 programs) the figures are scaled by 1.52.
- How the firmware sizes the second Python area (docs/firmware.md, Memory) rests on the two rows about receive
  buffers. They follow from the port's source and have not been measured on a chip; `make hardware` asks.
"""


def page() -> str:
    """The document."""
    lines = ["| | behaviour | source | test | asked |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.topic} | {row.behaviour} | {row.source} | `{row.test}` | {'●' if row.code else ''} |"
        for row in ROWS
    ]
    return INTRODUCTION + "\n".join(lines) + "\n" + KNOWN


def conforms(row: Row, word: str) -> bool:
    """Whether what a board printed is what the row says."""
    if not row.most:
        return word == "True"
    try:
        return row.least <= float(word) <= row.most
    except ValueError:
        return False


if __name__ == "__main__":
    print(page(), end="")
