"""What was flashed decides what boots."""

import zlib
from random import Random

import pytest

from buoyfleet.simulation.buses.chip import DEEPSLEEP_RESET, PWRON_RESET, NvsError
from buoyfleet.simulation.esp32.boot import boot
from buoyfleet.simulation.esp32.efuse import ESP32, ESP32_C3, ESP32_S3
from buoyfleet.simulation.esp32.flash_image import FlashImage
from buoyfleet.simulation.esp32.image import OTA_SELECT, read_image, read_partitions
from buoyfleet.simulation.esp32.nvs import FlashNvs
from buoyfleet.simulation.esp32.synthetic import APP_OFFSET, synthetic_image

IMAGE = synthetic_image(size=300_000)


@pytest.fixture
def flash(tmp_path):
    image = FlashImage(tmp_path / "flash.bin")
    yield image
    image.close()


@pytest.fixture
def flashed(flash):
    flash.write(ESP32.boot_loader, IMAGE)
    return flash


def test_an_erased_flash_complains_as_the_rom_does_and_boots_nothing(flash):
    outcome = boot(flash, PWRON_RESET)
    assert b"rst:0x1 (POWERON_RESET)" in outcome.text
    assert b"invalid header: 0xffffffff\r\n" in outcome.text
    assert outcome.version == ""


def test_the_complaints_of_a_bare_chip_come_again_with_other_garbage_around_them(flash):
    noise = Random(1)
    first = boot(flash, PWRON_RESET, noise=noise).text
    second = boot(flash, PWRON_RESET, noise=noise, again=True).text
    assert b"rst:0x10 (RTCWDT_RTC_RESET)" in second
    for text in (first, second):
        assert text.count(b"invalid header: 0xffffffff") > 1
        assert not text.startswith(b"ets Jul")
    assert first[:3] != second[:3]


def test_a_whole_image_boots_the_micropython_it_stands_for(flashed):
    outcome = boot(flashed, DEEPSLEEP_RESET)
    assert outcome.version == "v1.25.0"
    assert b"rst:0x5 (DEEPSLEEP_RESET)" in outcome.text
    assert [(p.label, p.offset) for p in read_partitions(flashed)] == [
        ("nvs", 0x9000), ("phy_init", 0xF000), ("factory", 0x10000), ("vfs", 0x200000),
    ]  # fmt: skip


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999])
def test_an_image_that_was_written_in_part_does_not_boot(flash, share):
    flash.write(ESP32.boot_loader, IMAGE[: int(len(IMAGE) * share)])
    assert boot(flash, PWRON_RESET).version == ""


@pytest.mark.parametrize("at", [ESP32.boot_loader + 100, 0x8004, APP_OFFSET + 5000, APP_OFFSET + 3])
def test_one_wrong_byte_is_noticed(flashed, at):
    flashed.write(at, bytes((flashed.read(at, 1)[0] ^ 0x55,)))
    assert boot(flashed, PWRON_RESET).version == ""


def test_the_program_inside_the_image_is_found_with_its_length(flashed):
    image = read_image(flashed, APP_OFFSET)
    assert APP_OFFSET + image.length == ESP32.boot_loader + len(IMAGE)


def test_a_program_without_the_banner_of_a_micropython_is_not_taken_for_one(flash):
    flash.write(ESP32.boot_loader, synthetic_image(size=200_000, banner=False))
    assert boot(flash, PWRON_RESET).version == ""


@pytest.mark.parametrize(
    ("layout", "megabytes", "offset"),
    [("2MiB", 2, 0x120000), ("8MiB", 8, 0x310000), ("16MiB", 16, 0x310000), ("4MiB-ota", 4, 0x310000)],
)
def test_the_file_system_is_where_the_table_of_a_layout_has_it(tmp_path, layout, megabytes, offset):
    flash = FlashImage(tmp_path / "flash.bin", megabytes << 20)
    flash.write(ESP32.boot_loader, synthetic_image(size=200_000, layout=layout))
    outcome = boot(flash, PWRON_RESET)
    assert (outcome.version, outcome.files.offset) == ("v1.25.0", offset)
    flash.close()


def test_an_image_for_more_flash_than_the_chip_has_restarts_for_ever(flash):
    flash.write(ESP32.boot_loader, synthetic_image(size=200_000, layout="16MiB"))
    outcome = boot(flash, PWRON_RESET)
    assert outcome.version == ""
    assert b"Detected size(4096k) smaller than the size in the binary image header(16384k)" in outcome.text


def test_of_two_slots_that_one_starts_that_otadata_names_last(flash):
    flash.write(ESP32.boot_loader, synthetic_image("1.25.0", 200_000, layout="4MiB-ota"))
    other = synthetic_image("1.26.0", 200_000)[APP_OFFSET - ESP32.boot_loader :]
    flash.write(0x190000, other)
    assert boot(flash, PWRON_RESET).version == "v1.25.0"
    flash.write(0xE000, OTA_SELECT.pack(2, b"", 0xFFFFFFFF, zlib.crc32(b"\x02\0\0\0", 0xFFFFFFFF)))
    assert boot(flash, PWRON_RESET).version == "v1.26.0"


@pytest.mark.parametrize("chip", [ESP32_S3, ESP32_C3])
def test_an_image_for_another_kind_of_chip_does_not_boot(flash, chip):
    image = synthetic_image(size=200_000, chip=chip)
    flash.write(chip.boot_loader, image)
    assert boot(flash, PWRON_RESET, chip=chip).version == "v1.25.0"
    assert b"invalid header" in boot(flash, PWRON_RESET).text
    flash.write(ESP32.boot_loader, image)
    assert boot(flash, PWRON_RESET).version == ""


def test_nvs_lives_in_its_partition_and_dies_with_it(flashed):
    nvs = FlashNvs(flashed)
    nvs.set("buoy", "id", 131)
    nvs.set("buoy", "thing", b"a\x00b")
    nvs.commit()
    nvs.set("buoy", "id", 7)
    again = FlashNvs(flashed)
    assert (again.get("buoy", "id", int), again.get("buoy", "thing", bytes)) == (131, b"a\x00b")
    flashed.erase(0x9000, 0x6000)
    again.load()
    with pytest.raises(NvsError):
        again.get("buoy", "id", int)


def test_a_damaged_half_of_nvs_leaves_the_commit_before(flashed):
    nvs = FlashNvs(flashed)
    for number in (1, 2):
        nvs.set("buoy", "n", number)
        nvs.commit()
    flashed.write(0x9000 + 20, b"\x00")
    nvs.load()
    assert nvs.get("buoy", "n", int) == 1
