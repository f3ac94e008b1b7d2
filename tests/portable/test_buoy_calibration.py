"""Calibration on the board: coefficients that are written, accepted or taken back, circuits that are kept."""

import os

from buoy import settings
from buoy.board import Board
from buoy.circuits import STEPS
from buoy.identity import Identity
from test_buoy_board import World

OLD = ["0102030405", "060708", "99"]  # lines of an export: one might pass for a reading
NEW = ["AABBCCDDEE", "FF0011", "22"]


class Circuit:
    """Answers what an EZO circuit answers; `deaf` is how many commands it sleeps through."""

    key = "ph"

    def __init__(self, lines=OLD, deaf=0):
        self.lines = list(lines)
        self.deaf = deaf
        self.sent = []
        self.reply = ""
        self._out = []
        self._in = []

    def begin_command(self, command, _now_ms, _process_ms=300):
        self.sent.append(command)
        self.reply = "" if self.deaf else self._answer(command)
        self.deaf = max(0, self.deaf - 1)

    def poll(self, _now_ms):
        return True

    def _answer(self, command):
        if command == "Export,?":
            self._out = self.lines + ["*DONE"]
            self._in = []
            return "export,%d,%d" % (len(self.lines), sum([len(line) for line in self.lines]))
        if command == "Export":
            return self._out.pop(0)
        if command.startswith("Import,"):
            self._in.append(command[7:])
            if len(self._in) == len(self.lines):
                self.lines = self._in
            return "*OK"
        return "cal,3" if command == "Cal,?" else "*OK"


class Reader:
    def __init__(self, circuit):
        self.sensors = {"ph": circuit}


class Patient(World):
    """Waits for answers that take many turns."""

    def run(self, ms):
        return World.run(self, 20 * ms)


def no_files():
    for name in os.listdir():
        if name.startswith("ezo"):
            os.remove(name)


def make(circuit, **changes):
    """A board whose pH circuit is `circuit`."""
    world = Patient(**changes)
    world.boot()
    world.board.reader = Reader(circuit)
    return world


def boot_with(world, circuit):
    """Start the board again; its drivers are `circuit`."""
    true = Board.make_reader
    Board.make_reader = lambda _board: Reader(circuit)
    try:
        return world.boot()
    finally:
        Board.make_reader = true


def test_a_circuit_is_kept_and_accepted():
    no_files()
    circuit = Circuit()
    world = make(circuit)
    assert world.ask("keep", key="ph", step="keep")["ok"] == OLD
    assert "ezo-ph.open" in os.listdir()
    assert "interrupted" in world.ask("keep", key="ph", step="keep")["error"]
    circuit.lines = list(NEW)
    assert "ok" in world.ask("keep", key="ph", step="accept")
    assert "ezo-ph.open" not in os.listdir()
    assert "ezo-ph.last" in os.listdir()


def test_what_was_kept_is_put_back():
    no_files()
    circuit = Circuit()
    world = make(circuit)
    world.ask("keep", key="ph", step="keep")
    circuit.lines = list(NEW)
    assert world.ask("keep", key="ph", step="restore")["ok"] == OLD
    assert circuit.lines == OLD
    # Once more: the last one stays at hand, for an undo.
    circuit.lines = list(NEW)
    assert world.ask("keep", key="ph", step="restore")["ok"] == OLD


def test_a_circuit_that_does_not_take_it_is_told():
    no_files()
    circuit = Circuit()
    world = make(circuit)
    world.ask("keep", key="ph", step="keep")
    circuit.lines = NEW + ["33"]  # another count of lines: the import never completes
    assert "did not take" in world.ask("keep", key="ph", step="restore")["error"]
    assert "ezo-ph.open" in os.listdir()


def test_a_silent_circuit_is_told():
    no_files()
    world = make(Circuit(deaf=100))
    assert "cannot export" in world.ask("keep", key="ph", step="keep")["error"]
    assert "ezo-ph.open" not in os.listdir()


def test_a_board_that_starts_with_an_open_calibration_puts_the_old_one_back():
    no_files()
    circuit = Circuit()
    world = make(circuit, broker_host="")
    world.ask("keep", key="ph", step="keep")
    circuit.lines = list(NEW)
    circuit.deaf = 3  # it starts, too
    boot_with(world, circuit)
    world.run(2000)
    assert world.calls == ["reset"]
    assert circuit.lines == OLD
    assert "ezo-ph.open" not in os.listdir()


def test_a_board_whose_circuit_is_gone_starts_all_the_same():
    no_files()
    with open("ezo-ph.open", "w") as file:
        file.write("\n".join(OLD))
    world = World()  # ph is a fake here
    board = world.boot()
    world.run(100)
    assert board.app is not None
    no_files()


def test_wrong_requests_are_refused():
    no_files()
    world = make(Circuit())
    assert "step" in world.ask("keep", key="ph", step="sell")["error"]
    assert "EZO" in world.ask("keep", key="wp", step="keep")["error"]
    assert "key" in world.ask("calibrate", key="wp", step="write", set={}, note={})["error"]
    assert "set and note" in world.ask("calibrate", key="ph", step="write", set=3, note={})["error"]
    assert "to accept" in world.ask("calibrate", key="ph", step="accept")["error"]
    assert "flow meter" in world.ask("count")["error"]
    assert sorted(STEPS) == ["accept", "keep", "restore"]


def write(world, value, **note):
    return world.ask("calibrate", key="do", step="write", set={"air_mv": value, "zero_mv": None}, note=note)


def calibration(world):
    return world.ask("get")["ok"]["calibration"].get("do"), world.ask("get")["ok"]["sensors"]["do"]


def test_coefficients_are_written_accepted_and_reverted():
    no_files()
    world = World(broker_host="", sensors={"do": {"mode": "hardware", "air_mv": 500.0, "zero_mv": 1.0}})
    world.boot()
    write(world, 512.0, date="2026-11-26", record="a")
    note, own = calibration(world)
    assert own == {"mode": "hardware", "air_mv": 512.0}
    assert note["previous"] == {"air_mv": 500.0, "zero_mv": 1.0}
    assert note["open"] is True
    world.ask("calibrate", key="do", step="accept")
    write(world, 520.0, date="2026-12-26", record="b")
    world.ask("calibrate", key="do", step="accept")
    note, own = calibration(world)
    assert own["air_mv"] == 520.0
    assert note["was"]["record"] == "a"
    assert "open" not in note
    assert "was" not in note["was"]  # one step back, and no growing chain
    world.ask("calibrate", key="do", step="revert")
    note, own = calibration(world)
    assert own == {"mode": "hardware", "air_mv": 512.0}
    assert note["record"] == "a"
    world.ask("calibrate", key="do", step="revert")
    assert calibration(world) == (None, {"mode": "hardware", "air_mv": 500.0, "zero_mv": 1.0})


def test_what_was_not_accepted_goes_at_the_next_start_outside_maintenance():
    no_files()
    world = World(broker_host="", sensors={"do": {"mode": "hardware", "air_mv": 500.0}})
    Identity(world.nvs).set_maintenance(600)
    world.boot()
    write(world, 512.0)
    world.boot()
    assert calibration(world)[1]["air_mv"] == 512.0  # the bench tries it
    Identity(world.nvs).set_maintenance(0)
    world.boot()
    assert calibration(world) == (None, {"mode": "hardware", "air_mv": 500.0})
    assert settings.load()[0]["calibration"] == {}


def test_a_circuits_note_follows_its_file():
    no_files()
    world = World(broker_host="", sensors={"ph": {"mode": "counter"}})
    world.boot()
    world.ask("calibrate", key="ph", step="write", set={}, note={"circuit": True, "record": "x"})
    world.boot()  # no open file: the circuit's calibration was accepted, the note was cut off
    note = world.ask("get")["ok"]["calibration"]["ph"]
    assert note["record"] == "x"
    assert "open" not in note
    world.ask("calibrate", key="ph", step="write", set={}, note={"circuit": True, "record": "y"})
    with open("ezo-ph.open", "w") as file:
        file.write("\n".join(OLD))
    world.boot()
    assert world.ask("get")["ok"]["calibration"]["ph"]["record"] == "x"
    no_files()
