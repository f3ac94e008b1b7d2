"""A run of the tests ends in bounded time, names what kept it from ending, and has all other results."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from endings import WholeFiles
from xdist.remote import Producer

pytestmark = pytest.mark.timeout(600)

LIMIT_S = 1.0
END_S = 100.0
"""A loaded machine starts workers slowly; what is looked for never ends."""

QUICK = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_quick(number):
    pass
"""
BROKEN = """
def test_broken():
    left, right = "apples", "pears"
    assert left == right
"""
# One file each.
OVERRUNS = {
    "test": """
import time
def test_before(): pass
def test_overruns(): time.sleep(3600)
def test_after(): pass
""",
    "fixture": """
import pytest, threading
@pytest.fixture
def never():
    threading.Event().wait()
def test_before(): pass
def test_overruns(never): pass
def test_after(): pass
""",
    "teardown": """
import pytest, threading
@pytest.fixture
def never():
    yield
    threading.Event().wait()
def test_before(): pass
def test_overruns(never): assert False
def test_after(): pass
""",
    "c_code": """
import collections, itertools
def test_before(): pass
def test_overruns():
    collections.deque(itertools.repeat(0), maxlen=0)
def test_after(): pass
""",
    "dies": """
import os
def test_overruns():
    os._exit(9)
""",
}


class Project:
    """A small project with this project's own configuration."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        (folder / "tests").mkdir()
        shutil.copy(root / "pyproject.toml", folder)
        shutil.copy(root / "tests" / "endings.py", folder / "tests")
        # As the project's own, without what makes it slow to start.
        self.write("conftest.py", "from endings import *")

    def write(self, name: str, text: str) -> None:
        (self.folder / "tests" / name).write_text(text)

    def run(self, *options: str) -> tuple[int, str]:
        """Exit code, and what was printed."""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *options]
        done = subprocess.run(
            [*command, "--timeout", str(LIMIT_S), "-o", f"timeout_grace={LIMIT_S}"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=END_S,
        )
        return done.returncode, done.stdout


@pytest.fixture
def project(tmp_path: Path, project_root: Path) -> Project:
    return Project(tmp_path, project_root)


def test_what_overruns_is_named_and_everything_else_is_run(project):
    for name, text in OVERRUNS.items():
        project.write(f"test_{name}.py", text)
    project.write("test_broken.py", BROKEN)
    project.write("test_quick.py", QUICK)
    code, out = project.run("-n", "3", "--dist", "loadfile")
    assert code == 1, out
    summary = out.partition("short test summary info")[2]
    for name in OVERRUNS:
        named = rf"^(FAILED|ERROR) tests/test_{name}.py::test_overruns"
        assert re.search(named, summary, re.MULTILINE), f"{name}\n{out}"
    assert "tests/test_broken.py::test_broken" in summary, out
    passed = 3 + sum(text.count("def test_") - 1 for text in OVERRUNS.values())
    assert f" {passed} passed" in summary, out
    assert out.index("AssertionError: assert 'apples' == 'pears'") < out.index("= FAILURES ="), out


class Worker:
    """In place of an xdist worker: it begins a test when it knows what comes after, a test or the end."""

    def __init__(self) -> None:
        self.shutting_down = False
        self.waiting: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def stands_still(self) -> bool:
        return len(self.waiting) == 1 and not self.shutting_down


@pytest.mark.parametrize("files", range(1, 5))
def test_a_worker_in_place_of_one_that_died_never_waits_with_a_single_test(files):
    """All that is left are files of one test, and whoever else there was has been told to end."""
    options = SimpleNamespace(loadscopereorder=False)
    config = SimpleNamespace(option=options, getvalue=lambda _: ["popen"])
    scheduler = WholeFiles(config, Producer("test", enabled=False))
    tests = [f"test_{number}.py::test_alone" for number in range(files)]
    first, second = Worker(), Worker()
    for worker in (first, second):
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, tests)
        scheduler.schedule()
        done: list[int] = []
        while worker.waiting and not worker.stands_still:
            done.append(worker.waiting[0])
            if worker is first:  # dies with the first
                assert scheduler.remove_node(first) == tests[0]
                break
            scheduler.mark_test_complete(worker, worker.waiting.pop(0))
    assert sorted(done) == list(range(1, files))
    assert second.shutting_down
    assert scheduler.tests_finished


@pytest.mark.soak
def test_the_place_is_shown_when_the_process_itself_has_to_be_ended(project):
    project.write("test_in_question.py", OVERRUNS["c_code"])
    code, out = project.run()
    assert code == 1, out
    assert re.search(r'File ".*test_in_question.py", line 5 in test_overruns', out), out


@pytest.mark.soak
def test_a_file_that_hangs_while_it_is_imported_is_named_and_ends_the_run(project):
    project.write("test_in_question.py", "import threading\nthreading.Event().wait()\n")
    code, out = project.run("-o", "standstill_limit=4")
    assert code == 2, out
    assert re.search(r'File ".*test_in_question.py", line 2 in <module>', out), out
    assert "no test has begun or ended for" in out
