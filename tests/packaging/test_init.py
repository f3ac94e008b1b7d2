"""`buoy init` writes a fleet file that `buoy check` accepts, and never over another without being told to."""

import io
import itertools

import pytest

from buoyfleet.cli.main import invoke
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.new_file import NewBoard, fleet_text, new_ids
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.places import SETUP
from buoyfleet.serial import find, listing
from buoyfleet.serial.probe import Found
from buoyfleet.simulation.esp32 import interpreter

BROKER = ("--target", "mqtt://192.0.2.1:1883")
MAC, OTHER = "3c8a1f000001", "3c8a1f000002"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    plug_in(monkeypatch, [])
    return tmp_path


def plug_in(monkeypatch, found):
    monkeypatch.setattr(listing, "list_ports", lambda _: [listing.PortInfo(one.port) for one in found])
    monkeypatch.setattr(find, "look_at_all", lambda _: found)


def kinds(path):
    """As `buoy check` and `buoy run` read it."""
    return {board.buoy_id: (board.kind, board.port) for board in load_fleet(path, connects=True).boards}


def test_without_boards_the_file_is_the_default_fleet_and_passes_the_check(folder, project_root, capsys):
    assert invoke(["init"]) == 0
    assert invoke(["check"]) == 0
    assert kinds(folder / "boards.yaml") == kinds(project_root / "boards.yaml")
    assert "next: buoy check, then buoy run" in capsys.readouterr().out


def test_every_esp32_that_is_found_is_in_the_file_under_a_name_that_stays(folder, monkeypatch):
    found = [
        Found("/dev/ttyUSB0", "micropython", mac=MAC),
        Found("/dev/ttyUSB1", "silent"),
        Found("/dev/ttyUSB2", "firmware", mac=OTHER, buoy=100),
    ]
    plug_in(monkeypatch, found)
    assert invoke(["init", "--virtual", "2", "--simulated", "1", *BROKER]) == 0
    boards = kinds(folder / "boards.yaml")
    assert boards[130] == ("esp32", "mac:3c:8a:1f:00:00:01")
    assert boards[100] == ("esp32", "mac:3c:8a:1f:00:00:02")
    assert sorted(kind for kind, _ in boards.values()) == [
        "esp32", "esp32", "simulated", "virtual", "virtual",
    ]  # fmt: skip


def test_two_boards_with_one_id_get_two(folder, monkeypatch):
    plug_in(monkeypatch, [Found(f"p{n}", "firmware", mac=mac, buoy=7) for n, mac in enumerate((MAC, OTHER))])
    assert invoke(["init", "--yes", *BROKER]) == 0
    assert {7, 130} <= kinds(folder / "boards.yaml").keys()


def test_with_a_terminal_somebody_chooses(folder, monkeypatch):
    plug_in(monkeypatch, [Found("/dev/ttyUSB0", "empty", mac=MAC), Found("/dev/ttyUSB1", "empty", mac=OTHER)])
    answers = io.StringIO("n\n\nmqtt://192.0.2.1\n")
    answers.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", answers)
    assert invoke(["init"]) == 0
    boards = kinds(folder / "boards.yaml")
    assert [port for kind, port in boards.values() if kind == "esp32"] == ["mac:3c:8a:1f:00:00:02"]


def test_boards_that_cannot_reach_the_twin_are_a_comment_that_says_so(folder, monkeypatch, capsys):
    plug_in(monkeypatch, [Found("/dev/ttyUSB0", "empty", mac=MAC)])
    assert invoke(["init"]) == 0
    assert {kind for kind, _ in kinds(folder / "boards.yaml").values()} == {"virtual", "simulated"}
    assert "mac:3c:8a:1f:00:00:01" in (folder / "boards.yaml").read_text()
    assert "--target mqtt://" in capsys.readouterr().out
    assert invoke(["init", "none.yaml", "--virtual", "0", "--simulated", "0"]) == 2


def test_a_target_that_is_none_is_refused_and_nothing_is_written(folder, capsys):
    assert invoke(["init", "--target", "nonsense"]) == 2
    assert "boards.yaml:" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_a_file_that_is_there_stays_unless_force_is_given(folder, capsys):
    (folder / "boards.yaml").write_text("mine")
    assert invoke(["init", "--yes"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (folder / "boards.yaml").read_text() == "mine"
    assert invoke(["init", "--force"]) == 0
    assert kinds(folder / "boards.yaml")


def test_where_simulated_boards_cannot_run_they_are_a_comment_that_says_what_to_type(
    folder, monkeypatch, capsys
):
    def missing():
        raise PreflightError("none")

    monkeypatch.setattr(interpreter, "check_programs", missing)
    assert invoke(["init"]) == 0
    assert {kind for kind, _ in kinds(folder / "boards.yaml").values()} == {"virtual"}
    assert f"`{SETUP}`" in (folder / "boards.yaml").read_text()
    assert SETUP in capsys.readouterr().out
    text = (folder / "boards.yaml").read_text()
    uncommented = text.replace("  # - kind: simulated", "  - kind: simulated").replace(
        "  #   ids: 1", "    ids: 1", 1
    )
    (folder / "boards.yaml").write_text(uncommented)
    assert "simulated" in {kind for kind, _ in kinds(folder / "boards.yaml").values()}
    assert invoke(["init", "none.yaml", "--virtual", "0"]) == 2
    assert not (folder / "none.yaml").exists()


MIXES = itertools.product((0, 2, 300), (0, 1, 3), ((), (101,), (5, 100, 102, 200)))


@pytest.mark.parametrize(("virtual", "simulated", "ids"), [mix for mix in MIXES if any(mix)])
def test_any_mix_is_a_fleet_file(folder, virtual, simulated, ids):
    boards = [NewBoard(buoy, f"/dev/ttyUSB{number}") for number, buoy in enumerate(ids)]
    text = fleet_text(boards, virtual=virtual, simulated=simulated, target="mqtt://192.0.2.1")
    (folder / "f.yaml").write_text(text)
    assert len(kinds(folder / "f.yaml")) == virtual + simulated + len(ids)


def test_ids_are_those_on_the_boards_where_they_differ():
    assert new_ids([None, 130, 130, 4, None]) == [131, 130, 132, 4, 133]


def test_the_example_fleets_can_be_copied_and_are_not_overwritten(folder, project_root, capsys):
    assert invoke(["init", "--scenarios"]) == 0
    copied = {file.name for file in (folder / "scenarios").rglob("*")}
    assert copied == {file.name for file in (project_root / "scenarios").rglob("*")}
    assert invoke(["check", "scenarios/collision.yaml"]) == 0
    assert invoke(["init", "--scenarios"]) == 2
    assert "--force" in capsys.readouterr().err
