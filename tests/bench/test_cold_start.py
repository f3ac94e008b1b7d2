"""Bare boards with nine drivers: commissioned, a run, deep sleep and a power cut, always with mutual TLS."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
from bench_place import Place
from bench_rig import IMAGE_BYTES, SSID, WIFI_PASSWORD
from mqtt_certificates import Authority
from run_bench import until
from time_server import running_time_server

from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import write_synthetic

IDS = (180, 181)
MESSAGES = 90
"""Longer than pH gives no value after power came."""
WAKES = 2
LONG_S = 300.0


class Arrivals:
    """What the broker saw of the boards, by its log."""

    def __init__(self, log: list[str]) -> None:
        self._log = log
        self._from = 0

    def anew(self) -> None:
        """Count from here on."""
        self._from = len(self._log)

    def connections(self, buoy: int) -> int:
        """Of a board, with the certificate that was issued to it."""
        return self._count(rf"New client connected from \S+ as buoy-{buoy} \(.*u'buoy-{buoy}'\)")

    def strangers(self) -> list[str]:
        """Connections without a client certificate, or with that of somebody else."""
        found = [re.search(r"New client connected from \S+ as (\S+) \((.*)\)", line) for line in self._log]
        boards = [match for match in found if match and match[1].startswith("buoy-")]
        return [match[0] for match in boards if f"u'{match[1]}'" not in match[2]]

    def measures(self, buoy: int) -> int:
        """Messages of a board's sensors."""
        return self._count(rf"Received PUBLISH from buoy-{buoy} \(.*'[^']*/{buoy}/data/'")

    def _count(self, pattern: str) -> int:
        return sum(1 for line in self._log[self._from :] if re.search(pattern, line))


def write_fleet(folder: Path, port: int, ntp_port: int, low_power: bool) -> None:
    tls = '{ca: certs/ca.pem, certificate: "certs/{thing}.pem", key: "certs/{thing}.key"}'
    lines = [
        "fleet: cold",
        f"target: {{kind: broker, host: localhost, port: {port}, tls: {tls}}}",
        # How fast this computer is, is not the subject.
        f"run: {{messages: {MESSAGES}, rate: 1/s, late_send: 60 s}}",
        "boards:",
        "  - kind: simulated",
        f"    ids: {IDS[0]}-{IDS[-1]}",
        "    port: sim/ports/buoy-{id}",
        "    sensors: hardware",
        f'    wifi: {{ssid: {SSID}, password: "${{env:WIFI_PASSWORD}}"}}',
        "bench:",
        "  interpreter: image.bin",
        "  ports: ['sim/ports/*']",
        f"  ntp_host: ['127.0.0.1:{ntp_port}']",
        "  publish_interval: 10 s",
        f"  low_power: {json.dumps(low_power)}",
    ]
    (folder / "boards.yaml").write_text("\n".join(lines) + "\n")


def sleeps(simulator: Simulator, buoy: int) -> bool:
    return simulator.state(buoy) == "asleep"


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_nine_drivers_from_a_bare_chip_to_deep_sleep_and_after_a_power_cut(
    tmp_path,
    start_mosquitto,
    monkeypatch,
):
    authority = Authority(tmp_path / "certs")
    server = authority.issue("localhost")
    for name in ("witness", *(f"buoy-{buoy}" for buoy in IDS)):
        authority.issue(name).key.chmod(0o600)
    certificates = [f"cafile {authority.ca}", f"certfile {server.certificate}", f"keyfile {server.key}"]
    mutual = ["require_certificate true", "use_identity_as_username true", "log_type debug"]
    broker = start_mosquitto([*certificates, *mutual])
    seen = Arrivals(broker.log)
    monkeypatch.setenv("WIFI_PASSWORD", WIFI_PASSWORD)
    write_synthetic(tmp_path / "image.bin", size=IMAGE_BYTES)

    def sea(buoy: int) -> bool:
        """It woke from deep sleep, and connected and measured each time."""
        return min(seen.connections(buoy), seen.measures(buoy)) > WAKES

    with (
        running_time_server() as clock,
        Simulator(tmp_path / "sim", IDS, flashed=False, access_points={SSID: WIFI_PASSWORD}) as simulator,
    ):
        place = Place(tmp_path, simulator)
        write_fleet(tmp_path, broker.port, clock.port, low_power=False)
        place.buoy("commission")
        place.buoy("run", "--quiet", "--out", "runs")
        (result,) = tmp_path.glob("runs/*/result.json")
        boards = json.loads(result.read_text())["boards"]
        assert [(one["state"], one["acknowledged"]) for one in boards] == [("passed", MESSAGES)] * len(IDS)

        write_fleet(tmp_path, broker.port, clock.port, low_power=True)
        place.buoy("commission")
        for cut in (False, True):
            if cut:
                for buoy in IDS:
                    simulator.power(buoy, False)
                    simulator.power(buoy, True)
            seen.anew()
            boots = {buoy: simulator.with_board(buoy, lambda board: board.boots) for buoy in IDS}
            for buoy in IDS:
                until(partial(sea, buoy), f"{buoy} does not wake, connect and measure", LONG_S)
                until(partial(sleeps, simulator, buoy), f"{buoy} does not sleep", LONG_S)
                assert simulator.with_board(buoy, lambda board: board.boots) >= boots[buoy] + WAKES
    assert seen.strangers() == []
