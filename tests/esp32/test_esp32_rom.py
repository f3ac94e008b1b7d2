"""The ROM loader and the stub's stand-in, byte by byte."""

import hashlib
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buoyfleet.simulation.buses.chip import mac_of
from buoyfleet.simulation.esp32.flash_image import SIZE, FlashImage
from buoyfleet.simulation.esp32.rom import RomLoader, checksum
from buoyfleet.simulation.esp32.slip import SlipReader, encode


class Host:
    """The other end of the line."""

    def __init__(self, folder):
        self.flash = FlashImage(folder / "flash.bin")
        self.frames = []
        self.left = 0
        self.bauds = []
        reader = SlipReader()
        self.loader = RomLoader(
            self.flash,
            mac_of(131),
            lambda data: self.frames.extend(reader.feed(data)),
            self._leave,
            self.bauds.append,
        )

    def _leave(self):
        self.left += 1

    def ask(self, operation, body=b"", check=0):
        """The status byte, value and data of the last reply."""
        self.frames.clear()
        self.loader.feed(encode(struct.pack("<BBHI", 0, operation, len(body), check) + body))
        tail = 2 if self.loader.stub else 4
        reply = self.frames[0]
        return reply[-tail + 1], struct.unpack_from("<I", reply, 4)[0], reply[8:-tail]

    def start_stub(self):
        self.ask(6, struct.pack("<II", 0, 0x400BE598))

    def block(self, operation, data):
        return self.ask(operation, struct.pack("<IIII", len(data), 0, 0, 0) + data, checksum(data))[0]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_the_mac_in_the_efuses_is_the_boards(host):
    low = host.ask(0x0A, struct.pack("<I", 0x3FF5A004))[1]
    high = host.ask(0x0A, struct.pack("<I", 0x3FF5A008))[1]
    assert struct.pack(">II", high, low)[2:] == mac_of(131)


@pytest.mark.parametrize("stub", [False, True])
def test_compressed_writes_land_where_they_should_and_nowhere_else(host, stub):
    if stub:
        host.start_stub()
    host.flash.write(0x8000, b"before")
    data = bytes(range(256)) * 40
    packed = zlib.compress(data)
    assert host.ask(0x10, struct.pack("<IIII", len(data), 1, 0x4000, 0x9000))[0] == 0
    assert host.block(0x11, packed) == 0
    digest = host.ask(0x13, struct.pack("<IIII", 0x9000, len(data), 0, 0))[2]
    assert digest == (hashlib.md5(data).digest() if stub else hashlib.md5(data).hexdigest().encode())
    assert host.flash.read(0x8000, 6) == b"before"
    assert host.flash.read(0x9000 + len(data), 16) == b"\xff" * 16


def test_a_block_with_a_wrong_checksum_is_refused_and_not_written(host):
    host.ask(2, struct.pack("<IIII", 4, 1, 0x400, 0))
    assert host.ask(3, struct.pack("<IIII", 4, 0, 0, 0) + b"data", 1)[0] == 7
    assert host.flash.read(0, 4) == b"\xff" * 4


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (0x02, struct.pack("<IIII", 0x100000, 1, 0x4000, SIZE)),
        (0x10, struct.pack("<IIII", 0xFFFFFFFF, 1, 0x4000, 0)),
        (0x13, struct.pack("<II", SIZE - 1, 2)),
        (0x0E, struct.pack("<II", SIZE, 64)),
        (0xD1, struct.pack("<II", SIZE, 0x1000)),
        (0xD2, struct.pack("<IIII", SIZE, 1, 0x1000, 64)),
        (0x03, b""),
        (0x0A, b"\0"),
        (0x77, b""),
    ],
)
def test_what_lies_outside_the_flash_or_makes_no_sense_is_refused(host, operation, body):
    if operation >= 0xD0:
        host.start_stub()
    assert host.ask(operation, body)[0] != 0


def test_a_compressed_block_may_not_grow_beyond_what_was_announced(host):
    host.ask(0x10, struct.pack("<IIII", 0x1000, 1, 0x4000, 0x9000))
    assert host.block(0x11, zlib.compress(bytes(50_000_000))) != 0
    assert host.flash.read(0xA000, 16) == b"\xff" * 16


def test_only_the_stub_erases_and_the_rom_says_so(host):
    host.flash.write(0, b"x")
    assert host.ask(0xD0)[0] == 5
    host.start_stub()
    assert host.ask(0xD0)[0] == 0
    assert host.flash.read(0, 1) == b"\xff"


def test_the_end_of_a_write_starts_the_program(host):
    host.ask(4, struct.pack("<I", 1))
    assert host.left == 1
    host.start_stub()
    host.ask(4, struct.pack("<I", 1))
    assert host.left == 1
    host.ask(4, struct.pack("<I", 0))
    assert host.left == 2


@given(st.binary(max_size=300))
def test_the_checksum_is_the_exclusive_or_of_all_bytes(data):
    folded = 0xEF
    for byte in data:
        folded ^= byte
    assert checksum(data) == folded


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), st.integers(1, 7))
def test_frames_survive_any_cut_of_the_stream(payloads, step):
    stream = b"".join(encode(payload) for payload in payloads)
    reader = SlipReader()
    got = [frame for at in range(0, len(stream), step) for frame in reader.feed(stream[at : at + step])]
    assert got == payloads


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 255), st.binary(max_size=80), st.integers(0, 255), st.booleans(), st.binary(max_size=40)
)
def test_hostile_bytes_never_upset_the_loader(host, operation, body, check, stub, noise):
    host.loader.stub = stub
    host.loader.feed(noise)
    host.loader.feed(encode(struct.pack("<BBHI", 0, operation, len(body), check) + body) + b"\xc0")
    host.loader._reading = None
    host.frames.clear()
    host.loader.feed(b"\xc0" + encode(struct.pack("<BBHI", 0, 8, 36, 0) + b"\x07\x07\x12\x20" + b"U" * 32))
    assert len(host.frames) == 8
