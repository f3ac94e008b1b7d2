"""The unmodified esptool against simulated boards."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from esp32_bench import esptool, mpremote, wait_for

from buoyfleet.simulation.esp32.efuse import ESP32, ESP32_C3, ESP32_S3
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import write_synthetic

BOARDS = range(120, 130)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    with Simulator(tmp_path_factory.mktemp("boards"), BOARDS, flashed=False) as running:
        yield running


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp("image") / "synthetic.bin", size=400_000)


def port_of(simulator, kind):
    return simulator.path(120) if kind == "pty" else simulator.url(120)


@pytest.mark.parametrize("kind", ["pty", pytest.param("rfc2217", marks=pytest.mark.soak)])
def test_chip_mac_and_flash_are_told_per_board(simulator, kind):
    text = esptool(port_of(simulator, kind), "flash-id")
    assert "ESP32" in text
    assert "24:0a:c4:00:00:78" in text
    assert "4MB" in text


@pytest.mark.parametrize(("chip", "megabytes"), [(ESP32_S3, 8), (ESP32_C3, 4), (ESP32, 16)])
def test_esptool_tells_kinds_of_chips_and_sizes_of_flash_apart(simulator, chip, megabytes):
    buoy_id = 140 + chip.number
    simulator.add(buoy_id, chip=chip, flash_bytes=megabytes << 20)
    text = esptool(simulator.path(buoy_id), "--no-stub", "flash-id")
    assert f"Connected to {chip.name} on" in text
    assert f"24:0a:c4:00:00:{buoy_id:02x}" in text
    assert f"Detected flash size: {megabytes}MB" in text


@pytest.mark.parametrize(
    ("kind", "stub"),
    [
        ("pty", True),
        ("pty", False),
        # pyserial takes 0.2 s for a change of its time-out over RFC 2217; esptool changes it often.
        pytest.param("rfc2217", True, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
        pytest.param("rfc2217", False, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
)
def test_what_is_written_is_verified_and_read_back(simulator, image, tmp_path, kind, stub):
    port = port_of(simulator, kind)
    options = () if stub else ("--no-stub",)
    piece = tmp_path / "piece.bin"
    piece.write_bytes(image.read_bytes()[:20_000])
    whole = image if stub and kind == "pty" else piece
    esptool(port, *options, "write-flash", "0x1000", whole)
    esptool(port, *options, "verify-flash", "0x1000", whole)
    copy = tmp_path / "copy.bin"
    esptool(port, *options, "read-flash", "0x1000", "0x1000", copy)
    assert copy.read_bytes() == whole.read_bytes()[:0x1000]


def test_a_small_piece_is_written_by_rfc2217_too(simulator, tmp_path):
    """Of the rows above that only `make soak` has."""
    piece = tmp_path / "piece.bin"
    piece.write_bytes(bytes(range(250)) * 8)
    assert "Hash of data verified" in esptool(simulator.url(123), "write-flash", "0x1000", piece)
    written = simulator.with_board(123, lambda board: board.flash.read(0x1000, 2000))
    assert written == piece.read_bytes()


def test_modem_lines_of_rfc2217_reset_into_the_loader_and_out_of_it(simulator):
    before = simulator.with_board(122, lambda board: board.boots)
    text = esptool(simulator.url(122), "--no-stub", "read-mac")
    assert "24:0a:c4:00:00:7a" in text
    assert "was NOT reset" not in text
    wait_for(lambda: simulator.with_board(122, lambda board: board.boots) > before)


def test_an_erased_region_is_empty_and_its_neighbour_is_not(simulator):
    simulator.with_board(121, lambda board: board.flash.write(0x8FFF, b"abc"))
    esptool(simulator.path(121), "erase-region", "0x9000", "0x6000")
    assert simulator.with_board(121, lambda board: board.flash.read(0x8FFF, 3)) == b"a\xff\xff"


@pytest.mark.soak  # tests/bench has boards at once in `make test`
@pytest.mark.parametrize("count", [3, 10])
def test_boards_are_flashed_at_once_and_all_boot(simulator, image, count):
    boards = BOARDS[-count:]

    def flash(buoy_id):
        port = simulator.path(buoy_id)
        esptool(port, "erase-flash")
        esptool(port, "--baud", "460800", "write-flash", "0x1000", image)
        return buoy_id

    with ThreadPoolExecutor(count) as pool:
        assert sorted(pool.map(flash, boards)) == list(boards)
    for buoy_id in boards:
        wait_for(lambda buoy_id=buoy_id: simulator.state(buoy_id) == "running")
    assert mpremote(simulator.path(129), "eval", "__import__('machine').unique_id()[-1]").strip() == "129"
