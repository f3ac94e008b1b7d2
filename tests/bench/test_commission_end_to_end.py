"""Boards at once through the command line, by PTY and by RFC 2217, from bare chips to a verified run.

Four of them in `make test`, ten in `make soak`.
"""

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pexpect
import pytest
from bench_place import PROGRAM, Place, environment
from bench_rig import IMAGE_BYTES, SSID, WIFI_PASSWORD, write_fleet
from cryptography.hazmat.primitives import serialization

from buoyfleet.bench.records import Records
from buoyfleet.boards.firmware_files import installed_firmware
from buoyfleet.simulation.esp32.board import Board
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import synthetic_image, write_synthetic

FIRST = 160
A, B, C = 160, 161, 162
"""On a cable of their own."""
SPARE = 170
"""Not commissioned with the others; comes with an interpreter."""
READY = {4: {C: "1.24.0", 163: "1.25.0"}, 10: {169: "1.24.0"}}
"""One by RFC 2217 takes most of a minute: `make test` writes less (tests/esp32/test_esp32_esptool.py)."""
LOST = C
"""Its cable is away at the end of a run."""
pytestmark = pytest.mark.timeout(900)


@dataclass
class Boards(Place):
    """The place, and which boards are commissioned there."""

    count: int

    @property
    def ids(self) -> range:
        """All of them but the spare one."""
        return range(FIRST, FIRST + self.count)

    @property
    def networked(self) -> tuple[int, ...]:
        """By RFC 2217."""
        return tuple(self.ids)[3:][-2:]

    @property
    def ready(self) -> dict[int, str]:
        """Boards that come with an interpreter, and its version; the others are bare."""
        return READY[self.count]


def put(offset: int, data: bytes, board: Board) -> None:
    """Bytes into a board's flash, as if they had always been there."""
    board.flash.write(offset, data)


@pytest.fixture(scope="module", params=[4, pytest.param(10, marks=pytest.mark.soak)])
def place(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    ids = range(FIRST, FIRST + request.param)
    everybody = [*ids, SPARE]
    with Simulator(
        folder / "sim", everybody, flashed=False, access_points={SSID: WIFI_PASSWORD}
    ) as simulator:
        boards = Boards(folder, simulator, request.param)
        for buoy, version in (boards.ready | {SPARE: "1.25.0"}).items():
            ready = synthetic_image(version, IMAGE_BYTES)
            simulator.with_board(buoy, partial(put, 0x1000, ready))
            simulator.power(buoy, True)
        for buoy in boards.networked:
            (folder / "sim" / "ports" / f"buoy-{buoy}").unlink()  # reached by the network alone
        ports = {buoy: f"{folder}/sim/ports/buoy-{buoy}" for buoy in everybody}
        ports |= {buoy: simulator.url(buoy) for buoy in boards.networked}
        write_synthetic(folder / "image.bin", size=IMAGE_BYTES)
        write_fleet(folder, everybody, ports)
        yield boards


@pytest.fixture(scope="module")
def commissioned(place):
    printed = place.buoy("commission", f"{place.ids[0]}-{place.ids[-1]}")
    assert len(re.findall(r"^✓ +1\d\d ", printed, re.MULTILINE)) == len(place.ids)
    return place


def test_boards_are_commissioned_at_once_and_again_nothing_is_missing(commissioned):
    ids = commissioned.ids
    again = commissioned.buoy("commission", f"{ids[0]}-{ids[-1]}", "--json")
    last = json.loads(again.splitlines()[-1])
    assert [board["done"] for board in last["boards"]] == [[]] * len(ids)
    records = [json.loads(line) for line in commissioned.buoy("records", "--json").splitlines()]
    assert sorted(record["buoy"] for record in records) == list(ids)
    for record in records:
        assert record["self_test"]["arrived"] is True
        assert len(record["self_test"]["sensors"]) == 9
        assert len(record["certificate"]) == 64
        assert record["micropython"] == "1.25.0"
        kept = commissioned.ready.get(record["buoy"]) == "1.25.0"
        assert len(record["image"]) == (0 if kept else 64)


def test_several_people_work_at_one_bench_at_once(commissioned):
    ports = {buoy: f"sim/ports/buoy-{buoy}" for buoy in commissioned.ids}
    ports |= {buoy: commissioned.simulator.url(buoy) for buoy in commissioned.networked}
    with ThreadPoolExecutor() as pool:
        named = pool.map(lambda port: commissioned.buoy("id", port), ports.values())
    for buoy, text in zip(ports, named, strict=True):
        assert f"buoy {buoy}" in text


@contextlib.contextmanager
def cable_lost(place: Place, buoy: int) -> Iterator[None]:
    """After its first messages nothing of a board's line is to be understood; it has a supply of its own."""
    over = threading.Event()

    def spoil() -> None:
        while not over.wait(0.05):
            for log in place.folder.glob(f"runs/*/logs/buoy-{buoy}.log"):
                if log.read_text().count('"what": "sent"') >= 4:
                    place.simulator.noise(buoy, 1.0)
                    return

    thread = threading.Thread(target=spoil)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        place.simulator.noise(buoy, 0.0)


def test_the_commissioned_boards_take_part_in_a_run_by_mac_with_mutual_tls(commissioned):
    lines = ["fleet: at-sea", "target: {kind: local, twin: {tls: {authority: bench/certs}}}"]
    lines += ["run: {messages: 20, rate: 5/s, start_spread: 200 ms}"]
    # A busy machine, which makes simulated boards late, is not the subject.
    lines += ["thresholds: [timestream.missing == 0, s3.missing == 0, send.dropped == 0]", "boards:"]
    for buoy in (A, B, LOST):
        mac = f"24:0a:c4:00:00:{buoy:02x}"
        lines.append(f"  - {{kind: simulated, ids: [{buoy}], port: 'mac:{mac}', sensors: counter}}")
    lines += ["bench:", "  ports: ['sim/ports/*']"]
    (commissioned.folder / "at-sea.yaml").write_text("\n".join(lines) + "\n")
    with cable_lost(commissioned, LOST):
        commissioned.buoy("run", "at-sea.yaml", "--quiet", "--out", "runs")
    (result,) = commissioned.folder.glob("runs/*at-sea/result.json")
    document = json.loads(result.read_text())
    found = {store["name"]: (store["expected"], store["found"]) for store in document["stores"]}
    assert found == {"timestream": (540, 540), "s3": (540, 540)}
    # What it still sent was asked for over MQTT, with the certificate of the witness.
    (told,) = (board for board in document["boards"] if board["buoy_id"] == LOST)
    assert (told["state"], told["sent"], told["acknowledged"]) == ("passed", 20, 20)
    assert any("came over MQTT" in error for error in told["errors"])
    # Afterwards the boards are what they were before; the one without a cable gets its settings back.
    after = json.loads(commissioned.buoy("commission", A, "--json").splitlines()[-1])
    assert after["boards"][0]["done"] == []
    commissioned.buoy("commission", LOST)


def test_ports_tells_what_runs_where_and_the_lines_for_the_fleet_file(commissioned):
    rows = [json.loads(line) for line in commissioned.buoy("ports", "sim/ports/*", "--json").splitlines()]
    found = {row["mac"]: (row["state"], row["buoy"]) for row in rows}
    assert found["240ac40000a0"] == ("firmware", 160)
    text = commissioned.buoy("ports", f"sim/ports/buoy-{A}")
    assert f"firmware {installed_firmware().version} on MicroPython 1.25.0, buoy 160" in text
    assert "{kind: esp32, ids: [160], port: mac:24:0a:c4:00:00:a0}" in text


def test_an_exchanged_board_is_refused_with_both_sides_named_and_nothing_is_written(commissioned):
    port = f"sim/ports/buoy-{SPARE}"
    before = commissioned.simulator.with_board(SPARE, lambda board: board.flash.md5(0, 4 << 20))
    text = commissioned.buoy("commission", f"{port}={A}", code=4)
    assert "step check" in text
    assert "buoy 160 is 24:0a:c4:00:00:a0 (by record of" in text
    assert f"it was asked for 24:0a:c4:00:00:aa ({port})" in text
    assert "--reassign" in text
    assert not list((commissioned.folder / "bench" / "certs").glob("buoy-160.*.pem"))
    assert commissioned.simulator.with_board(SPARE, lambda board: board.flash.md5(0, 4 << 20)) == before
    twice = commissioned.buoy("id", f"sim/ports/buoy-{B}", A, code=4)
    assert "is buoy 161 (by record" in twice


def test_files_go_to_a_board_and_back(commissioned):
    port = f"sim/ports/buoy-{SPARE}"
    (commissioned.folder / "note.txt").write_text("by hand\n" * 500)
    commissioned.buoy("files", "put", port, "note.txt", "--to", "extra")
    commissioned.buoy("files", "get", port, "extra/note.txt", "back.txt")
    assert (commissioned.folder / "back.txt").read_text() == "by hand\n" * 500
    listing = commissioned.buoy("files", "ls", port, "extra")
    assert re.search(r"4000 +[0-9a-f]{12} +extra/note\.txt", listing)


def test_a_board_in_service_is_stopped_for_its_files_and_serves_on(commissioned):
    port = f"sim/ports/buoy-{B}"
    assert "keys stay on the board" in commissioned.buoy("files", "get", port, "certs/key.der", code=4)
    assert f"buoy {B}" in commissioned.buoy("id", port)


def test_ctrl_c_ends_in_an_orderly_way_with_a_report(commissioned):
    process = subprocess.Popen(
        [*PROGRAM, "commission", str(SPARE)],
        cwd=commissioned.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    killer = threading.Timer(300, process.kill)
    killer.start()
    assert process.stderr is not None
    for line in process.stderr:
        if "files" in line:
            process.send_signal(signal.SIGINT)
            break
    out, _ = process.communicate()
    killer.cancel()
    assert process.returncode == 130, out
    assert "stopped by Ctrl-C" in out
    assert "the same command goes on from here" in out


def all_but_its_outbox(place: Place, buoy: int) -> tuple[bytes, str]:
    """Interpreter and identity of a board, which no file system holds, and what it says of itself.

    A board in service keeps messages in its file system, whatever a bench does.
    """
    digest = place.simulator.with_board(buoy, lambda board: board.flash.md5(0, 0x200000))
    return digest, place.buoy("settings", "get", f"sim/ports/buoy-{buoy}")


def test_a_dry_run_tells_the_plan_and_changes_nothing(commissioned):
    before = all_but_its_outbox(commissioned, C)
    kept = [commissioned.folder / "bench" / "certs" / f"buoy-{C}.{kind}" for kind in ("pem", "key")]
    keys = [file.read_bytes() for file in kept]
    text = commissioned.buoy("commission", C, "--dry-run", "--force", "all")
    assert re.findall(r"^    (\S+)", text, re.MULTILINE) == [
        "maintenance", "interpreter", "files", "keys", "identity", "restart", "self-test", "record"
    ]  # fmt: skip
    assert all_but_its_outbox(commissioned, C) == before
    assert [file.read_bytes() for file in kept] == keys


def test_flashing_keeps_the_identity_and_skips_what_runs_already(commissioned):
    port = f"sim/ports/buoy-{B}"
    commissioned.buoy("flash", port, "--interpreter", "image.bin", "--force")
    assert f"buoy {B}, thing buoy-{B}, Wi-Fi set" in commissioned.buoy("id", port)
    (commissioned.folder / "broken.bin").write_bytes(b"\xe9" + bytes(70_000))
    refused = commissioned.buoy("flash", port, "--interpreter", "broken.bin", code=2)
    assert "broken.bin" in refused


def test_settings_are_read_changed_and_read_back(commissioned):
    port = f"sim/ports/buoy-{C}"
    assert commissioned.buoy("settings", "get", port, "qos", "topic_prefix").splitlines() == [
        "qos=1",
        'topic_prefix="aws/0"',
    ]
    assert "publish_interval_s=300" in commissioned.buoy("settings", "set", port, "publish_interval_s=300")
    assert "qos is 7" in commissioned.buoy("settings", "set", port, "qos=7", code=2)
    assert (
        commissioned.buoy("settings", "get", port, "publish_interval_s").strip() == "publish_interval_s=300"
    )


def test_a_person_at_the_console_has_commands_log_and_repl(commissioned):
    session = pexpect.spawn(
        sys.executable,
        ["-m", "buoyfleet.cli.main", "console", f"sim/ports/buoy-{B}"],
        cwd=str(commissioned.folder),
        env=environment(),
        encoding="utf-8",
        timeout=100,
    )
    session.expect("> ")
    session.sendline("identify")
    session.expect(f'"buoy": {B}')
    session.sendline("log verbose")
    session.expect("level is 'verbose'")
    session.sendline("repl")
    session.expect(">>> ")
    session.send("40 + 2\r")
    session.expect("42")
    session.send("\x1d")
    session.expect("> ")
    session.sendline("quit")
    session.expect(pexpect.EOF)
    assert '"wifi": true' in commissioned.buoy("console", f"sim/ports/buoy-{A}", "health")


def test_monitor_interleaves_boards_with_names_and_writes_files(commissioned):
    process = subprocess.Popen(
        [
            *PROGRAM,
            "monitor",
            f"sim/ports/buoy-{A}",
            f"sim/ports/buoy-{C}",
            "--level",
            "info",
            "--out",
            "logs",
        ],
        cwd=commissioned.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    killer = threading.Timer(300, process.kill)
    killer.start()
    assert process.stdout is not None
    assert process.stderr is not None
    assert "2 of 2 boards are heard" in process.stderr.readline()
    for buoy in (A, C):
        commissioned.simulator.power(buoy, True)
    missing = {f"buoy-{A}", f"buoy-{C}"}
    for line in process.stdout:
        match = re.match(r"\d\d:\d\d:\d\d\.\d{3} (buoy-\d+) \| # info boot", line)
        missing -= {match[1]} if match else set()
        if not missing:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(300) == 0
    killer.cancel()
    assert missing == set()
    for buoy in (A, C):
        assert "# info boot" in (commissioned.folder / "logs" / f"buoy-{buoy}.log").read_text()


def test_a_wiped_board_is_nobody_and_its_id_is_free(commissioned):
    port = commissioned.simulator.url(commissioned.networked[-1])
    refused = commissioned.buoy("wipe", port, code=2)
    assert "nobody is there to agree" in refused
    assert "add --yes" in refused
    commissioned.buoy("wipe", port, "--yes")
    text = commissioned.buoy("id", port)
    assert "no id yet" in text
    (wiped,) = [
        record for record in Records(commissioned.folder / "bench").read()[0] if record.kind == "wiped"
    ]
    assert wiped.buoy is None


def test_labels_are_made_from_records(commissioned):
    assert "BUOY 162 240AC40000A2" in commissioned.buoy("label", C, "--out", "162.pdf")
    assert (commissioned.folder / "162.pdf").read_bytes().startswith(b"%PDF")


def test_no_secret_is_in_any_file_or_output_but_keys_in_their_own(commissioned):
    """Last: everything above has left its traces by now."""
    certificates = commissioned.folder / "bench" / "certs"
    secrets = [WIFI_PASSWORD.encode()]
    for file in certificates.glob("*.key"):
        assert file.stat().st_mode & 0o077 == 0
        text = file.read_bytes()
        secrets.append(b"".join(text.splitlines()[1:-1]))
        secrets.append(text.splitlines()[1])
        key = serialization.load_pem_private_key(text, None)
        number = key.private_numbers().private_value.to_bytes(32, "big")
        secrets += [number, number.hex().encode()]
    looked_at = 0
    for file in commissioned.folder.rglob("*"):
        # The boards' own flash holds what they need; ports are no files.
        if (
            not file.is_file()
            or file.suffix == ".key"
            or "sim" in file.relative_to(commissioned.folder).parts
        ):
            continue
        data = file.read_bytes()
        looked_at += 1
        assert not [secret for secret in secrets if secret in data], file
    assert looked_at > 30
