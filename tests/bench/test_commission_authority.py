"""Certificates that somebody else made, on a board: chain and bundle, then another CA for the same board."""

import json

import pytest
from bench_place import Place
from bench_rig import SSID, WIFI_PASSWORD
from test_tls_files import BETWEEN, BUOY, ONE, SERVER, TWO, Party, party, put

from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import write_synthetic

ID = 330
WITNESS = party("witness", BETWEEN)
OTHER = party("other", ca=True)
OTHER_SERVER = party("localhost", OTHER)
FLEET = """\
fleet: ashore
target:
  kind: broker
  host: localhost
  port: {port}
  tls: {{ca: ca.pem, certificate: "{{thing}}.pem", key: "{{thing}}.key"}}
boards:
  - kind: simulated
    ids: [330]
    port: sim/ports/buoy-330
    sensors: counter
    wifi: {{ssid: {ssid}, password: "${{env:WIFI_PASSWORD}}"}}
run: {{messages: 3, rate: 2/s, late_send: 60 s}}
bench: {{ntp_host: none, interpreter: image.bin}}
"""


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_board_follows_its_broker_to_another_ca(tmp_path, start_mosquitto):
    def serve(party: Party) -> None:
        put(tmp_path, "server.pem", party.pem)
        put(tmp_path, "server.key", party.key_pem())

    for thing, own in (("buoy-330", BUOY), ("witness", WITNESS)):
        put(tmp_path, f"{thing}.pem", own.pem, BETWEEN.pem)
        put(tmp_path, f"{thing}.key", own.key_pem())
    put(tmp_path, "ca.pem", ONE.pem, TWO.pem)
    put(tmp_path, "one.pem", ONE.pem)
    serve(SERVER)
    broker = start_mosquitto(
        [
            f"cafile {tmp_path}/one.pem",
            f"certfile {tmp_path}/server.pem",
            f"keyfile {tmp_path}/server.key",
            "require_certificate true",
        ]
    )
    write_synthetic(tmp_path / "image.bin")
    (tmp_path / "boards.yaml").write_text(FLEET.format(port=broker.port, ssid=SSID))
    with Simulator(tmp_path / "sim", [ID], access_points={SSID: WIFI_PASSWORD}) as simulator:
        place = Place(tmp_path, simulator)

        def done() -> list[str]:
            return json.loads(place.buoy("commission", "--json").splitlines()[-1])["boards"][0]["done"]

        assert "self-test" in done(), "two CAs, and a certificate with the one that signed it"
        assert done() == []
        broker.stop()
        serve(OTHER_SERVER)
        broker.start()
        refused = place.buoy("commission", code=3)
        assert "boards would refuse the broker's certificate" in refused
        put(tmp_path, "ca.pem", OTHER.pem)
        assert "another CA" in place.buoy("commission", "--dry-run")
        assert done() == ["maintenance", "keys", "restart", "self-test", "record"]
        assert done() == []
        place.buoy("run", "--quiet", "--out", "runs")
