"""Names of boards: what each form means, what is refused."""

import re

import pytest

from buoyfleet.inventory.loader import load_fleet
from buoyfleet.model.board_names import PATTERN, mac_text, parse_name
from buoyfleet.model.errors import ConfigurationError, UsageError
from buoyfleet.serial.listing import PortInfo, holder, list_ports

URLS = [
    "rfc2217://127.0.0.1:4000?ign_set_control",
    "rfc2217://127.0.0.1:4000/?ign_set_control&poll_modem&timeout=0.5&logging=debug",
    "RFC2217://Bench.Local:4000",
    "rfc2217://[::1]:4000?timeout=10",
    "socket://[fe80::1]:3333?logging=error",
]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("/dev/ttyUSB0", "port", "/dev/ttyUSB0"),
        ("runs/simulated/ports/buoy-128", "port", "runs/simulated/ports/buoy-128"),
        ("rfc2217://127.0.0.1:4000", "port", "rfc2217://127.0.0.1:4000"),
        ("socket://bench.local:3333", "port", "socket://bench.local:3333"),
        ("COM3", "port", "COM3"),
        ("/dev/serial/by-id/usb-My Board", "port", "/dev/serial/by-id/usb-My Board"),
        *((url, "port", url) for url in URLS),
        ("usb:10C4:EA60:0001", "usb", "10c4:ea60:0001"),
        ("USB:1a86:7523:USB Serial 1", "usb", "1a86:7523:USB Serial 1"),
        ("usb:1a86:7523", "usb", "1a86:7523"),
        ("usb:1a86:7523:", "usb", "1a86:7523"),
        ("location:1-1.2", "location", "1-1.2"),
        ("location:1-1.2:1.0", "location", "1-1.2"),
        ("mac:24:0A:C4:00:00:80", "mac", "240ac4000080"),
        ("24:0a:c4:00:00:80", "mac", "240ac4000080"),
        ("mac:240ac4000080", "mac", "240ac4000080"),
        (" 0131 ", "id", "131"),
    ],
)
def test_every_form_of_a_name_is_understood(text, kind, value):
    name = parse_name(text)
    assert (name.kind, name.value) == (kind, value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("/dev/tty\x1bUSB0", "control characters"),
        ("usb:10c4", "followed by something else"),
        ("mac:24:0a", "followed by something else"),
        ("location:x", "followed by something else"),
        ("http://x:1", "known are `rfc2217://`, `socket://`"),
        ("spy:///dev/ttyUSB0", "not known"),
        ("rfc2217://host", "no HOST:PORT"),
        ("rfc2217://:4000", "no HOST:PORT"),
        ("rfc2217://host:0", "no HOST:PORT"),
        ("rfc2217://host:70000", "from 1 to 65535"),
        ("rfc2217://::1:4000", "brackets"),
        ("rfc2217://[::1:4000", "not whole"),
        ("rfc2217://me:secret@host:4000", "user"),
        ("rfc2217://host:4000?ign_set_controll", "known: ign_set_control, poll_modem, timeout=SECONDS"),
        ("rfc2217://host:4000?timeout=soon", "write timeout=SECONDS"),
        ("rfc2217://host:4000?timeout=nan", "write timeout=SECONDS"),
        ("rfc2217://host:4000?logging=loud", "write logging="),
        ("socket://host:4000?ign_set_control", "unknown option"),
        ("rfc2217://host:4000 ?timeout=1", "no blanks"),
    ],
)
def test_what_names_nothing_is_refused_with_the_reason_and_examples(text, why):
    with pytest.raises(UsageError, match="names no board") as caught:
        parse_name(text)
    assert why in caught.value.what
    assert "usb:VID:PID:SERIAL" in caught.value.next_step


@pytest.mark.parametrize("url", URLS)
def test_pyserial_takes_every_url_of_the_grammar(url):
    import serial

    host, port = serial.serial_for_url(url, do_not_open=True).from_url(url)
    assert host.lower() in url.lower()
    assert str(port) in url


@pytest.mark.parametrize(
    "ports",
    [
        ["rfc2217://Host:4000?ign_set_control", "RFC2217://host:4000", "rfc2217://host:4000/?timeout=3"],
        ["mac:24:0A:C4:00:00:80", "24-0a-c4-00-00-80", "MAC:240ac4000080"],
        ["usb:10C4:ea60:AB 1", "USB:10c4:EA60:ab 1"],
        ["location:1-1.2", "usb:1-1.2:1.0"],
    ],
)
def test_names_of_one_port_have_one_key(ports):
    assert len({parse_name(port).key for port in ports}) == 1


FLEET = """
fleet: remote
target: {kind: broker, host: 127.0.0.1, port: 1883}
boards:
  - kind: esp32
    ids: 131
    port: '%s'
    wifi: {ssid: buoy}
run: {messages: 2, rate: 1/s}
bench: {ports: ['%s']}
"""


@pytest.mark.parametrize(
    "port", [*URLS, "usb:1a86:7523:USB Serial 1", "location:1-1.2", "mac:24:0a:c4:00:00:80", "COM3"]
)
def test_the_fleet_file_takes_what_the_command_line_takes(tmp_path, port):
    path = tmp_path / "boards.yaml"
    path.write_text(FLEET % (port, port))
    fleet = load_fleet(path)
    assert fleet.boards[0].port == port
    assert fleet.bench.ports == ((str(tmp_path / port),) if port == "COM3" else (port,))
    list_ports(fleet.bench.ports)  # taken by what looks for ports, too
    assert re.search(PATTERN, port), "the schema takes it"


@pytest.mark.parametrize("port", ["131", "rfc2217://host", "telnet://host:1", "rfc2217://host:1?timeouts=3"])
def test_the_fleet_file_refuses_what_the_command_line_refuses(tmp_path, port):
    path = tmp_path / "boards.yaml"
    path.write_text(FLEET % (port, port))
    with pytest.raises(ConfigurationError) as caught:
        load_fleet(path)
    assert [problem.path for problem in caught.value.problems] == ["boards[0].port", "bench.ports[0]"]


def test_a_port_with_the_boards_id_is_judged_as_each_board_has_it(tmp_path):
    path = tmp_path / "boards.yaml"
    text = FLEET % ("rfc2217://host:40{id}?ign_set_control", "/dev/none")
    path.write_text(text.replace("ids: 131", "ids: 131-132"))
    assert [board.port for board in load_fleet(path).boards] == [
        f"rfc2217://host:40{buoy}?ign_set_control" for buoy in (131, 132)
    ]
    path.write_text(text.replace("ids: 131", "ids: 131-132").replace(":40{id}", ":400{id}0"))
    with pytest.raises(ConfigurationError, match="from 1 to 65535") as caught:
        load_fleet(path)
    assert len(caught.value.problems) == 1


def test_usb_names_and_locations_fit_the_ports_they_describe():
    port = PortInfo("/dev/ttyUSB3", 0x10C4, 0xEA60, "0001", "1-1.2.4", "CP2102")
    assert port.answers_to(parse_name("usb:10c4:EA60:0001"))
    assert not port.answers_to(parse_name("usb:10c4:ea60:0002"))
    assert port.answers_to(parse_name("usb:10c4:ea60"))
    assert port.answers_to(parse_name("location:1-1.2.4"))
    assert port.answers_to(parse_name("/dev/ttyUSB3"))
    assert (port.hub, port.bridge, port.usb_id) == ("1-1.2", "CP210x", "10c4:ea60")
    assert PortInfo("rfc2217://far.away:4000").hub == "far.away"


def test_a_pattern_lists_the_ports_of_a_folder_once(tmp_path):
    for name in ("buoy-1", "buoy-2"):
        (tmp_path / name).touch()
    (tmp_path / "again").symlink_to(tmp_path / "buoy-1")
    url = "rfc2217://127.0.0.1:4000"
    listed = list_ports([str(tmp_path / "buoy-*"), str(tmp_path / "again"), str(tmp_path / "none-*"), url])
    named = [port.port for port in listed if port.vid is None]
    assert named == [str(tmp_path / "buoy-1"), str(tmp_path / "buoy-2"), url]


def test_a_port_that_another_process_has_open_is_told_with_its_name(tmp_path):
    import subprocess

    file = tmp_path / "port"
    file.touch()
    assert holder(str(file)) == ""
    with file.open() as opened, subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=opened) as process:
        # `cat` has it as its output from the moment it exists.
        assert holder(str(file)) == f"cat (process {process.pid})"
        process.communicate()


def test_macs_are_shown_with_colons():
    assert mac_text("240ac4000080") == "24:0a:c4:00:00:80"
