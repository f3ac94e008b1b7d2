"""What was flashed decides what boots."""

import pytest

from host.simulation.buses.chip import DEEPSLEEP_RESET, PWRON_RESET, NvsError
from host.simulation.esp32.boot import boot
from host.simulation.esp32.flash_image import FlashImage
from host.simulation.esp32.image import BOOTLOADER_OFFSET, read_image, read_partitions
from host.simulation.esp32.nvs import FlashNvs
from host.simulation.esp32.synthetic import APP_OFFSET, synthetic_image

IMAGE = synthetic_image(size=300_000)


@pytest.fixture
def flash(tmp_path):
    image = FlashImage(tmp_path / "flash.bin")
    yield image
    image.close()


@pytest.fixture
def flashed(flash):
    flash.write(BOOTLOADER_OFFSET, IMAGE)
    return flash


def test_an_erased_flash_complains_as_the_rom_does_and_boots_nothing(flash):
    outcome = boot(flash, PWRON_RESET)
    assert "rst:0x1 (POWERON_RESET)" in outcome.text
    assert "invalid header: 0xffffffff\r\n" in outcome.text
    assert outcome.version == ""


def test_a_whole_image_boots_the_micropython_it_stands_for(flashed):
    outcome = boot(flashed, DEEPSLEEP_RESET)
    assert outcome.version == "v1.25.0"
    assert "rst:0x5 (DEEPSLEEP_RESET)" in outcome.text
    assert [(p.label, p.offset) for p in read_partitions(flashed)] == [
        ("nvs", 0x9000), ("phy_init", 0xF000), ("factory", 0x10000), ("vfs", 0x200000),
    ]  # fmt: skip


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999])
def test_an_image_that_was_written_in_part_does_not_boot(flash, share):
    flash.write(BOOTLOADER_OFFSET, IMAGE[: int(len(IMAGE) * share)])
    assert boot(flash, PWRON_RESET).version == ""


@pytest.mark.parametrize("at", [BOOTLOADER_OFFSET + 100, 0x8004, APP_OFFSET + 5000, APP_OFFSET + 3])
def test_one_wrong_byte_is_noticed(flashed, at):
    flashed.write(at, bytes((flashed.read(at, 1)[0] ^ 0x55,)))
    assert boot(flashed, PWRON_RESET).version == ""


def test_the_program_inside_the_image_is_found_with_its_length(flashed):
    image = read_image(flashed, APP_OFFSET)
    assert image.project == "micropython"
    assert APP_OFFSET + image.length == BOOTLOADER_OFFSET + len(IMAGE)


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
