"""docs/bench.md as a new user types it: its fleet file and its commands, on bare simulated boards."""

import json
import re

import pytest
from bench_place import Place

from buoyfleet.cli.simulate import FIRST_ID, IMAGE
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import write_synthetic

IDS = ("131", "132", "133")


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_its_fleet_is_commissioned_runs_and_is_whole_after_a_power_cut(tmp_path, project_root, monkeypatch):
    text = (project_root / "docs" / "bench.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.+?)^```", text, re.MULTILINE | re.DOTALL)
    # How fast this computer is, is not the subject. So many messages are needed: pH settles for a minute.
    run = "run: {messages: 100, rate: 1/s}"
    assert run in example
    (tmp_path / "boards.yaml").write_text(example.replace(run, run[:-1] + ", late_send: 60 s}"))
    monkeypatch.setenv("WIFI_PASSWORD", re.search(r"export WIFI_PASSWORD=(\w+)", text)[1])
    commands = re.findall(r"^    buoy (.+?) +#", text[: text.index("Nothing below")], re.MULTILINE)
    assert commands == ["ports", "commission --dry-run", "commission", "records"]
    boards = int(re.search(r"buoy simulate --boards (\d+) --erased", text)[1])
    ids = range(FIRST_ID, FIRST_ID + boards)
    with Simulator(tmp_path / "sim", ids, flashed=False) as simulator:
        write_synthetic(tmp_path / "sim" / IMAGE)
        place = Place(tmp_path, simulator)
        printed = {command: place.buoy(*command.split()) for command in commands}
        assert printed["ports"].count("nothing") == boards
        for buoy in IDS:
            assert re.search(rf"^✓ +{buoy} ", printed["commission"], re.MULTILINE), printed["commission"]
            assert buoy in printed["records"]
        place.buoy("run", "--quiet", "--out", "runs")
        (result,) = tmp_path.glob("runs/*/result.json")
        document = json.loads(result.read_text())
        assert {board["state"] for board in document["boards"]} == {"passed"}
        assert [board["acknowledged"] for board in document["boards"]] == [100] * boards
        for buoy in ids:
            simulator.power(buoy, False)
            simulator.power(buoy, True)
        again = json.loads(place.buoy("commission", "--json").splitlines()[-1])
        assert [board["done"] for board in again["boards"]] == [[]] * boards
