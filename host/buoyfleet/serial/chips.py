"""Kinds of ESP32 chips, by the numbers in images and by the names that tools and interpreters give them."""

import re

CHIPS = {
    0: "ESP32",
    2: "ESP32-S2",
    5: "ESP32-C3",
    9: "ESP32-S3",
    12: "ESP32-C2",
    13: "ESP32-C6",
    16: "ESP32-H2",
    18: "ESP32-P4",
    20: "ESP32-C61",
    23: "ESP32-C5",
}
"""chip_id of the extended header of an image (esp_chip_id_t of ESP-IDF) → name."""
SUPPORTED = "ESP32"
_SUCCESSOR = re.compile(r"ESP32-?(S2|S3|C2|C3|C5|C61|C6|H2|H4|P4)", re.IGNORECASE)


def chip_name(text: str) -> str:
    """Kind of chip in what somebody calls it; empty if it names none.

    Args:
        text: `ESP32-D0WDQ6-V3 (revision v3.0)` of esptool, `Generic ESP32S3 module with ESP32S3` of
            MicroPython's `sys.implementation._machine`, `esp32` of `sys.platform`.
    """
    successor = _SUCCESSOR.search(text)
    if successor:
        return f"ESP32-{successor[1].upper()}"
    if "esp8266" in text.lower():
        return "ESP8266"
    return "ESP32" if "esp32" in text.lower() else ""
