"""The RAM of an ESP32 outside the first Python area: what Wi-Fi, sockets, TLS and further Python areas share.

Figures without another source were measured on stock ESP32_GENERIC 1.24.0 (docs/conformance.md). Order and
size of pieces matter, their exact places do not: a piece goes into the smallest gap that holds it.
"""

from dataclasses import dataclass, field

KIB = 1024
FIRST_AREA = 56 * KIB
"""MICROPY_GC_INITIAL_HEAP_SIZE of the ESP32 (ports/esp32/mpconfigport.h)."""
HEADER = 4
"""Bytes in front of every piece (multi_heap of ESP-IDF 5, TLSF)."""

WIFI = (15_000, 2_700, 16_700)
"""Driver, its buffers and lwIP's task, in three lumps: 96.4 KB stay free, 94.2 of them in one block."""
STATION = (300, 400)
"""A joined station: DHCP and routes. 39.1 KB would be left beside two Python areas, 38.4 are."""
SOCKET = (450,)
"""A connection of lwIP with its mailboxes."""
UART = (1_640,)
"""One UART without its receive buffer, which is a piece of its own (`rxbuf`, 256 bytes unless a program says
otherwise): with nine drivers two are open and 4.3 KB are gone."""
TLS_BUFFERS = (16_384 + 333, 4_096 + 333)
"""mbedtls_ssl_setup: CONFIG_MBEDTLS_SSL_IN_CONTENT_LEN and, ASYMMETRIC_CONTENT_LEN, OUT_CONTENT_LEN, with the
room of a record's header, IV, MAC and padding (mbedtls/ssl_misc.h)."""
TLS_STANDING = (1_600, 1_200, 900, 800, 700, 600)
"""Session, transforms, CA, certificate, key and the peer's certificate: with the buffers 26.9 KB are gone."""
TLS_HANDSHAKE = (2_400, 1_500, 1_300, 1_000, 800, 600)
"""Handshake state, ECDHE, big numbers of a signature, the peer's chain: with all above some 34 KB. A board
with 34.1 KB was seen to go down to 192 bytes."""


@dataclass(slots=True)
class Region:
    """One range of the heap: its gaps, as (address, size), in order."""

    start: int
    size: int
    gaps: list[tuple[int, int]] = field(default_factory=list)
    lowest: int = 0

    @property
    def free(self) -> int:
        """Bytes that no piece takes."""
        return sum(size for _, size in self.gaps)


@dataclass(slots=True)
class Lows:
    """What was worst since somebody began to look, in bytes; None: it did not come to that."""

    before_handshake: int | None = None
    """Least that was free when a TLS handshake began."""
    standing: int | None = None
    standing_block: int | None = None
    """Least that was free, and least largest block, while a TLS connection stood."""
    live: int = 0
    """Most that a collection of the Python heap left alive."""
    areas: int = 1
    """Most Python areas at once, the first included."""


class IdfHeap:
    """The heap as it is when Python starts: the first area is taken, Wi-Fi is off.

    Args:
        lows: where to note what is worst.
    """

    def __init__(self, lows: Lows | None = None) -> None:
        self.lows = lows or Lows()
        self.shaking_hands = False
        # Sizes as `esp32.idf_heap_info(esp32.HEAP_DATA)` gives them; free: what the system left.
        self.regions: list[Region] = []
        start = 0
        for size, free in (
            (7_288, 0),
            (16_648, 4),
            (79_912, 5_000),
            (15_072, 15_036),
            (113_840, 110_900),
        ):
            gaps = [(start + size - free, free)] if free else []
            self.regions.append(Region(start, size, gaps, free))
            start += size + KIB  # never neighbours
        self._pieces: dict[int, int] = {}
        self._held: dict[str, list[int]] = {}

    @property
    def free(self) -> int:
        """Bytes in all gaps."""
        return sum(region.free for region in self.regions)

    @property
    def largest(self) -> int:
        """The largest piece that can be had."""
        return max(max((size for _, size in region.gaps), default=0) - HEADER for region in self.regions)

    def info(self) -> list[tuple[int, int, int, int]]:
        """Total, free, largest gap, least free ever, of each region."""
        return [
            (region.size, region.free, max((size for _, size in region.gaps), default=0), region.lowest)
            for region in self.regions
        ]

    def take(self, owner: str, sizes: tuple[int, ...]) -> bool:
        """All pieces for an owner, or none."""
        held = self._held.setdefault(owner, [])
        taken: list[int] = []
        for size in sizes:
            address = self._take(size + HEADER)
            if address is None:
                for one in taken:
                    self._give(one)
                return False
            taken.append(address)
        held += taken
        self.note_standing()
        return True

    def give_back(self, owner: str) -> None:
        """All that an owner holds."""
        for address in self._held.pop(owner, []):
            self._give(address)

    def holds(self, owner: str) -> bool:
        """Whether an owner has anything."""
        return bool(self._held.get(owner))

    def owners(self, kind: str) -> list[str]:
        """Owners whose name begins so."""
        return [owner for owner in self._held if owner.startswith(kind)]

    def grow(self, number: int, total: int, needed: int) -> int:
        """A further Python area; 0: none.

        Args:
            number: of the area.
            total: bytes of all areas so far.
            needed: bytes that must fit, with the area's own tables.

        As `gc_try_add_heap` in py/gc.c: as much again as there is, at least what is needed, at most the
        largest block, which leaves that block empty.
        """
        if self.largest < needed:
            return 0
        size = min(self.largest, max(total, needed))
        if not self.take(f"area {number}", (size,)):
            return 0
        self.lows.areas = max(self.lows.areas, 1 + len(self.owners("area")))
        return size

    def note_handshake(self) -> None:
        """A TLS handshake begins."""
        self.shaking_hands = True
        lows = self.lows
        lows.before_handshake = (
            self.free if lows.before_handshake is None else min(self.free, lows.before_handshake)
        )

    def note_standing(self) -> None:
        """See what is left beside TLS connections that stand."""
        if self.shaking_hands or not any(map(self.holds, self.owners("tls"))):
            return
        lows, free, block = self.lows, self.free, self.largest
        lows.standing = free if lows.standing is None else min(free, lows.standing)
        lows.standing_block = block if lows.standing_block is None else min(block, lows.standing_block)

    def _take(self, size: int) -> int | None:
        size = (size + 3) // 4 * 4
        fitting = [
            (gap[1], region, index)
            for region in self.regions
            for index, gap in enumerate(region.gaps)
            if gap[1] >= size
        ]
        if not fitting:
            return None
        _, region, index = min(fitting, key=lambda one: one[0])
        address, room = region.gaps[index]
        region.gaps[index : index + 1] = [(address + size, room - size)] if room > size else []
        region.lowest = min(region.lowest, region.free)
        self._pieces[address] = size
        return address

    def _give(self, address: int) -> None:
        size = self._pieces.pop(address)
        region = next(r for r in self.regions if r.start <= address < r.start + r.size)
        merged: list[tuple[int, int]] = []
        for start, room in sorted([*region.gaps, (address, size)]):
            if merged and sum(merged[-1]) == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + room)
            else:
                merged.append((start, room))
        region.gaps = merged
