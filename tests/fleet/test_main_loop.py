"""The main loop of a run is never held for long: by the subscriber's reading, by reports, by anything."""

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from buoyfleet.boards.report import BoardReport
from buoyfleet.boards.unit import PackUnit
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.mqtt import paho_session
from buoyfleet.mqtt.paho_session import PahoSession
from buoyfleet.runs.engine import Engine
from buoyfleet.runs.run_fleet import RunOptions, run_fleet

MOST_HELD_S = 0.05
BEAT_S = 0.002


def test_a_broker_that_sends_without_end_is_read_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter(n * 0.005 for n in range(1000))
    reads: list[int] = []

    class Endless:
        def receive(self) -> bool:
            reads.append(1)
            return True

    session = PahoSession.__new__(PahoSession)
    session.paho = Endless()  # type: ignore[assignment]
    monkeypatch.setattr(session, "_tell", lambda: None, raising=False)
    monkeypatch.setattr(session, "write", lambda: None, raising=False)

    async def turns() -> list[int]:
        monkeypatch.setattr(paho_session, "time", SimpleNamespace(monotonic=lambda: next(now_s)))
        session._readable()
        first = len(reads)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return [first, len(reads)]

    first, both = asyncio.run(turns())
    # 5 ms a read: a turn of 20 ms, and the next one when others had theirs.
    assert first == 5
    assert both > first


def test_reports_of_a_pack_come_in_parts_and_one_that_breaks_off_is_its_end(tmp_path: Path) -> None:
    reports = [BoardReport(buoy, 3, 3, 0) for buoy in (100, 101)]
    told = [{"buoy_id": report.buoy_id, "sent": 3, "acknowledged": 3, "dropped": 0} for report in reports]
    lines = [{"event": "boards", "boards": [board]} for board in told]
    done = {"event": "done", "cpu_s": 1.0, "max_rss_kb": 7, "failure": ""}

    def reported(text: str) -> list[BoardReport]:
        async def read() -> list[BoardReport]:
            stdout = asyncio.StreamReader()
            stdout.feed_data(text.encode())
            stdout.feed_eof()
            loop = asyncio.get_running_loop()
            unit = PackUnit(SimpleNamespace(name="pack-0", boards=[], run_folder=tmp_path))  # type: ignore[arg-type]
            unit.buoys = (100, 101)

            async def ended() -> int:
                return -9

            running: Any = SimpleNamespace(
                process=SimpleNamespace(wait=ended),
                stdout=stdout,
                ready=loop.create_future(),
                done=loop.create_future(),
            )
            await unit._read(running)
            return list(running.done.result())

        return asyncio.run(read())

    whole = "".join(json.dumps(line) + "\n" for line in [*lines, done])
    assert reported(whole) == reports
    assert ["SIGKILL" in report.errors[0] for report in reported(whole[:-20])] == [True, True]


@pytest.mark.soak
def test_a_run_of_1000_boards_flat_out_never_holds_its_main_loop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held: list[tuple[float, str]] = []
    run = Engine.run

    async def watched(self: Engine) -> None:
        async def beat() -> None:
            # The thread's own processor time: a loaded machine gives it little, and is not the subject.
            last_s = time.thread_time()
            while True:
                await asyncio.sleep(BEAT_S)
                now_s = time.thread_time()
                held.append((now_s - last_s, self._phase))
                last_s = now_s

        beating = asyncio.ensure_future(beat())
        await asyncio.sleep(0)
        try:
            await run(self)
        finally:
            beating.cancel()

    monkeypatch.setattr(Engine, "run", watched)
    group = {"kind": "virtual", "ids": "1-1000"}
    fleet = {"fleet": "many", "target": "local", "run": {"messages": 50}, "boards": [group]}
    path = tmp_path / "boards.yaml"
    path.write_text(json.dumps(fleet))
    fleet_of_many = load_fleet(path, Overrides(flat_out=True), connects=True)
    assert run_fleet(fleet_of_many, RunOptions(tmp_path / "runs")).passed
    assert len(held) > 100
    assert max(held) < (MOST_HELD_S, ""), sorted(held)[-5:]
