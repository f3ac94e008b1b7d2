"""Collects every test of this folder twice: `test[cpython]` in pytest, `test[micropython]` in a MicroPython.

A file here holds plain functions `test_*` without arguments and imports only what MicroPython has. All its
tests run in one MicroPython process, started when the first of them is due. Constants a file may set:
    HEAP_KB     heap of an ESP32 (32-bit words) to give the interpreter, scaled to the words of the Unix port;
                plenty if not set
    TIMEOUT_S   deadline of the whole MicroPython process, 200 s if not set
Both interpreters run each file in an empty working folder.
"""

import contextlib
import inspect
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from found_programs import find_program

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ROOMY_HEAP = "heapsize=32m"  # no limit for tests that do not ask for one
PATHS = (HERE, ROOT, ROOT / "firmware")
pytest.register_assert_rewrite("support")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> "PortableModule | None":
    """Files of this folder are collected by `PortableModule`."""
    if module_path.parent != HERE:
        return None
    return PortableModule.from_parent(parent, path=module_path)


class PortableModule(pytest.Module):
    """A test file for both interpreters."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Every `test_*` function as an item for CPython and one for MicroPython."""
        batch = Batch(self.path, getattr(self.obj, "HEAP_KB", None), getattr(self.obj, "TIMEOUT_S", 200.0))
        for found in super().collect():
            if not isinstance(found, pytest.Function):
                yield found
                continue
            name = found.name
            if inspect.signature(found.obj).parameters:
                raise self.CollectError(f"{name} takes fixtures; tests of {HERE.name}/ take no arguments")
            yield NativeItem.from_parent(self, name=f"{name}[cpython]", callobj=found.obj)
            yield MicroPythonItem.from_parent(self, name=f"{name}[micropython]", test=name, batch=batch)


class NativeItem(pytest.Function):
    """One test as run by this CPython."""

    def runtest(self) -> None:
        """Run it in an empty folder, as on MicroPython."""
        with contextlib.chdir(empty_folder(self)):
            super().runtest()


def empty_folder(item: pytest.Item) -> Path:
    """A folder of pytest's for the temporary files of one test or process."""
    factory: pytest.TempPathFactory = item.config._tmp_path_factory  # type: ignore[attr-defined]
    return factory.mktemp(item.path.stem)


class PortableFailure(Exception):
    """A test failed on MicroPython; the text is what it printed."""


class MicroPythonItem(pytest.Item):
    """One test as run by MicroPython."""

    def __init__(self, *, test: str, batch: "Batch", **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self.test = test
        self.batch = batch

    def runtest(self) -> None:
        """Run the file's tests if this is the first of them, then look up this one."""
        if not self.batch.ran:
            chosen = [
                item.test
                for item in self.session.items
                if isinstance(item, MicroPythonItem) and item.batch is self.batch
            ]
            self.batch.run(chosen, empty_folder(self))
        self.batch.judge(self.test)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What the interpreter printed says it all."""
        if isinstance(excinfo.value, PortableFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the test stands."""
        return self.path, None, self.name


@dataclass
class Batch:
    """The MicroPython process of one file and what came of it."""

    file: Path
    heap_kb: int | None
    timeout_s: float
    ran: bool = False
    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    """Test → what it printed."""
    ending: str = ""
    """How the process ended and what it printed last, for tests it never reached."""

    def run(self, tests: list[str], folder: Path) -> None:
        """Run the named tests in one process."""
        self.ran = True
        heap = ["-X", f"heapsize={self.heap_kb}wk" if self.heap_kb else ROOMY_HEAP]
        command = [find_program("micropython"), *heap, HERE / "runner.py", self.file.stem, *tests]
        env = {**os.environ, "BUOY_PATH": ":".join(str(path) for path in PATHS)}
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self.timeout_s,
            )
            output, how = done.stdout, f"ended with code {done.returncode}"
        except subprocess.TimeoutExpired as error:
            output, how = error.stdout or b"", f"did not end within {self.timeout_s:g} s"
        text = output.decode(errors="replace")
        self._read(text)
        self.ending = f"MicroPython {how}; its last lines:\n" + "\n".join(text.splitlines()[-15:])

    def judge(self, test: str) -> None:
        """Raise what the test's line says."""
        if test in self.passed:
            return
        raise PortableFailure(self.failed.get(test, f"{test} has no result: {self.ending}"))

    def _read(self, text: str) -> None:
        printed: list[str] = []
        for line in text.splitlines():
            match = re.match(r"@(BEGIN|PASS|FAIL) (\w+)$", line)
            if match is None:
                printed.append(line)
            elif match[1] == "BEGIN":
                printed = []
            elif match[1] == "PASS":
                self.passed.add(match[2])
            else:
                self.failed[match[2]] = "\n".join(printed)
