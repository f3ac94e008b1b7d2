"""The serial loader in an ESP32's ROM, and a stand-in for the flasher stub that esptool uploads.

Protocol: Espressif, "Serial Protocol" of the esptool documentation. Any program that is uploaded to RAM and
started is taken to be the stub.
"""

import struct
import zlib
from collections.abc import Callable

from buoyfleet.simulation.esp32.efuse import ESP32, ChipKind, Registers
from buoyfleet.simulation.esp32.flash_image import FlashImage, jedec_id
from buoyfleet.simulation.esp32.slip import SlipReader, encode

ROM_BAUD = 115200
SYNC_VALUE = 0x20120707
SYNC_BODY = b"\x07\x07\x12\x20"
SYNC_START = b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00" + SYNC_BODY
"""How a host asks for the loader; nothing else on a board's console begins so."""
BAD_MESSAGE, FAILED, BAD_CHECKSUM, BAD_DEFLATE = 0x05, 0x06, 0x07, 0x0B
SLOW_READ = 64
"""Bytes of a reply to READ_FLASH_SLOW."""


class RomLoader:
    """Answers one host.

    Args:
        flash: the chip.
        mac: six bytes.
        send: takes bytes for the host.
        leave: called when the loader ends and the board shall start what is in flash.
        set_baud: called after the reply that announces another rate.
        kind: of chip.
    """

    def __init__(
        self,
        flash: FlashImage,
        mac: bytes,
        send: Callable[[bytes], None],
        leave: Callable[[], None],
        set_baud: Callable[[int], None],
        kind: ChipKind = ESP32,
    ) -> None:
        self._flash = flash
        self._kind = kind
        self._registers = Registers(mac, jedec_id(flash.size), kind)
        self._send = send
        self._leave = leave
        self._set_baud = set_baud
        self._slip = SlipReader()
        self.stub = False
        self._at = self._end = 0
        self._inflate: zlib._Decompress | None = None
        self._reading: _Reading | None = None

    def feed(self, data: bytes) -> None:
        """Bytes from the host; whatever they are, none raises."""
        for frame in self._slip.feed(data):
            if self._reading is not None and not self._reading.over:
                self._reading.acknowledge(frame)
            elif len(frame) >= 8 and frame[0] == 0:
                _, operation, length, check = struct.unpack("<BBHI", frame[:8])
                body = frame[8:]
                if len(body) != length:
                    self._reply(operation, error=BAD_MESSAGE)
                else:
                    self._handle(operation, body, check & 0xFF)

    def _handle(self, operation: int, body: bytes, check: int) -> None:
        handler = _HANDLERS.get(operation)
        if handler is None or (operation >= 0xD0 and not self.stub):
            self._reply(operation, error=BAD_MESSAGE)
            return
        try:
            handler(self, operation, body, check)
        except (struct.error, ValueError):
            self._reply(operation, error=BAD_MESSAGE)
        except zlib.error:
            self._reply(operation, error=BAD_DEFLATE)

    def _reply(self, operation: int, value: int = 0, body: bytes = b"", error: int = 0) -> None:
        status = bytes((1 if error else 0, error)) + (b"" if self.stub else b"\0\0")
        data = body + status
        self._send(encode(struct.pack("<BBHI", 1, operation, len(data), value) + data))

    def _sync(self, operation: int, body: bytes, _check: int) -> None:
        if not body.startswith(SYNC_BODY):
            raise ValueError("not a SYNC")
        for _ in range(8):
            self._reply(operation, 0 if self.stub else SYNC_VALUE)

    def _read_register(self, operation: int, body: bytes, _check: int) -> None:
        self._reply(operation, self._registers.read(struct.unpack_from("<I", body)[0]))

    def _write_register(self, operation: int, body: bytes, _check: int) -> None:
        for address, value, mask, _delay_us in struct.iter_unpack("<IIII", body):
            self._registers.write(address, value, mask)
        self._reply(operation)

    def _security_info(self, operation: int, _body: bytes, _check: int) -> None:
        if not self._kind.tells_security:
            raise ValueError("this ROM does not know it")
        # Flags, flash encryption counter, seven key purposes, chip id, version.
        self._reply(operation, body=struct.pack("<IB7xII", 0, 0, self._kind.number, 0))

    def _accept(self, operation: int, _body: bytes, _check: int) -> None:
        self._reply(operation)

    def _memory_data(self, operation: int, body: bytes, check: int) -> None:
        if self._block(operation, body, check) is not None:
            self._reply(operation)

    def _memory_end(self, operation: int, body: bytes, _check: int) -> None:
        stay, entry = struct.unpack_from("<II", body)
        self._reply(operation)
        if not stay and entry:
            self.stub = True
            self._send(encode(b"OHAI"))

    def _flash_begin(self, operation: int, body: bytes, _check: int) -> None:
        size, _blocks, _block_size, offset = struct.unpack_from("<IIII", body)
        # The ROM is told whole blocks: the last may reach beyond the end of the chip.
        if offset > self._flash.size or size > self._flash.size - offset + 0x4000:
            self._reply(operation, error=FAILED)
            return
        self._at, self._end = offset, min(offset + size, self._flash.size)
        self._inflate = zlib.decompressobj() if operation == 0x10 else None
        if size:
            self._flash.erase(offset, self._end - offset)
        self._reply(operation)

    def _flash_data(self, operation: int, body: bytes, check: int) -> None:
        data = self._block(operation, body, check)
        if data is None:
            return
        room = self._end - self._at
        if operation == 0x11:
            if self._inflate is None:
                raise ValueError("no compressed write was begun")
            data = self._inflate.decompress(data, room + 1)
        elif len(data) > room and not data[room:].strip(b"\xff"):
            data = data[:room]  # padding of the last block
        if len(data) > room:
            self._reply(operation, error=FAILED)
            return
        self._flash.write(self._at, data)
        self._at += len(data)
        self._reply(operation)

    def _flash_end(self, operation: int, body: bytes, _check: int) -> None:
        (stay,) = struct.unpack_from("<I", body)
        self._reply(operation)
        # The ROM runs the program in either case, the stub only if told.
        if not self.stub or not stay:
            self._leave()

    def _block(self, operation: int, body: bytes, check: int) -> bytes | None:
        (length,) = struct.unpack_from("<I", body)
        data = body[16:]
        if length != len(data):
            raise ValueError("a block of another length")
        if checksum(data) != check:
            self._reply(operation, error=BAD_CHECKSUM)
            return None
        return data

    def _md5(self, operation: int, body: bytes, _check: int) -> None:
        digest = self._flash.md5(*struct.unpack_from("<II", body))
        self._reply(operation, body=digest if self.stub else digest.hex().encode())

    def _change_baud(self, operation: int, body: bytes, _check: int) -> None:
        baud, _old = struct.unpack_from("<II", body)
        if not 300 <= baud <= 5_000_000:
            raise ValueError("no such rate")
        self._reply(operation)
        self._set_baud(baud)

    def _read_slow(self, operation: int, body: bytes, _check: int) -> None:
        offset, length = struct.unpack_from("<II", body)
        if length > SLOW_READ:
            raise ValueError("more than the ROM reads at once")
        self._reply(operation, body=self._flash.read(offset, length).ljust(SLOW_READ, b"\0"))

    def _erase(self, operation: int, body: bytes, _check: int) -> None:
        if operation == 0xD0:
            self._flash.erase()
        else:
            self._flash.erase(*struct.unpack_from("<II", body))
        self._reply(operation)

    def _read_flash(self, operation: int, body: bytes, _check: int) -> None:
        offset, length, block, in_flight = struct.unpack_from("<IIII", body)
        if not self._flash.inside(offset, length) or not 0 < block <= 0x4000 or not in_flight:
            raise ValueError("no such range")
        self._reply(operation)
        self._reading = _Reading(self._flash, self._send, offset, length, block, in_flight)


class _Reading:
    """A stub's READ_FLASH: blocks out, the count received back, at most `in_flight` blocks ahead."""

    def __init__(
        self,
        flash: FlashImage,
        send: Callable[[bytes], None],
        offset: int,
        length: int,
        block: int,
        ahead: int,
    ) -> None:
        self._flash, self._send = flash, send
        self._offset, self._length, self._block, self._ahead = offset, length, block, ahead
        self._sent = 0
        self.over = False
        self._go_on(0)

    def acknowledge(self, frame: bytes) -> None:
        """The host says how many bytes it has; anything else ends the reading."""
        if len(frame) != 4:
            self.over = True
            return
        self._go_on(int.from_bytes(frame, "little"))

    def _go_on(self, received: int) -> None:
        while self._sent < self._length and self._sent - received < self._block * self._ahead:
            count = min(self._block, self._length - self._sent)
            self._send(encode(self._flash.read(self._offset + self._sent, count)))
            self._sent += count
        if received >= self._length:
            self._send(encode(self._flash.md5(self._offset, self._length)))
            self.over = True


def checksum(data: bytes) -> int:
    """Exclusive or of all bytes, from 0xEF, as blocks and images carry it."""
    folded = int.from_bytes(data, "little")
    width = len(data)
    while width > 1:
        half = (width + 1) // 2
        folded = (folded >> 8 * half) ^ (folded & ((1 << 8 * half) - 1))
        width = half
    return 0xEF ^ folded


_Handler = Callable[[RomLoader, int, bytes, int], None]
_HANDLERS: dict[int, _Handler] = {
    0x02: RomLoader._flash_begin, 0x03: RomLoader._flash_data, 0x04: RomLoader._flash_end,
    0x05: RomLoader._accept, 0x06: RomLoader._memory_end, 0x07: RomLoader._memory_data,
    0x08: RomLoader._sync, 0x09: RomLoader._write_register, 0x0A: RomLoader._read_register,
    0x0B: RomLoader._accept, 0x0D: RomLoader._accept, 0x0E: RomLoader._read_slow,
    0x0F: RomLoader._change_baud, 0x10: RomLoader._flash_begin, 0x11: RomLoader._flash_data,
    0x12: RomLoader._flash_end, 0x13: RomLoader._md5, 0x14: RomLoader._security_info,
    0xD0: RomLoader._erase, 0xD1: RomLoader._erase, 0xD2: RomLoader._read_flash,
}  # fmt: skip
