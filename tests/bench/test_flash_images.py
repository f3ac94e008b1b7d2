"""What `buoy flash` writes on which board, and what it refuses before anything is written."""

import pytest

from buoyfleet.bench.batch_context import StepFailed
from buoyfleet.bench.flash_only import FlashOnly
from buoyfleet.bench.images import get_image, notes_on
from buoyfleet.bench.session import Patience, Session
from buoyfleet.model.board_names import parse_name
from buoyfleet.model.errors import UsageError
from buoyfleet.serial.esp_image import read_image
from buoyfleet.simulation.esp32.efuse import ESP32, ESP32_C3, ESP32_S3
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import synthetic_image, write_synthetic

STOCK, MOVED, BARE, FOREIGN, S3, C3 = range(210, 216)
SIZE = 80_000
PATIENCE = Patience(reappear_s=10.0, boot_s=15.0, prompt_s=8.0, tries=2)
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("boards"), flashed=False) as running:
        for buoy in (STOCK, MOVED, BARE, FOREIGN):
            running.add(buoy, plugged=False)
        running.add(S3, plugged=False, chip=ESP32_S3)
        running.add(C3, plugged=False, chip=ESP32_C3)
        stock = synthetic_image("1.24.0", SIZE)
        for buoy in (STOCK, MOVED):
            running.with_board(buoy, lambda board: board.flash.write(ESP32.boot_loader, stock))
        running.with_board(FOREIGN, lambda board: board.flash.write(0x200000, b"somebody else's data" * 99))
        other = synthetic_image("1.25.0", SIZE, chip=ESP32_C3)
        running.with_board(C3, lambda board: board.flash.write(ESP32_C3.boot_loader, other))
        for buoy in running.ids:
            running.replug(buoy)
        yield running


def flash(simulator, buoy, image, *, erase=False, force=False):
    """The steps that were done and the notes that were shown."""
    notes = []
    name = parse_name(simulator.path(buoy))
    work = FlashOnly(
        name,
        image,
        Session(name, patience=PATIENCE),
        baud=460_800,
        force=force,
        erase=erase,
        show=lambda event: notes.append(event.text) if event.kind == "note" else None,
    )
    return work.run().done, notes


def content(simulator, buoy):
    return simulator.with_board(buoy, lambda board: board.flash.md5(0, board.flash.size))


def version_of(simulator, buoy):
    with Session(parse_name(simulator.path(buoy)), patience=PATIENCE) as session:
        return session.look().micropython


def image_file(tmp_path, *arguments, **more):
    return read_image(write_synthetic(tmp_path / "image.bin", *arguments, size=SIZE, **more))


def test_a_stock_image_of_another_version_is_written_once_and_of_the_same_not_again(simulator, tmp_path):
    assert version_of(simulator, STOCK) == "1.24.0"
    image = image_file(tmp_path, "1.26.1")
    assert flash(simulator, STOCK, image) == (["interpreter"], [])
    assert version_of(simulator, STOCK) == "1.26.1"
    assert flash(simulator, STOCK, image) == ([], [])
    preview = image_file(tmp_path, "1.26.0-preview.12.gabcdef01")
    assert flash(simulator, STOCK, preview)[0] == ["interpreter"]
    assert flash(simulator, STOCK, preview)[0] == []


@pytest.mark.soak
def test_an_image_that_does_not_say_its_version_equals_nothing(simulator, tmp_path):
    path = tmp_path / "build.bin"
    path.write_bytes(synthetic_image("", SIZE))  # "MicroPython v on …": a build from a copy without tags
    image = read_image(path)
    assert image.version == ""
    for _ in range(2):
        done, notes = flash(simulator, STOCK, image)
        assert done == ["interpreter"]
        assert "does not say its version" in notes[0]


def test_a_version_newer_than_tried_gets_a_note(tmp_path):
    assert notes_on(image_file(tmp_path, "1.29.0")) == [
        "MicroPython 1.29.0 is newer than 1.26.1, the newest that this firmware was tried with"
    ]
    assert notes_on(image_file(tmp_path, "1.26.1")) == []


@pytest.mark.parametrize("version", ["1.23.0", "1.19.1", "1.20"])
def test_a_version_that_is_too_old_is_refused_with_the_reason(tmp_path, version):
    path = write_synthetic(tmp_path / "old.bin", version, SIZE)
    for wanted in (str(path), version):
        with pytest.raises(UsageError, match=r"older than 1\.24\.0") as caught:
            get_image(wanted, tmp_path / "images")
        assert "no module `tls`" in caught.value.cause


@pytest.mark.parametrize(("layout", "erase"), [("16MiB", False), ("8MiB", True)])
def test_an_image_for_more_flash_than_the_chip_has_is_refused_before_anything_is_written(
    simulator, tmp_path, layout, erase
):
    before = content(simulator, MOVED)
    with pytest.raises(StepFailed, match="the chip has 4 MB of flash, the image needs") as caught:
        flash(simulator, MOVED, image_file(tmp_path, "1.26.1", layout=layout), erase=erase)
    assert "an image for 4 MB" in caught.value.next_step
    assert content(simulator, MOVED) == before


def test_an_image_that_moves_identity_and_files_is_written_only_with_erase(simulator, tmp_path):
    image = image_file(tmp_path, "1.26.1", layout="4MiB-ota")
    before = content(simulator, MOVED)
    with pytest.raises(StepFailed, match="the identity of the board would be lost") as caught:
        flash(simulator, MOVED, image)
    assert "nvs at 0x9000-0xefff now, nvs at 0x9000-0xcfff in the image" in str(caught.value)
    assert content(simulator, MOVED) == before
    assert flash(simulator, MOVED, image, erase=True)[0] == ["interpreter"]
    assert version_of(simulator, MOVED) == "1.26.1"


@pytest.mark.soak
def test_a_chip_with_bytes_of_another_program_where_files_belong_gets_a_file_system(simulator, tmp_path):
    assert flash(simulator, FOREIGN, image_file(tmp_path, "1.26.1"))[0] == ["interpreter"]
    with Session(parse_name(simulator.path(FOREIGN)), patience=PATIENCE) as session:
        assert session.repl().run("import os; print(os.listdir())").strip() == "['boot.py']"


def test_a_bare_chip_with_garbage_around_its_complaints_is_flashed(simulator, tmp_path):
    assert flash(simulator, BARE, image_file(tmp_path, "1.26.1"))[0] == ["interpreter"]
    assert version_of(simulator, BARE) == "1.26.1"


@pytest.mark.parametrize(("buoy", "name"), [(S3, "ESP32-S3"), (C3, "ESP32-C3")])
def test_a_chip_of_another_kind_is_named_and_refused_bare_or_with_a_micropython(
    simulator, tmp_path, buoy, name
):
    before = content(simulator, buoy)
    for erase in (False, True):
        with pytest.raises(StepFailed, match=f"the chip is {name}.*not a plain ESP32") as caught:
            flash(simulator, buoy, image_file(tmp_path, "1.26.1"), erase=erase, force=True)
        assert "nothing was written" in caught.value.next_step
    assert content(simulator, buoy) == before
