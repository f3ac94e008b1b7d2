# ruff: noqa: ARG002 - the technician answers whatever the guide says
"""A bench in simulated time: the firmware's own board on simulated parts, and a technician who moves probes.

The board runs in this process and is spoken to in the same JSON lines as over a cable; only the bytes and
the clock differ. Its files are in the working folder, so tests change into an empty one.
"""

import contextlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from buoy import settings
from buoy.board import Board
from buoy.console import MARKER, checked

from buoyfleet.calibration.board import BenchBoard
from buoyfleet.calibration.dialogue import Answer
from buoyfleet.calibration.driver_check import driver_refuses
from buoyfleet.calibration.guide import Guide
from buoyfleet.calibration.limits import Limits
from buoyfleet.calibration.procedure import Bench
from buoyfleet.calibration.procedures import PROCEDURES
from buoyfleet.calibration.record import RecordWriter, read_record
from buoyfleet.calibration.thermometer import thermometer
from buoyfleet.model.errors import BoardError
from buoyfleet.serial.refusals import refusal_code
from buoyfleet.serial.trouble import Refusal
from buoyfleet.simulation.buoy import simulated_buoy
from buoyfleet.simulation.parts.solutions import vessel, water

STEP_MS = 20
START = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
BATH_C = 22.0
ROOM_C = 21.0
POWER = {"power_ezo": None, "power_tbd": None, "power_wp": None, "power_wf": None}


class Clock:
    """The bench's time: waiting lets the board run."""

    def __init__(self, board):
        self.board = board

    def now_s(self):
        return self.board.now_ms / 1000.0

    def utc(self):
        return START + timedelta(milliseconds=self.board.now_ms)

    def wait(self, seconds):
        self.board.run(seconds)


class SimulatedBoard:
    """One board, its parts and its console."""

    port = "simulated"

    def __init__(
        self, buoy_id=130, seed=1, calibrated=False, flavour="new", sensors=None, commissioned=False, **more
    ):
        self.buoy = simulated_buoy(
            buoy_id, seed, place=vessel("air", ROOM_C), calibrated=calibrated, flavour=flavour, **more
        )
        self.bench = self.buoy.bench
        self.now_ms = 0
        self.inbox = b""
        self.output = b""
        self.next_id = 1
        self.unplugged = False
        self.requests = []
        self.cut_at_request = None
        self.cut_at_ms = None
        self.lines = []
        given = dict(self.buoy.settings)
        if sensors is not None:
            given["sensors"] = sensors
        if more.get("switched"):
            given["power"] = {"ezo": {"switched": True}}
        else:
            given["pins"] = POWER
        settings.save(settings.merge(settings.defaults(), given))
        self.identity_set(buoy_id)
        self.boot()

    def identity_set(self, buoy_id):
        from buoy.identity import NAMESPACE, Identity

        Identity(self.buoy.modules("esp32").NVS(NAMESPACE)).set_buoy_id(buoy_id)

    def boot(self, cause=5):
        self.inbox = b""
        self.bench.chip.events.clear()
        self.bench.chip.boot(cause, self.bench.now_us)
        self.board = Board(
            self.buoy.modules, self, lambda: self.now_ms & (1 << 30) - 1, None, None, lambda: 0.5
        )
        self.started_ms = self.now_ms

    def read(self):
        data, self.inbox = self.inbox, b""
        return data

    def write(self, data):
        self.output += data

    def cut_power(self):
        """The cable is pulled: port and supply are gone, of the circuits too."""
        self.unplugged = True
        self.cut_at_request = self.cut_at_ms = None
        for part in self.bench.parts.values():
            part.power(False, self.bench.t_s)

    def power_again(self):
        """A cold start, a few seconds later."""
        self.now_ms += 5000
        self.buoy.advance_to_ms(self.now_ms)
        for part in self.bench.parts.values():
            part.power(True, self.bench.t_s)
        self.unplugged = False
        self.output = b""
        self.boot(1)
        self.run(20.0)

    def turn(self):
        """20 ms of the board."""
        if self.cut_at_ms is not None and self.now_ms >= self.cut_at_ms:
            self.cut_power()
            return
        self.board.step()
        self.now_ms += STEP_MS
        self.buoy.advance_to_ms(self.now_ms)
        if any(event.kind == "reset" for event in self.bench.chip.events):
            self.boot(2)

    def run(self, seconds):
        """Let time pass."""
        end_ms = self.now_ms + 1000 * seconds
        while self.now_ms < end_ms and not self.unplugged:
            self.turn()
        self.now_ms = max(self.now_ms, int(end_ms))

    # buoyfleet.calibration.board.Console

    def request(self, do, timeout_s=5.0, *, tries=1, **fields):
        del tries
        request_id, self.next_id = self.next_id, self.next_id + 1
        if self.unplugged:
            raise BoardError("the port is gone", where=self.port)
        self.inbox += MARKER + json.dumps({"id": request_id, "do": do, **fields}).encode() + b"\n"
        assert len(self.inbox) < 2048
        self.requests.append(f"{do} {fields.get('command', fields.get('step', ''))}".strip())
        if self.cut_at_request == len(self.requests):
            self.cut_power()
        end_ms = self.now_ms + 1000 * timeout_s
        while self.now_ms < end_ms and not self.unplugged:
            self.turn()
            for line in self.take_lines():
                if line.startswith(MARKER):
                    body = json.loads(checked(line[len(MARKER) :]))
                    if body.get("id") == request_id:
                        if "error" in body:
                            raise Refusal(body["error"], refusal_code(body.get("code")), where=self.port)
                        return body["ok"]
                else:
                    self.lines.append(line.decode())
        raise BoardError(f"no answer to {do}", where=self.port)

    def take_lines(self):
        *lines, self.output = self.output.split(b"\r\n")
        return lines

    def restart(self, timeout_s=20.0):
        self.request("reboot")
        self.run(0.1)
        return self.request("identify", timeout_s)


class Technician:
    """Does what the guide says, into simulated vessels; `swap` puts other vessels in place, `before`
    does mischief.
    """

    def __init__(self, board, swap=None, refuse=("abort",), numbers=None, skip=(), mischief=None):
        self.board = board
        self.swap = swap or {}
        self.refuse = list(refuse)
        self.numbers = numbers or {}
        self.skip = skip
        self.mischief = mischief or {}
        self.told = []
        self.reasons = []
        self.flow = 0.0
        self.gate_s = 0.0
        self.seconds = {}

    def tell(self, text, tone="plain"):
        self.told.append(text)

    def prepare(self, step, attempt):
        if step.name in self.skip:
            return Answer("skip", "not today")
        name = self.swap.get((step.name, attempt), self.swap.get(step.name, step.vessel))
        self.place(name)
        act = self.mischief.get(step.name)
        if act is not None:
            act(self.board, attempt)
        return Answer("go")

    def place(self, name):
        known = {
            "bath": lambda: vessel("clear-water", BATH_C),
            "full": lambda: vessel("clear-water", ROOM_C),
            "empty": lambda: vessel("air", ROOM_C),
        }
        medium = name if not isinstance(name, str) else known.get(name, lambda: vessel(name, ROOM_C))()
        self.board.bench.put(medium)
        self.flow = medium.sample(0.0).flow_l_s

    def watch(self, view):
        return None

    def settled(self):
        pass

    def refused(self, step, reasons, may_force):
        self.reasons += reasons
        action = self.refuse.pop(0) if len(self.refuse) > 1 else self.refuse[0]
        return Answer(action)

    def number(self, name, question, unit, low, high):
        if name in self.numbers:
            return self.numbers[name]
        if name == "reference":
            return BATH_C
        if name == "barometer":
            return 1009.0
        assert name == "litres"
        return round(self.flow * self.gate_s, 2)

    def gate(self, name, question, look=None):
        if name == "start":
            self.began_s = self.board.now_ms / 1000.0
        else:
            self.board.run(10.0 / max(self.flow, 1 / 60))
            self.gate_s = self.board.now_ms / 1000.0 - self.began_s

    def verdict(self, fitted, checks):
        pass

    def confirm(self, question):
        return True


def bench_of(board, points=(), lots=None, options=None, typed_c=None):
    """A procedure's bench on a board."""
    own = BenchBoard(board)
    return Bench(
        own, thermometer(own, typed_c, "test thermometer"), Limits(), {}, lots or {}, points, options or {}
    )


def calibrate(board, key, technician=None, folder=None, force=False, points=(), lots=None, typed_c=None):
    """One calibration by the guide; gives (result, record)."""
    technician = technician or Technician(board)
    clock = Clock(board)
    bench = bench_of(board, points, lots, typed_c=typed_c)
    bench.board.enter()
    folder = (
        Path(folder or os.getcwd())
        / f"record-{key}-{len(list(Path(folder or os.getcwd()).glob('record-*')))}"
    )
    with RecordWriter(folder) as record:
        record.event(
            "begin", clock.utc(), schema=1, key=key, board={"name": bench.board.identity.name}, forced=False
        )
        result = Guide(PROCEDURES[key](bench), technician, record, clock, force, driver_refuses).run()
    if not board.unplugged:
        with contextlib.suppress(BoardError):  # cut at that moment
            bench.board.leave()
    return result, read_record(folder)


__all__ = ["BATH_C", "ROOM_C", "Clock", "SimulatedBoard", "Technician", "calibrate", "vessel", "water"]
