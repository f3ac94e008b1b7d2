"""Boards that start cold, mutual TLS and time servers: certificates are judged by the board's own clock."""

import json
import ssl
import threading
import time

import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives import serialization
from esp32_bench import wait_for
from mqtt_certificates import Authority
from paho.mqtt.enums import CallbackAPIVersion
from time_server import right, running_time_server

from buoyfleet.boards.firmware_files import firmware_files
from buoyfleet.serial.console import Console
from buoyfleet.simulation.esp32.factory import factory_image
from buoyfleet.simulation.esp32.simulator import Simulator

pytestmark = pytest.mark.timeout(600)

BOARD = 146
WRONG_S = 30 * 365 * 86400


def without_a_time(request: bytes) -> list[bytes]:
    """Zero where the time stands, which would be February 2036."""
    return [right(request)[:40] + bytes(8)]


def a_flood(request: bytes) -> list[bytes]:
    """Answers to nobody, and one to us, beyond the firmware's bounds."""
    return [right(bytes(48), WRONG_S)] * 200 + [right(request, WRONG_S)]


@pytest.fixture(scope="module")
def time_server():
    with running_time_server() as server:
        yield server


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def broker(authority, start_mosquitto):
    """Port of a broker that wants certificates."""
    issued = authority.issue("localhost")
    lines = [f"cafile {authority.ca}", f"certfile {issued.certificate}", f"keyfile {issued.key}"]
    return start_mosquitto([*lines, "require_certificate true"]).port


@pytest.fixture(scope="module")
def arrived(authority, broker):
    """Topic's kind → payloads in order of arrival."""
    found: dict[str, list[dict[str, object]]] = {}

    def keep(_client, _data, message):
        found.setdefault(message.topic.split("/")[3], []).append(json.loads(message.payload))

    issued = authority.issue("watcher")
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.load_cert_chain(issued.certificate, issued.key)
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.tls_set_context(context)
    client.on_message = keep
    subscribed = threading.Event()
    client.on_connect = lambda *_: client.subscribe("aws/0/#", 1) and None
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("localhost", broker)
    client.loop_start()
    assert subscribed.wait(90)
    yield found
    client.disconnect()
    client.loop_stop()


@pytest.fixture(scope="module")
def simulator(tmp_path_factory, authority, broker, time_server):
    """A board that was commissioned and never switched on since."""
    issued = authority.issue("buoy")
    key = serialization.load_pem_private_key(issued.key.read_bytes(), None).private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    settings = {
        "broker_host": "localhost",
        "broker_port": broker,
        "ntp_host": f"127.0.0.1:{time_server.port}",
        "publish_interval_s": 1,
        "sensors": {"ph": {"mode": "counter"}},
    }
    files = {
        **firmware_files(),
        "certs/ca.der": ssl.PEM_cert_to_DER_cert(authority.ca.read_text()),
        "certs/cert.der": ssl.PEM_cert_to_DER_cert(issued.certificate.read_text()),
        "certs/key.der": key,
        "settings.json": json.dumps(settings).encode(),
    }
    image = factory_image(files, tmp_path_factory.mktemp("image"))
    folder = tmp_path_factory.mktemp("boards")
    with Simulator(folder, factory=image, access_points={"river": "secret"}) as running:
        running.add(BOARD, plugged=False)
        running.with_board(BOARD, lambda board: commission(board.chip.nvs))
        yield running


def commission(nvs):
    """The identity, as `buoy commission` writes it."""
    nvs.set("buoy", "id", BOARD)
    for key, text in (("thing", "buoy-146"), ("wifi_ssid", "river"), ("wifi_key", "secret")):
        nvs.set("buoy", key, text.encode())
    nvs.commit()


def stamps_s(arrived):
    """Of the messages that arrived, in seconds since 1970."""
    return [message["timestamp"] / 1000 for message in list(arrived.get("data", []))]


def more_arrive(arrived, count):
    """Wait for further messages."""
    before = len(stamps_s(arrived))
    wait_for(lambda: len(stamps_s(arrived)) >= before + count, 150)


def test_a_board_with_a_wrong_date_says_so_and_connects_when_the_console_sets_it(
    simulator, arrived, time_server
):
    time_server.silent = True
    began = time.time()
    with Console(simulator.replug(BOARD)) as console:
        console.wait_until_ready(120)
        assert console.request("clock")["utc"] is None
        console.request("clock", utc=int((time.time() + 10 * 365 * 86400) * 1000))
        wait_for(lambda: console.request("health", tries=3)["reconnects"], 150)
        assert stamps_s(arrived) == []
        console.request("clock", utc=int(time.time() * 1000))
        more_arrive(arrived, 3)
    # What waited was stamped in ten years; it is stamped anew.
    assert all(began < stamp <= time.time() + 0.1 for stamp in stamps_s(arrived))
    wait_for(lambda: '"code": 5' in json.dumps(arrived["error"]), 150)
    assert f"the board's clock says {time.gmtime().tm_year + 10}" in json.dumps(arrived["error"])


def test_a_cold_board_connects_with_mutual_tls_after_bad_answers_and_again_after_a_power_cut(
    simulator, arrived, time_server
):
    simulator.power(BOARD, False)
    time_server.silent = False
    time_server.bad[:] = [without_a_time, a_flood]
    simulator.power(BOARD, True)
    more_arrive(arrived, 1)
    assert time_server.bad == []
    simulator.power(BOARD, False)
    simulator.power(BOARD, True)
    more_arrive(arrived, 2)
    # At least once: what a power cut left without its acknowledgement comes again, with the same stamp.
    stamps = list(dict.fromkeys(stamps_s(arrived)))
    assert stamps == sorted(stamps)
    assert stamps[-1] <= time.time() + 0.1


@pytest.mark.soak  # 10 s; the same rule is held by tests/portable/test_buoy_time.py on a fake clock
def test_a_low_power_board_keeps_the_time_while_it_sleeps(simulator, arrived, time_server):
    if simulator.state(BOARD) == "off":
        simulator.replug(BOARD)
    with Console(simulator.path(BOARD)) as console:
        console.wait_until_ready(120)
        console.request("set", settings={"low_power": True}, tries=3)
        console.request("reboot", tries=3)
    wait_for(lambda: simulator.state(BOARD) == "asleep", 150)
    asked, boots = time_server.asked, simulator.with_board(BOARD, lambda board: board.boots)
    more_arrive(arrived, 1)
    assert simulator.with_board(BOARD, lambda board: board.boots) > boots
    assert time_server.asked <= asked + 1  # a time of 16 s is confirmed
    stamps = stamps_s(arrived)
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] - time.time()) < 5
