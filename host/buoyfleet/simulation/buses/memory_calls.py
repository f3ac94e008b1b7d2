"""Calls of the simulated modules that concern RAM outside the first Python area."""

from collections.abc import Callable
from typing import Any

from buoyfleet.simulation.buses.idf_heap import (
    SOCKET,
    STATION,
    TLS_BUFFERS,
    TLS_HANDSHAKE,
    TLS_STANDING,
    WIFI,
    IdfHeap,
)
from buoyfleet.simulation.buses.ports import Ports
from buoyfleet.simulation.parts.radio import GOT_IP

TLS_OK, TLS_NO_BUFFERS, TLS_HANDSHAKE_FAILS = 0, 1, 2


def idf_heap_info(bench: Ports, capabilities: int) -> list[tuple[int, int, int, int]]:
    """Total, free, largest free block, least free ever, of each region; none that is for code."""
    return _settled(bench).info() if capabilities & 4 else []


def idf_largest(bench: Ports) -> int:
    """The largest free block."""
    return _settled(bench).largest


def idf_grow(bench: Ports, number: int, total: int, needed: int) -> int:
    """A further Python area; 0: none fits."""
    return _settled(bench).grow(number, total, needed)


def python_live(bench: Ports, live: int) -> None:
    """A collection of the Python heap left so many bytes alive."""
    lows = bench.chip.idf.lows
    lows.live = max(lows.live, live)


def tls_begin(bench: Ports, descriptor: int) -> int:
    """A TLS socket is made on a connection and shakes hands; one of TLS_*.

    Buffers first: they are the largest pieces. What does not fit gives everything back.
    """
    heap = _settled(bench)
    heap.note_handshake()
    inode = bench.chip.open_sockets().get(descriptor, f"descriptor {descriptor}")
    owner = f"tls {inode}"
    if not heap.take(owner, TLS_BUFFERS):
        heap.shaking_hands = False
        return TLS_NO_BUFFERS
    if not (heap.take(owner, TLS_STANDING) and heap.take("handshake", TLS_HANDSHAKE)):
        heap.give_back(owner)
        heap.shaking_hands = False
        return TLS_HANDSHAKE_FAILS
    bench.chip.handshake = owner
    return TLS_OK


def tls_end(bench: Ports, stands: bool) -> int:
    """The handshake is over, and the connection stands or failed; gives the largest free block."""
    heap = bench.chip.idf
    heap.give_back("handshake")
    if not stands:
        heap.give_back(bench.chip.handshake)
    heap.shaking_hands = False
    heap = _settled(bench)
    heap.note_standing()
    return heap.largest


def _settled(bench: Ports) -> IdfHeap:
    """The heap with what the chip's other users hold by now."""
    chip = bench.chip
    heap = chip.idf
    # The driver's memory does not come back when the radio is switched off: esp_wifi_stop keeps most of it.
    if chip.radio.active and not heap.holds("wifi"):
        heap.take("wifi", WIFI)
    if chip.radio.status(bench.t_s) == GOT_IP and not heap.holds("station"):
        heap.take("station", STATION)
    inodes = set(chip.open_sockets().values())
    _keep(heap, "socket", {f"socket {inode}" for inode in inodes}, SOCKET)
    for owner in heap.owners("tls"):
        if "descriptor" not in owner and owner.partition(" ")[2] not in inodes:
            heap.give_back(owner)  # closed
    return heap


def _keep(heap: IdfHeap, kind: str, wanted: set[str], sizes: tuple[int, ...]) -> None:
    for owner in heap.owners(kind):
        if owner not in wanted:
            heap.give_back(owner)
    for owner in wanted:
        if not heap.holds(owner):
            heap.take(owner, sizes)


OPERATIONS: dict[str, Callable[..., Any]] = {
    call.__name__: call for call in (idf_heap_info, idf_largest, idf_grow, python_live, tls_begin, tls_end)
}
