"""Images are judged before anything is erased: each damage by its own sentence."""

import hashlib
import struct

import pytest

from host.model.errors import UsageError
from host.serial.esp_image import read_image
from host.simulation.esp32.synthetic import synthetic_image


@pytest.fixture(scope="module")
def good():
    return synthetic_image("1.26.1", 200_000)


def test_a_whole_image_tells_its_version_and_leaves_the_identity_alone(tmp_path, good):
    path = tmp_path / "good.bin"
    path.write_bytes(good)
    image = read_image(path)
    assert (image.project, image.version) == ("micropython", "1.26.1")
    assert image.digest == hashlib.sha256(good).hexdigest()
    assert image.flash_bytes == 4 << 20
    pieces = image.pieces()
    assert [address for address, _ in pieces] == [0x1000, 0xF000]
    assert len(pieces[0][1]) == 0x8000
    rebuilt = pieces[0][1] + b"\xff" * 0x6000 + pieces[1][1]
    assert rebuilt == good
    assert image.pieces(keep_nvs=False) == [(0x1000, good)]


def at(offset: int, value: bytes):
    def change(data: bytes) -> bytes:
        return data[:offset] + value + data[offset + len(value) :]

    return change


TABLE = 0x7000


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: data[:5000], "whole image has more"),
        (lambda _data: b"\x7fELF" + bytes(100_000), "no ESP32 boot loader"),
        (at(0, b"\x00"), "not 0xe9"),
        (at(12, struct.pack("<H", 9)), "for ESP32-S3, not for ESP32"),
        (at(1, b"\x00"), "0 segments"),
        (at(24 + 4, b"\xff\xff\xff\x7f"), "is not whole"),
        (at(100, b"\x55\xaa\x55"), "checksum of the boot loader"),
        (at(4, b"\x12"), "SHA-256 of the boot loader"),
        (at(TABLE, b"\xff" * 0xC00), "no partition table"),
        (at(TABLE + 4, b"\x00\xa0"), "MD5 of its partition table"),
        (lambda data: data[:-1000], "not whole"),
        (at(150_000, b"\x55"), "checksum of the program"),
        (lambda data: data[:0xF000] + b"\xe9" + bytes(0x2000), "the program has 0 segments"),
    ],
)
def test_what_would_not_boot_is_refused_with_what_is_wrong(tmp_path, good, damage, sentence):
    path = tmp_path / "bad.bin"
    path.write_bytes(damage(good))
    with pytest.raises(UsageError) as caught:
        read_image(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_image_with_data_where_identity_lives_is_not_written_around_it(tmp_path, good):
    path = tmp_path / "own-nvs.bin"
    path.write_bytes(at(0x8000, b"data of its own")(good))
    image = read_image(path)
    with pytest.raises(UsageError, match="keeps its identity"):
        image.pieces()
    assert image.pieces(keep_nvs=False)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_image(tmp_path / "none.bin")
