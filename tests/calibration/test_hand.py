"""The hand at simulated boards: probes into vessels, faults, cables, from another process."""

import json
import socket

import pytest

from buoyfleet.cli.main import invoke
from buoyfleet.simulation.esp32.hand import FILE_NAME, ask_hand, vessel_of
from buoyfleet.simulation.esp32.simulator import Simulator

ID = 140


@pytest.fixture
def bench(tmp_path):
    """A simulator with one board whose flash is empty: nothing runs on it, but its probes are there."""
    with Simulator(tmp_path, [ID], flashed=False) as simulator:
        yield simulator, tmp_path


def hand(folder, *words):
    return invoke(["hand", *map(str, words), "--folder", str(folder)])


def test_probes_go_where_they_are_put(bench, capsys):
    _, folder = bench
    assert hand(folder, "put", ID, "ph-7", "ph", "temp", "--temperature", 25) == 0
    assert "ph, temp in ph-7" in capsys.readouterr().out
    seen = ask_hand(folder, {"board": ID, "do": "look"})
    assert seen["ph"] == {**seen["ph"], "in": "ph-7", "true": 7.0}
    assert seen["do"]["in"] == "water"
    assert hand(folder, "put", ID, "water") == 0
    assert ask_hand(folder, {"board": ID, "do": "look"})["ph"]["in"] == "water"


def test_faults_come_and_go(bench, capsys):
    simulator, folder = bench
    assert hand(folder, "fault", ID, "ph", "low-slope") == 0
    assert hand(folder, "look", ID, "ph") == 0
    out = capsys.readouterr().out
    assert "faults: low-slope" in out
    assert "cracked" in out  # what else it can have
    assert hand(folder, "clear", ID) == 0
    assert hand(folder, "foul", ID, "tbd", 0.5) == 0
    assert simulator.with_board(ID, lambda board: board.buoy.bench.part("tbd").fouling) == 0.5
    assert simulator.with_board(ID, lambda board: board.buoy.bench.part("ph").faults) == frozenset()


def test_cables_are_pulled_and_plugged_in(bench):
    simulator, folder = bench
    assert hand(folder, "unplug", ID) == 0
    assert simulator.state(ID) == "off"
    assert hand(folder, "plug", ID) == 0
    assert simulator.path(ID).endswith(f"buoy-{ID}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("put", ID, "soup"), "unknown solution"),
        (("put", ID, "air", "nose"), "no part 'nose'"),
        (("put", 999, "air"), "no simulated board 999"),
        (("fault", ID, "ph", "hungry"), "no fault 'hungry'"),
    ],
)
def test_what_cannot_be_done_is_told(bench, capsys, words, said):
    assert hand(bench[1], *words) == 4
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", [b"nonsense", b"{}", b'{"board": 140}', b'{"board": 140, "do": "sing"}', b"[]"]
)
def test_a_request_that_is_none_gets_an_answer(bench, line):
    port = json.loads((bench[1] / FILE_NAME).read_text())["port"]
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(line + b"\n")
        assert "error" in json.loads(connection.makefile().readline())


def test_no_simulator_is_told(tmp_path, capsys):
    assert hand(tmp_path, "put", ID, "air") == 3
    assert "no simulated boards run" in capsys.readouterr().err


def test_vessels_of_procedures_have_names():
    assert vessel_of("bath", 10.0).contents.temp_c == 22.0
    assert vessel_of("full", 10.0).contents.wet
    assert not vessel_of("empty", 10.0).contents.wet
