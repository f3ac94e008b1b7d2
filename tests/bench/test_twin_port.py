"""The twin of self-tests keeps the port that boards know, and no two commands have the same one."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from buoyfleet.bench.records import Book, Record
from buoyfleet.bench.twin_port import CHOICE, choose_port

FOLDER = Path("/somewhere/bench")


def told(buoy: int, port: int) -> Record:
    return Record("commissioned", f"240ac40000{buoy:02x}", buoy, f"b-{buoy}", settings={"broker_port": port})


@pytest.fixture
def held():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def ports(free_port) -> list[int]:
    """Three, of which nobody uses the first."""
    return [free_port, free_port + 1, free_port + 2]


def test_boards_keep_the_port_that_most_of_them_know(ports, held):
    book = Book([told(130, ports[1]), told(131, ports[0]), told(132, ports[0])])
    assert choose_port(FOLDER, book, [130, 131, 132], held) == ports[0]


def test_a_new_board_gets_the_port_of_the_others_at_this_bench(ports, held):
    assert choose_port(FOLDER, Book([told(130, ports[0])]), [140], held) == ports[0]


def test_the_first_board_gets_a_port_that_no_outgoing_connection_is_given(held):
    with ExitStack() as first:
        port = choose_port(FOLDER, Book([]), [130], first)
    assert port in CHOICE
    assert CHOICE.stop <= 32768
    # Nothing is recorded yet if that command fails, and the next has the same port all the same.
    assert choose_port(FOLDER, Book([]), [130], held) == port


def test_two_commands_at_the_same_time_have_two_ports_and_a_dry_run_tells_the_one_boards_know(ports, held):
    book = Book([told(130, ports[0])])
    with ExitStack() as first:
        assert choose_port(FOLDER, book, [130], first) == ports[0]
        assert choose_port(FOLDER, book, [130], held) != ports[0]
        with socket.create_server(("127.0.0.1", ports[0])):
            assert choose_port(FOLDER, book, [130], held, dry_run=True) == ports[0]
    assert choose_port(FOLDER, book, [130], held) == ports[0]


def test_a_port_that_another_program_listens_on_is_left_alone(ports, held):
    with socket.create_server(("127.0.0.1", ports[0])):
        assert choose_port(FOLDER, Book([told(130, ports[0])]), [130], held) != ports[0]


def test_connections_that_have_just_ended_do_not_cost_the_port(ports, held):
    with (
        socket.create_server(("127.0.0.1", ports[0])) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = server.accept()
        accepted.close()  # who closes first keeps the port in TIME_WAIT
        client.recv(1)
    assert choose_port(FOLDER, Book([told(130, ports[0])]), [130], held) == ports[0]
