"""Ten boards at once through the command line, by PTY and by RFC 2217, from bare chips to a verified run."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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

IDS = range(160, 170)
NETWORKED = (168, 169)
"""By RFC 2217."""
READY = {169: "1.24.0", 170: "1.25.0"}
"""Come with an interpreter, one of them with an older one; the others are bare."""
SPARE = 170
"""Not commissioned with the others."""
LOST = 167
"""Its cable is away at the end of a run; nobody else looks at it."""
pytestmark = pytest.mark.timeout(900)


def put(offset: int, data: bytes, board: Board) -> None:
    """Bytes into a board's flash, as if they had always been there."""
    board.flash.write(offset, data)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    everybody = [*IDS, SPARE]
    with Simulator(
        folder / "sim", everybody, flashed=False, access_points={SSID: WIFI_PASSWORD}
    ) as simulator:
        for buoy, version in READY.items():
            ready = synthetic_image(version, IMAGE_BYTES)
            simulator.with_board(buoy, partial(put, 0x1000, ready))
            simulator.power(buoy, True)
        for buoy in NETWORKED:
            (folder / "sim" / "ports" / f"buoy-{buoy}").unlink()  # reached by the network alone
        ports = {buoy: f"{folder}/sim/ports/buoy-{buoy}" for buoy in everybody}
        ports |= {buoy: simulator.url(buoy) for buoy in NETWORKED}
        write_synthetic(folder / "image.bin", size=IMAGE_BYTES)
        write_fleet(folder, everybody, ports)
        yield Place(folder, simulator)


@pytest.fixture(scope="module")
def commissioned(place):
    printed = place.buoy("commission", f"{IDS[0]}-{IDS[-1]}")
    assert len(re.findall(r"^✓ +1\d\d ", printed, re.MULTILINE)) == len(IDS)
    return place


def test_ten_boards_are_commissioned_at_once_and_again_nothing_is_missing(commissioned):
    again = commissioned.buoy("commission", f"{IDS[0]}-{IDS[-1]}", "--json")
    last = json.loads(again.splitlines()[-1])
    assert [board["done"] for board in last["boards"]] == [[]] * len(IDS)
    records = [json.loads(line) for line in commissioned.buoy("records", "--json").splitlines()]
    assert sorted(record["buoy"] for record in records) == list(IDS)
    for record in records:
        assert record["self_test"]["arrived"] is True
        assert len(record["self_test"]["sensors"]) == 9
        assert len(record["certificate"]) == 64
        assert (len(record["image"]), record["micropython"]) == (64, "1.25.0")


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
    for buoy in (IDS[0], IDS[1], LOST):
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
    after = json.loads(commissioned.buoy("commission", IDS[0], "--json").splitlines()[-1])
    assert after["boards"][0]["done"] == []
    commissioned.buoy("commission", LOST)


def test_ports_tells_what_runs_where_and_the_lines_for_the_fleet_file(commissioned):
    rows = [json.loads(line) for line in commissioned.buoy("ports", "sim/ports/*", "--json").splitlines()]
    found = {row["mac"]: (row["state"], row["buoy"]) for row in rows}
    assert found["240ac40000a0"] == ("firmware", 160)
    text = commissioned.buoy("ports", f"sim/ports/buoy-{IDS[0]}")
    assert f"firmware {installed_firmware().version} on MicroPython 1.25.0, buoy 160" in text
    assert "{kind: esp32, ids: [160], port: mac:24:0a:c4:00:00:a0}" in text


def an_exchanged_board_is_refused_with_both_sides_named_and_nothing_is_written(commissioned: Place) -> None:
    port = f"sim/ports/buoy-{SPARE}"
    before = commissioned.simulator.with_board(SPARE, lambda board: board.flash.md5(0, 4 << 20))
    text = commissioned.buoy("commission", f"{port}={IDS[0]}", code=4)
    assert "step check" in text
    assert "buoy 160 is 24:0a:c4:00:00:a0 (by record of" in text
    assert f"shall become 24:0a:c4:00:00:aa ({port})" in text
    assert "--reassign" in text
    assert not list((commissioned.folder / "bench" / "certs").glob("buoy-160.*.pem"))
    assert commissioned.simulator.with_board(SPARE, lambda board: board.flash.md5(0, 4 << 20)) == before
    twice = commissioned.buoy("id", f"sim/ports/buoy-{IDS[1]}", IDS[0], code=4)
    assert "is buoy 161 (by record" in twice


def files_go_to_a_board_and_back(commissioned: Place) -> None:
    port = f"sim/ports/buoy-{SPARE}"
    (commissioned.folder / "note.txt").write_text("by hand\n" * 500)
    commissioned.buoy("files", "put", port, "note.txt", "--to", "extra")
    commissioned.buoy("files", "get", port, "extra/note.txt", "back.txt")
    assert (commissioned.folder / "back.txt").read_text() == "by hand\n" * 500
    listing = commissioned.buoy("files", "ls", port, "extra")
    assert re.search(r"4000 +[0-9a-f]{12} +extra/note\.txt", listing)


def a_board_in_service_is_stopped_for_its_files_and_serves_on(commissioned: Place) -> None:
    port = f"sim/ports/buoy-{IDS[5]}"
    assert "keys stay on the board" in commissioned.buoy("files", "get", port, "certs/key.der", code=4)
    assert "buoy 165" in commissioned.buoy("id", port)


def ctrl_c_ends_in_an_orderly_way_with_a_report(commissioned: Place) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "commission", str(SPARE)],
        cwd=commissioned.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    killer = threading.Timer(60, process.kill)
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


def a_dry_run_tells_the_plan_and_changes_nothing(commissioned: Place) -> None:
    before = all_but_its_outbox(commissioned, 162)
    kept = [commissioned.folder / "bench" / "certs" / f"buoy-162.{kind}" for kind in ("pem", "key")]
    keys = [file.read_bytes() for file in kept]
    text = commissioned.buoy("commission", 162, "--dry-run", "--force", "all")
    assert re.findall(r"^    (\S+)", text, re.MULTILINE) == [
        "maintenance", "interpreter", "files", "keys", "identity", "restart", "self-test", "record"
    ]  # fmt: skip
    assert all_but_its_outbox(commissioned, 162) == before
    assert [file.read_bytes() for file in kept] == keys


def flashing_keeps_the_identity_and_skips_what_runs_already(commissioned: Place) -> None:
    port = f"sim/ports/buoy-{IDS[3]}"
    commissioned.buoy("flash", port, "--interpreter", "image.bin", "--force")
    assert f"buoy {IDS[3]}, thing buoy-{IDS[3]}, Wi-Fi set" in commissioned.buoy("id", port)
    (commissioned.folder / "broken.bin").write_bytes(b"\xe9" + bytes(70_000))
    refused = commissioned.buoy("flash", port, "--interpreter", "broken.bin", code=2)
    assert "broken.bin" in refused


def settings_are_read_changed_and_read_back(commissioned: Place) -> None:
    port = f"sim/ports/buoy-{IDS[4]}"
    assert commissioned.buoy("settings", "get", port, "qos", "topic_prefix").splitlines() == [
        "qos=1",
        'topic_prefix="aws/0"',
    ]
    assert "publish_interval_s=300" in commissioned.buoy("settings", "set", port, "publish_interval_s=300")
    assert "qos is 7" in commissioned.buoy("settings", "set", port, "qos=7", code=2)
    assert (
        commissioned.buoy("settings", "get", port, "publish_interval_s").strip() == "publish_interval_s=300"
    )


def a_person_at_the_console_has_commands_log_and_repl(commissioned: Place) -> None:
    session = pexpect.spawn(
        sys.executable,
        ["-m", "buoyfleet.cli.main", "console", f"sim/ports/buoy-{IDS[6]}"],
        cwd=str(commissioned.folder),
        env=environment(),
        encoding="utf-8",
        timeout=100,
    )
    session.expect("> ")
    session.sendline("identify")
    session.expect('"buoy": 166')
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
    assert '"wifi": true' in commissioned.buoy("console", f"sim/ports/buoy-{IDS[7]}", "health")


def monitor_interleaves_boards_with_names_and_writes_files(commissioned: Place) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "monitor", "sim/ports/buoy-160", "sim/ports/buoy-162", "--level", "info", "--out", "logs"],
        cwd=commissioned.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    killer = threading.Timer(60, process.kill)
    killer.start()
    assert process.stdout is not None
    assert process.stderr is not None
    assert "2 of 2 boards are heard" in process.stderr.readline()
    for buoy in (160, 162):
        commissioned.simulator.power(buoy, True)
    missing = {"buoy-160", "buoy-162"}
    for line in process.stdout:
        match = re.match(r"\d\d:\d\d:\d\d\.\d{3} (buoy-\d+) \| # info boot", line)
        missing -= {match[1]} if match else set()
        if not missing:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 0
    killer.cancel()
    assert missing == set()
    for buoy in (160, 162):
        assert "# info boot" in (commissioned.folder / "logs" / f"buoy-{buoy}.log").read_text()


def a_wiped_board_is_nobody_and_its_id_is_free(commissioned: Place) -> None:
    port = commissioned.simulator.url(169)
    commissioned.buoy("wipe", port, "--yes")
    text = commissioned.buoy("id", port)
    assert "no id yet" in text
    (wiped,) = [
        record for record in Records(commissioned.folder / "bench").read()[0] if record.kind == "wiped"
    ]
    assert wiped.buoy is None


def labels_are_made_from_records(commissioned: Place) -> None:
    assert "BUOY 163 240AC40000A3" in commissioned.buoy("label", 163, "--out", "163.pdf")
    assert (commissioned.folder / "163.pdf").read_bytes().startswith(b"%PDF")


SPARE_BOARD = (
    an_exchanged_board_is_refused_with_both_sides_named_and_nothing_is_written,
    files_go_to_a_board_and_back,
    ctrl_c_ends_in_an_orderly_way_with_a_report,
)
"""One after the other."""
WATCHED_BOARDS = (
    a_dry_run_tells_the_plan_and_changes_nothing,
    monitor_interleaves_boards_with_names_and_writes_files,
)
"""The same."""
OTHERS = (
    a_board_in_service_is_stopped_for_its_files_and_serves_on,
    flashing_keeps_the_identity_and_skips_what_runs_already,
    settings_are_read_changed_and_read_back,
    a_person_at_the_console_has_commands_log_and_repl,
    labels_are_made_from_records,
    a_wiped_board_is_nobody_and_its_id_is_free,
)
"""Each on a board of its own, all at once."""


@pytest.fixture(scope="module")
def carried_out(commissioned) -> dict[str, BaseException | None]:
    """Commands are used as by several people at one bench; name of what was done → how it failed."""
    found: dict[str, BaseException | None] = {}

    def carry_out(*parts: Callable[[Place], None]) -> None:
        for part in parts:
            try:
                part(commissioned)
                found[part.__name__] = None
            except BaseException as error:
                found[part.__name__] = error

    with ThreadPoolExecutor() as pool:
        list(
            pool.map(
                lambda parts: carry_out(*parts), [SPARE_BOARD, WATCHED_BOARDS, *((one,) for one in OTHERS)]
            )
        )
    return found


@pytest.mark.parametrize("name", [part.__name__ for part in (*SPARE_BOARD, *WATCHED_BOARDS, *OTHERS)])
def test_what_people_do_with_boards(carried_out, name):
    error = carried_out[name]
    if error is not None:
        raise error


def test_no_secret_is_in_any_file_or_output_but_keys_in_their_own(commissioned, carried_out):
    """Last: everything above has left its traces by now."""
    assert carried_out
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
