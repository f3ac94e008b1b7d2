"""The bench of docs/library.md: boards commissioned by a program."""

import pytest
from bench_rig import IMAGE_BYTES, SSID, WIFI_PASSWORD, write_fleet
from library_page import run_example

from buoyfleet import Bench
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import write_synthetic

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


def test_the_example_commissions_a_board_that_is_in_the_records_then(
    tmp_path, project_root, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    write_synthetic(tmp_path / "image.bin", size=IMAGE_BYTES)
    with Simulator(tmp_path / "sim", [128], access_points={SSID: WIFI_PASSWORD}) as simulator:
        write_fleet(tmp_path, [128], {128: simulator.path(128)})
        run_example(project_root, "Commission boards")
        assert capsys.readouterr().out.startswith("128 files, keys, settings, identity, ")
        bench = Bench()
        assert [record.buoy for record in bench.records()] == [128]
        assert bench.identify("128").buoy == 128
        assert bench.change_settings("128", {"publish_interval_s": 77})["publish_interval_s"] == 77
        bench.wipe("128")
        assert bench.identify("128").buoy is None
