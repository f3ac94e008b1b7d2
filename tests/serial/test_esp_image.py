"""Images are judged before anything is erased: each damage by its own sentence."""

import gzip
import hashlib
import struct
import subprocess
import sys

import pytest
from hand_made_image import OTA_TABLE, TABLE_16_MB, application, table, whole
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buoyfleet.model.errors import UsageError
from buoyfleet.serial.chips import chip_name
from buoyfleet.serial.esp_image import read_image
from buoyfleet.simulation.esp32.synthetic import LAYOUTS, synthetic_image

GOOD = whole()


def read(tmp_path, data, name="image.bin"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_image(path)


def test_a_whole_image_tells_its_version_and_leaves_the_identity_alone(tmp_path):
    image = read(tmp_path, GOOD)
    assert image.version == "1.24.0"
    assert image.digest == hashlib.sha256(GOOD).hexdigest()
    assert image.flash_bytes == 4 << 20
    pieces = image.pieces()
    assert [address for address, _ in pieces] == [0x1000, 0xF000]
    assert len(pieces[0][1]) == 0x8000
    rebuilt = pieces[0][1] + b"\xff" * 0x6000 + pieces[1][1]
    assert rebuilt == GOOD
    assert image.pieces(keep_nvs=False) == [(0x1000, GOOD)]


@pytest.mark.parametrize(
    ("banner", "name", "version"),
    [
        ("MicroPython v1.24.0 on 2024-10-25", "x.bin", "1.24.0"),
        (
            "MicroPython v1.25.0-preview.123.gabcdef012 on 2025-01-31",
            "x.bin",
            "1.25.0-preview.123.gabcdef012",
        ),
        ("MicroPython v1.22.2-dirty on 2024-02-22", "x.bin", "1.22.2-dirty"),
        ("MicroPython v1.19.1-725-gabcdef on 2022-12-02", "x.bin", "1.19.1-725-gabcdef"),
        ("MicroPython v1.24.0 on 2024-10-25", "ESP32_GENERIC-20250415-v1.25.0.bin", "1.24.0"),
        # A build from a copy without tags names a commit.
        ("MicroPython abcdef0-dirty on 2024-10-25", "ESP32_GENERIC-20250415-v1.25.0.bin", "1.25.0"),
        ("none", "ESP32_GENERIC-SPIRAM-20250415-v1.25.0.bin", "1.25.0"),
        ("none", "esp32-20230426-v1.20.0.bin", "1.20.0"),
        ("none", "ESP32_GENERIC-20250601-v1.26.0-preview.77.gabc0.bin", "1.26.0-preview.77.gabc0"),
        ("none", "firmware.bin", ""),
    ],
)
def test_the_version_stands_in_the_banner_or_in_the_name_of_the_release(tmp_path, banner, name, version):
    assert read(tmp_path, whole(banner), name).version == version


def test_what_the_description_says_is_no_version_of_micropython(tmp_path):
    data = whole("none", version="v9.9.9", project="micropython")
    assert read(tmp_path, data, "firmware.bin").version == ""


@pytest.mark.parametrize(
    ("rows", "megabytes", "nvs_end"), [(OTA_TABLE, 4, 0xD000), (TABLE_16_MB, 16, 0xF000)]
)
def test_identity_and_size_of_the_flash_are_where_the_table_has_them(tmp_path, rows, megabytes, nvs_end):
    image = read(tmp_path, whole(rows=rows, megabytes=megabytes))
    assert image.flash_bytes == megabytes << 20
    assert [address for address, _ in image.pieces()] == [0x1000, nvs_end]


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_the_images_of_the_simulation_are_images_like_the_hand_made_ones(tmp_path, layout):
    image = read(tmp_path, synthetic_image("1.26.1", 200_000, layout=layout))
    assert (image.version, image.flash_bytes) == ("1.26.1", LAYOUTS[layout][0] << 20)


@pytest.mark.parametrize("data", [GOOD, synthetic_image("1.26.1", 200_000)], ids=["by hand", "synthetic"])
def test_esptool_itself_takes_the_images_for_valid(tmp_path, data):
    for name, part in (("loader", data[:0x7000]), ("program", data[0xF000:])):
        path = tmp_path / f"{name}.bin"
        path.write_bytes(part)
        command = [sys.executable, "-m", "esptool", "--chip", "esp32", "image-info", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        assert text.count("(valid)") == 2, text  # checksum and SHA-256
        assert "Flash size: 4MB" in text


def at(offset: int, value: bytes):
    def change(data: bytes) -> bytes:
        return data[:offset] + value + data[offset + len(value) :]

    return change


TABLE = 0x7000


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: data[:5000], "whole image has more"),
        (lambda _data: b"", "the file is empty"),
        (lambda _data: b"\x7fELF" + bytes(100_000), "program with its symbols"),
        (lambda _data: b"\n<!DOCTYPE html><html><head>" + b"x" * 90_000, "web page"),
        (lambda _data: b"<html>" + b"x" * 90_000, "web page"),
        (lambda data: b"UF2\nWQ]\x9e" + data, "UF2 file"),
        (lambda data: b"PK\x03\x04" + data, "ZIP archive"),
        (gzip.compress, "gzip archive"),
        (lambda _data: b":020000040800F2\n:10" * 9000, "Intel HEX"),
        (lambda _data: b"Not Found\n" * 9000, "text file"),
        (lambda data: b"\xff" * 0x1000 + data, "image for address 0"),
        (lambda data: data[0xF000:], "program alone"),
        (lambda _data: application(chip=9), "program alone"),
        (lambda _data: b"\xe9\x03\x02\x40" + struct.pack("<III", 0x40100000, 0x40100000, 64) + bytes(99_000),
         "ESP8266"),
        (at(0, b"\x00"), "not 0xe9"),
        (lambda _data: whole(chip=9), "for ESP32-S3, not for ESP32"),
        (lambda _data: whole(chip=5), "for ESP32-C3, not for ESP32"),
        (lambda data: data[:0xF000] + application(chip=2), "the program is for ESP32-S2"),
        (at(1, b"\x00"), "0 segments"),
        (at(24 + 4, b"\xff\xff\xff\x7f"), "is not whole"),
        (at(100, b"\x55\xaa\x55"), "checksum of the boot loader"),
        (at(4, b"\x12"), "SHA-256 of the boot loader"),
        (at(TABLE, b"\xff" * 0xC00), "no partition table"),
        (at(TABLE + 4, b"\x00\xa0"), "MD5 of its partition table"),
        (lambda _data: whole(rows=TABLE_16_MB, megabytes=4), "beyond the 4 MB of flash in its header"),
        (lambda _data: whole(rows=OTA_TABLE[1:]), "no NVS"),
        (lambda _data: whole(rows=[("nvs", 1, 2, 0x9000, 0x6000), ("app", 0, 0, 0x10000, 0x1000)]),
         "its partition 4096"),
        (at(TABLE, table([("nvs", 1, 2, 0, 0x6000), ("app", 0, 0, 0x10000, 0x100000)])),
         "covers the partition"),
        (lambda data: data[:-1000], "not whole"),
        (lambda data: data[:0xF000], "a whole image has more"),
        (at(0xF000 + 30_000, b"\x55"), "checksum of the program"),
        (lambda data: data[:0xF000] + b"\xe9" + bytes(0x2000), "the program has 0 segments"),
    ],
)  # fmt: skip
def test_what_would_not_boot_is_refused_with_what_is_wrong(tmp_path, damage, sentence):
    path = tmp_path / "bad.bin"
    path.write_bytes(damage(GOOD))
    with pytest.raises(UsageError) as caught:
        read_image(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, len(GOOD)),
    changes=st.lists(st.tuples(st.integers(0, 0x8FFF), st.binary(min_size=1, max_size=8)), max_size=4),
)
def test_whatever_a_file_holds_it_is_read_or_refused_in_words(tmp_path, cut, changes):
    data = bytearray(GOOD)
    for offset, value in changes:
        data[offset : offset + len(value)] = value
    path = tmp_path / "any.bin"
    path.write_bytes(data[: max(cut, 0x10001)])
    try:
        image = read_image(path)
    except UsageError:
        return
    assert image.flash_bytes
    image.pieces(keep_nvs=False)


def test_an_image_with_data_where_identity_lives_is_not_written_around_it(tmp_path):
    image = read(tmp_path, at(0x8000, b"data of its own")(GOOD))
    with pytest.raises(UsageError, match="keeps its identity"):
        image.pieces()
    assert image.pieces(keep_nvs=False)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_image(tmp_path / "none.bin")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ESP32-D0WDQ6-V3 (revision v3.0)", "ESP32"),
        ("ESP32-PICO-D4 (revision v1.1)", "ESP32"),
        ("ESP32-U4WDH", "ESP32"),
        ("ESP32-S0WD", "ESP32"),
        ("Generic ESP32 module with ESP32", "ESP32"),
        ("esp32", "ESP32"),
        ("ESP32-S3 (QFN56) (revision v0.2)", "ESP32-S3"),
        ("Generic ESP32S3 module with ESP32S3", "ESP32-S3"),
        ("LOLIN_S2_MINI with ESP32-S2FN4R2", "ESP32-S2"),
        ("ESP32C3 module with ESP32C3", "ESP32-C3"),
        ("ESP8266EX", "ESP8266"),
        ("Raspberry Pi Pico with RP2040", ""),
    ],
)
def test_kinds_of_chips_are_known_by_what_tools_and_interpreters_call_them(text, name):
    assert chip_name(text) == name
