"""CPU and memory of a command's processes, by the part of the tool that each of them is."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from _bench import ROOT

_LOOK_S = 0.05
_PARTS = (
    ("boards.pack", "pack"),
    ("cloud.local.server", "twin"),
    ("lambda_worker", "handler"),
)
"""What a command line holds → the part, of older versions too; all others are the main process."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Usage:
    """What a command took."""

    wall_s: float = 0.0
    exit_code: int = 0
    output: str = ""
    cpu_s: dict[str, float] = field(default_factory=dict)
    """Part → user and system time of its processes."""
    peak_mb: dict[str, float] = field(default_factory=dict)
    """Part → most resident memory of one of its processes."""


def watch(
    command: Sequence[str], cores: set[int] | None = None, timeout_s: float = 1800, root: Path = ROOT
) -> Usage:
    """Run a command from a tree's folder, and look at its processes until it ends (Linux: /proc)."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=None if cores is None else lambda: os.sched_setaffinity(0, cores),
    )
    found: dict[int, tuple[str, float, float]] = {}
    ended = threading.Event()
    looking = threading.Thread(target=_look, args=(process.pid, found, ended))
    looking.start()
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.terminate()
        output, _ = process.communicate()
    finally:
        ended.set()
        looking.join()
    usage = Usage(time.monotonic() - began, process.returncode, output)
    for part, cpu_s, peak_mb in found.values():
        usage.cpu_s[part] = usage.cpu_s.get(part, 0.0) + cpu_s
        usage.peak_mb[part] = max(usage.peak_mb.get(part, 0.0), peak_mb)
    return usage


def _look(root: int, found: dict[int, tuple[str, float, float]], ended: threading.Event) -> None:
    while not ended.wait(_LOOK_S):
        for pid in _family(root):
            # A process may end at any moment.
            with contextlib.suppress(OSError, IndexError, ValueError):
                found[pid] = _sample(pid)


def _family(root: int) -> list[int]:
    """The process and all its descendants."""
    family = [root]
    for pid in family:
        with contextlib.suppress(OSError):
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                family += [int(child) for child in children.read_text().split()]
    return family


def _sample(pid: int) -> tuple[str, float, float]:
    """Part, CPU seconds, MB."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    part = next((part for text, part in _PARTS if text in command), "main")
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    status = Path(f"/proc/{pid}/status").read_text()
    peak_kb = int(status.partition("VmHWM:")[2].split()[0])
    return part, cpu_s, peak_kb / 1024


@contextlib.contextmanager
def twin_alone(**settings: object) -> Iterator[int]:
    """A twin in a process of its own, with settings of `TwinConfig`; gives its MQTT port."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({"folder": str(Path(folder) / "twin"), **settings}))
        with subprocess.Popen(
            [sys.executable, "-m", "buoyfleet.cloud.local.server", str(config)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield int(json.loads(process.stdout.readline())["port"])
            finally:
                process.stdin.close()
