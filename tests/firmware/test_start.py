"""Which program a board starts after an installation, whatever became of the new one. Run by MicroPython."""

import random
import subprocess
from binascii import crc32
from pathlib import Path

import pytest

from buoyfleet.boards.program_file import SWITCH, pack_program, program_path, switch_to
from buoyfleet.model.places import FILES

BEGIN = """
import sys
sys.path.insert(0, %r)
from start import begin
kept = begin()
import buoy.esp32_board
print(buoy.esp32_board.NAME, "new" if kept else "proved")
if kept and %r:
    kept()
"""


@pytest.fixture
def board(micropython: str, tmp_path: Path):
    """Files of a board, and what starts on it."""

    class Board:
        folder = tmp_path

        def put(self, version: str, code: str | None = None) -> None:
            code = f"NAME = {version!r}\n" if code is None else code
            # Source in the place of a compiled module: as the last of a file it ends where the file ends.
            file = pack_program({"buoy/esp32_board.py": code.encode()})
            (tmp_path / program_path(version)).write_bytes(file)

        def switch(self, content: str) -> None:
            (tmp_path / SWITCH).write_text(content)

        def words(self) -> list[str]:
            return (tmp_path / SWITCH).read_text().split()

        def start(self, prove: bool = False) -> str:
            done = subprocess.run(
                [micropython, "-c", BEGIN % (str(FILES / "firmware"), prove)],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=100,
            )
            return done.stdout.strip().splitlines()[-1] if done.returncode == 0 else done.stderr + done.stdout

    return Board()


def test_the_program_that_the_switch_names_is_started(board):
    board.put("1.0.0+aa")
    board.put("1.0.0+bb")
    board.switch("1.0.0+bb 1.0.0+aa")
    assert board.start() == "1.0.0+bb proved"
    board.switch("1.0.0+aa -")
    assert board.start() == "1.0.0+aa proved"


def test_a_new_program_that_proves_itself_stays(board):
    board.put("1.0.0+aa")
    board.put("1.0.0+bb")
    board.switch(switch_to("1.0.0+bb", "1.0.0+aa").decode())
    assert board.start(prove=True) == "1.0.0+bb new"
    assert board.words() == ["1.0.0+bb", "1.0.0+aa"]
    assert board.start() == "1.0.0+bb proved"


def test_after_three_starts_without_proof_the_old_program_comes_back(board):
    board.put("1.0.0+aa")
    board.put("1.0.0+bb", "raise MemoryError\n")
    board.switch(switch_to("1.0.0+bb", "1.0.0+aa").decode())
    for _ in range(3):
        assert "MemoryError" in board.start()
    assert board.start() == "1.0.0+aa proved"
    assert board.words() == ["1.0.0+aa", "1.0.0+bb"]


def test_a_new_program_without_one_before_is_tried_for_ever(board):
    board.put("1.0.0+aa")
    board.switch(switch_to("1.0.0+aa", "").decode())
    for _ in range(5):
        assert board.start() == "1.0.0+aa new"


@pytest.mark.parametrize("content", [b"", b"BUO1", b"BUO1\0\0", b"BUO1\xff\xff", b"\x00" * 100])
def test_a_program_file_that_is_damaged_or_missing_is_passed_over(board, content):
    board.put("1.0.0+aa")
    board.switch("1.0.0+bb 1.0.0+aa")
    (board.folder / program_path("1.0.0+bb")).write_bytes(content)
    assert board.start() == "1.0.0+aa proved"
    (board.folder / program_path("1.0.0+bb")).unlink()
    board.switch("1.0.0+bb 1.0.0+aa")
    assert board.start() == "1.0.0+aa proved"


@pytest.mark.parametrize("text", [None, "", "1.0.0+gone -"])
def test_without_a_switch_the_program_that_is_there_is_started(board, text):
    board.put("1.0.0+aa")
    if text is not None:
        board.switch(text)
    assert board.start() == "1.0.0+aa proved"


def test_two_paths_with_one_key_are_refused_when_the_program_is_made():
    names: dict[int, str] = {}
    draw = random.Random(1)
    for _ in range(100_000):
        name = draw.randbytes(8).hex()
        key = crc32(f"/{name}".encode()) & 0xFFFFFF
        if key in names:
            with pytest.raises(ValueError, match="key of another"):
                pack_program({names[key]: b"1", name: b"2"})
            return
        names[key] = name
    raise AssertionError("no two such paths")
