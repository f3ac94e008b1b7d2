"""What boards on a cable cannot do with a target is found by the file alone, with its line."""

from pathlib import Path

import pytest
import yaml

from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.model.errors import ConfigurationError

PAIR = "certificate: 'c/{thing}.pem', key: 'c/{thing}.key'"
REAL = "{kind: esp32, ids: 131, port: /dev/ttyUSB0}"
SEVERAL = "{kind: esp32, ids: 131-132, port: '/dev/ttyUSB{id}'}"
FRESH = "{kind: simulated, ids: 131}"
PLUGGED = "{kind: simulated, ids: 131, port: sim/ports/buoy-131}"
VIRTUAL = "{kind: virtual, ids: 100-120}"

LOGIN = "{kind: broker, host: b.lan, username: u, password: '${env:P}'}"
# target, boards, line and words of each mistake
CASES = [
    (LOGIN, [REAL], [(2, "user name")]),
    (LOGIN, [FRESH], [(2, "user name")]),
    (LOGIN, [PLUGGED], [(2, "user name")]),
    (LOGIN, [VIRTUAL], []),
    ("{kind: broker, host: b.lan, tls: {ca: ca.pem}}", [REAL], [(2, "a certificate and a key")]),
    ("{kind: broker, host: b.lan, tls: {ca: ca.pem}}", [VIRTUAL], []),
    (f"{{kind: broker, host: b.lan, tls: {{ca: ca.pem, {PAIR}}}}}", [REAL], []),
    (f"{{kind: broker, host: b.lan, tls: {{ca: ca.pem, {PAIR}}}}}", [FRESH], [(2, "without certificates")]),
    (f"{{kind: broker, host: b.lan, tls: {{ca: ca.pem, {PAIR}}}}}", [PLUGGED], []),
    ("{kind: local, twin: {tls: true}}", [FRESH], [(2, "without certificates")]),
    ("{kind: local, twin: {tls: true}}", [PLUGGED], []),
    (f"{{kind: broker, host: b.lan, tls: {{ca: c, alpn: mqtt, {PAIR}}}}}", [REAL], [(2, "ALPN")]),
    (f"{{kind: broker, host: b.lan, tls: {{ca: c, server_name: x.lan, {PAIR}}}}}", [REAL], [(2, "`host`")]),
    ("{kind: broker, host: b.lan, tls: {ca: c, certificate: a, key: b}}", [SEVERAL], [(2, "one key")]),
    ("{kind: broker, host: b.lan, tls: {ca: c, certificate: a, key: b}}", [REAL], []),
    ("local", [REAL], [(2, "cannot reach the twin")]),
    ("{kind: local, port: 1884}", [REAL], [(2, "cannot reach the twin")]),
    ("local", [FRESH, PLUGGED.replace("131", "132")], []),
    ("mqtt://127.0.0.1", [REAL], [(2, "the board itself")]),
    ("mqtt://localhost:1884", [SEVERAL], [(2, "boards 131,132")]),
    ("{kind: broker, host: 127.0.1.1}", [REAL], [(2, "the board itself")]),
    ("{kind: broker, host: 127.0.0.1}", [PLUGGED], []),
    ("{kind: broker, host: '[::1]'}", ["{kind: esp32, ids: 131, port: 'usb:10c4:ea60:1'}"], [(2, "itself")]),
    ("{kind: broker, host: 127.0.0.1}", ["{kind: esp32, ids: 131, port: 'mac:24:0a:c4:00:00:80'}"],
     [(2, "itself")]),
    ("local", ["{kind: esp32, ids: 131, port: 'rfc2217://bench.lan:4000'}"], [(2, "cannot reach the twin")]),
    # These may be boards of `buoy simulate`: the file does not say.
    ("local", ["{kind: esp32, ids: 131, port: sim/ports/buoy-131}"], []),
    ("{kind: broker, host: 127.0.0.1}",
     ["{kind: esp32, ids: 131, port: 'rfc2217://127.0.0.1:4000?ign_set_control'}"], []),
    ("mqtt://192.168.1.10", [REAL, VIRTUAL], []),
    (
        "{kind: broker, host: localhost, username: u, tls: {ca: c, alpn: a}}",
        [VIRTUAL, REAL],
        [(2, "user name"), (2, "a certificate and a key"), (2, "ALPN"), (2, "the board itself")],
    ),
]  # fmt: skip


def write(folder: Path, target: str, boards: list[str]) -> Path:
    path = folder / "fleet.yaml"
    lines = ["fleet: rules", f"target: {target}", "run: {messages: 2, rate: 1/s}", "boards:"]
    path.write_text("\n".join([*lines, *(f"  - {board}" for board in boards)]) + "\n")
    assert yaml.safe_load(path.read_text())
    return path


def mistakes(path: Path, **options: str) -> list[tuple[int, str]]:
    try:
        load_fleet(path, Overrides(**options), connects=True)
    except ConfigurationError as error:
        return [(problem.line, problem.message) for problem in error.problems]
    return []


@pytest.mark.parametrize(("target", "boards", "expected"), CASES)
def test_every_rule_is_told_at_its_line_and_no_other(
    tmp_path: Path, target: str, boards: list[str], expected: list[tuple[int, str]]
) -> None:
    path = write(tmp_path, target, boards)
    found = mistakes(path)
    assert len(found) == len(expected), found
    for line, words in expected:
        assert any(at == line and words in message for at, message in found), (words, found)
    load_fleet(path)  # a command that does not connect boards takes it


@pytest.mark.parametrize(("ports", "told"), [("[sim/ports/*]", False), ("[/dev/ttyUSB*]", True)])
def test_a_board_named_by_its_mac_is_judged_by_the_ports_it_is_looked_for_on(
    tmp_path: Path, ports: str, told: bool
) -> None:
    path = write(tmp_path, "local", ["{kind: esp32, ids: 131, port: 'mac:24:0a:c4:00:00:80'}"])
    path.write_text(path.read_text() + f"bench: {{ports: {ports}}}\n")
    assert bool(mistakes(path)) is told


def test_a_file_without_target_names_the_line_of_the_boards(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(f"fleet: x\nrun: {{messages: 1, rate: 1/s}}\nboards:\n  - {VIRTUAL}\n  - {REAL}\n")
    ((line, message),) = mistakes(path)
    assert line == 5
    assert "cannot reach the twin" in message


def test_only_chosen_boards_and_the_chosen_target_count(tmp_path: Path) -> None:
    path = write(tmp_path, "mqtt://192.168.1.10", [VIRTUAL, REAL])
    assert mistakes(path) == []
    ((line, message),) = mistakes(path, target="local")
    assert (line, "cannot reach the twin" in message) == (0, True)
    assert mistakes(path, target="local", boards="100-110") == []
