"""Tests of tests/portable/ run on both interpreters, and each result stands at its own test."""

import shutil
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def portable(pytester: pytest.Pytester, project_root: Path) -> pytest.Pytester:
    """A copy of the collector in an empty project."""
    for name in ("conftest.py", "runner.py", "support.py"):
        target = pytester.path / "tests" / "portable" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project_root / "tests" / "portable" / name, target)
    shutil.copy(project_root / "tests" / "found_programs.py", pytester.path / "tests")
    (pytester.path / "tests" / "conftest.py").touch()
    (pytester.path / ".tools").symlink_to(project_root / ".tools")
    return pytester


def outcomes(portable: pytest.Pytester, source: str, *arguments: str) -> dict[str, str]:
    """Test name → passed or failed, and what was printed under the key `text`."""
    (portable.path / "tests" / "portable" / "test_sample.py").write_text(source)
    result = portable.runpytest_subprocess("-rA", "-p", "no:cacheprovider", *arguments)
    text = result.stdout.str()
    found = {"text": text}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("PASSED", "FAILED", "ERROR"):
            found[rest.split(" - ")[0].rsplit("::", 1)[-1]] = word.lower()
    return found


def test_each_interpreter_has_its_own_result(portable):
    source = """
import sys

def test_on_cpython_only():
    assert sys.implementation.name == "cpython"

def test_on_micropython_only():
    assert sys.implementation.name == "micropython"
"""
    found = outcomes(portable, source)
    assert found["test_on_cpython_only[cpython]"] == "passed"
    assert found["test_on_cpython_only[micropython]"] == "failed"
    assert found["test_on_micropython_only[cpython]"] == "failed"
    assert found["test_on_micropython_only[micropython]"] == "passed"


def test_a_failure_shows_the_lines_that_micropython_printed(portable):
    source = "def test_a():\n    print('seen', 6 * 7)\n    raise ValueError('odd')\n"
    found = outcomes(portable, source, "-k", "micropython")
    assert "seen 42" in found["text"]
    assert "ValueError: odd" in found["text"]
    assert "test_a[cpython]" not in found


def test_tests_after_a_crash_fail_and_say_so(portable):
    source = """
import os, sys

def test_before():
    pass

def test_crash():
    if sys.implementation.name == "micropython":
        raise SystemExit(9)

def test_later():
    pass
"""
    found = outcomes(portable, source)
    assert found["test_before[micropython]"] == "passed"
    assert found["test_crash[micropython]"] == "failed"
    assert found["test_later[micropython]"] == "failed"
    assert found["test_later[cpython]"] == "passed"
    assert "ended with code 9" in found["text"]


def test_a_hanging_file_is_ended_at_its_deadline(portable):
    source = """
import sys
TIMEOUT_S = 0.5

def test_hang():
    while sys.implementation.name == "micropython":
        pass
"""
    found = outcomes(portable, source)
    assert found["test_hang[micropython]"] == "failed"
    assert "did not end within 0.5 s" in found["text"]


def test_the_heap_is_as_small_as_the_file_asks(portable):
    source = """
import sys
HEAP_KB = 64

def test_large():
    if sys.implementation.name == "micropython":
        bytearray(200_000)
"""
    found = outcomes(portable, source)
    assert found["test_large[micropython]"] == "failed"
    assert "MemoryError" in found["text"]


def test_a_test_that_takes_fixtures_is_refused(portable):
    found = outcomes(portable, "def test_a(tmp_path):\n    pass\n")
    assert "take no arguments" in found["text"]


def test_files_a_test_writes_stay_out_of_the_tree(portable):
    source = """
import os

def test_write():
    assert os.listdir() == []
    with open("left", "w") as file:
        file.write("x")
"""
    found = outcomes(portable, source)
    assert found["test_write[cpython]"] == "passed"
    assert found["test_write[micropython]"] == "passed"
    assert not (portable.path / "left").exists()
