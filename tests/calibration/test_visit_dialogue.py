"""A visit at a real pseudo-terminal: what is typed and seen, and Ctrl-C, after which it goes on."""

import sys
from pathlib import Path

import pexpect
import pytest

PROGRAM = Path(__file__).resolve().parent / "visit_program.py"
READY = "q to give up: "


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a visit to pH at a pseudo-terminal, in an empty folder; all end with the test."""
    monkeypatch.chdir(tmp_path)
    children = []

    def spawn():
        child = pexpect.spawn(
            sys.executable, [str(PROGRAM), "ph"], encoding="utf-8", dimensions=(50, 110), timeout=200
        )
        children.append(child)
        return child

    yield spawn
    for child in children:
        child.close(force=True)


@pytest.mark.soak
def test_a_visit_stopped_by_ctrl_c_goes_on_to_its_rating(start):
    first = start()
    first.expect("as found")
    first.expect(READY)
    first.sendline("")
    first.expect("meter 4 shows")
    first.sendline("7,8")
    first.expect("cleaned")
    first.expect(READY)
    first.sendintr()
    first.expect("goes on with it")
    first.expect(pexpect.EOF)
    first.close()
    assert first.exitstatus == 130
    again = start()
    again.expect("goes on: 1 readings")
    again.expect("cleaned")
    again.expect(READY)
    again.sendline("")
    again.expect("meter 4 shows")
    again.sendline("7.8")
    for title in ("pH 7.00 buffer", "pH 10.01 buffer"):
        again.expect(title)
        again.expect(READY)
        again.sendline("")
    again.expect("as it is left")
    again.expect(READY)
    again.sendline("")
    again.expect("meter 4 shows")
    again.sendline("7.8")
    again.expect("pH: (excellent|good)")
    again.expect(pexpect.EOF)
    again.close()
    assert again.exitstatus == 0
