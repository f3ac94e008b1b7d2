"""A simulated board has the words of an ESP32 where this machine runs them, and else says that it has not."""

from types import SimpleNamespace

import pytest
from esp32_bench import mpremote

from buoyfleet.boards.kinds import remarks
from buoyfleet.simulation.esp32 import interpreter
from buoyfleet.simulation.esp32.simulator import Simulator

SIMULATED = SimpleNamespace(boards=[SimpleNamespace(kind="simulated", port="")])


@pytest.mark.skipif(not interpreter.NARROW.exists(), reason=interpreter.word_note())
def test_a_word_has_32_bits(tmp_path):
    with Simulator(tmp_path, [128]) as boards:
        look = "import sys; print(sys.maxsize)"
        assert mpremote(boards.path(128), "exec", look).strip() == str(2**31 - 1)


def test_a_fleet_of_simulated_boards_says_that_its_words_are_wider(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreter, "NARROW", tmp_path / "none")
    monkeypatch.setattr(interpreter, "WHY_NOT", tmp_path / "why")
    (tmp_path / "why").write_text("no mirror answers\n")
    (remark,) = remarks(SIMULATED)
    assert "64-bit words" in remark
    assert remark.endswith("no mirror answers")


def test_nothing_is_said_where_they_are_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreter, "NARROW", tmp_path)
    assert remarks(SIMULATED) == []
