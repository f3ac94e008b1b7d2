"""Names of boards: what each form means, what is refused."""

import pytest

from host.model.errors import UsageError
from host.serial.listing import PortInfo, holder, list_ports
from host.serial.names import mac_text, parse_name


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("/dev/ttyUSB0", "port", "/dev/ttyUSB0"),
        ("runs/simulated/ports/buoy-128", "port", "runs/simulated/ports/buoy-128"),
        ("rfc2217://127.0.0.1:4000", "port", "rfc2217://127.0.0.1:4000"),
        ("socket://bench.local:3333", "port", "socket://bench.local:3333"),
        ("usb:10C4:EA60:0001", "usb", "10c4:ea60:0001"),
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


@pytest.mark.parametrize("text", ["", "usb:10c4", "mac:24:0a", "http://x:1", "rfc2217://host", "location:x"])
def test_what_names_nothing_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="names no board") as caught:
        parse_name(text)
    assert "usb:VID:PID:SERIAL" in caught.value.next_step


def test_usb_names_and_locations_fit_the_ports_they_describe():
    port = PortInfo("/dev/ttyUSB3", 0x10C4, 0xEA60, "0001", "1-1.2.4", "CP2102")
    assert port.answers_to(parse_name("usb:10c4:EA60:0001"))
    assert not port.answers_to(parse_name("usb:10c4:ea60:0002"))
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
        assert holder(str(file)).endswith(f"(process {process.pid})")
        process.communicate()


def test_macs_are_shown_with_colons():
    assert mac_text("240ac4000080") == "24:0a:c4:00:00:80"
