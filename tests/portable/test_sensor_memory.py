"""Nine drivers fit into an ESP32's heap, even compiled on the board from source."""

import gc
import sys

from sensor_doubles import Board

HEAP_KB = 110  # of the 165 KB that an ESP32 has free after boot


def nine(board):
    from sensors import build
    from sensors.catalog import KEYS
    from sensors.reader import Reader

    board.scripts = {1: {}, 2: {}}
    board.signals = {36: 440, 39: 182, 34: 2050, 35: 262}
    reader = Reader(
        build.make_sensors({"sensors": {key: {"mode": "hardware"} for key in KEYS}}, board.modules)
    )
    build.forget()
    return reader


def read(board, reader):
    reader.start(board.clock.now_ms)
    while not reader.poll(board.clock.now_ms):
        board.clock.now_ms = max(reader.due_ms, board.clock.now_ms)
    for uart in board.uarts.values():
        uart.commands = []  # what the stand-in remembers is not the drivers'
        uart._times = {}
    board.switched = []
    board.converted = []


def test_nine_drivers_are_made_and_read_in_the_heap_of_a_board():
    board = Board()
    reader = nine(board)
    read(board, reader)
    assert len(reader.sensors) == 9
    assert reader.value("wf") == 0.0


def test_making_sensors_can_be_forgotten_and_done_again():
    board = Board()
    nine(board)
    on_board = sys.implementation.name == "micropython"
    for name in ("build", "pins", "settings"):
        assert ("sensors." + name in sys.modules) != on_board
    assert len(nine(board).sensors) == 9


def test_readings_leave_no_memory_behind():
    if not hasattr(gc, "mem_alloc"):
        return  # CPython counts no bytes; the other run of this test does
    board = Board()
    reader = nine(board)
    for _ in range(3):
        read(board, reader)
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(20):
        read(board, reader)
    gc.collect()
    # What is kept is bounded: pH remembers ten seconds, errors told are bits.
    assert gc.mem_alloc() - before < 2000, gc.mem_alloc() - before
