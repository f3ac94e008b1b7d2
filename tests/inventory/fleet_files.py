"""Fleet files for the tests of this folder."""

import textwrap
from pathlib import Path

import pytest

from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.model.errors import ConfigurationError, Problem
from buoyfleet.model.fleet import Fleet

GOOD = """\
fleet: harbour
target: local
run:
  messages: 100
  rate: 10/s
boards:
  - kind: virtual
    ids: 100-103
"""


def text_of(*changes: tuple[str, str]) -> str:
    """GOOD with some of its text replaced."""
    text = GOOD
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text


def load(folder: Path, text: str, overrides: Overrides | None = None) -> Fleet:
    """Load a text as `fleet.yaml` of a folder."""
    path = folder / "fleet.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_fleet(path, overrides)


def problems_of(folder: Path, text: str, overrides: Overrides | None = None) -> list[Problem]:
    """What is wrong with a text."""
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text, overrides)
    return caught.value.problems


def lines_of(folder: Path, text: str, overrides: Overrides | None = None) -> list[str]:
    """What is wrong with a text, as printed in a pipe, without the folder."""
    error = ConfigurationError(problems_of(folder, text, overrides))
    return [line.removeprefix(f"{folder}/") for line in str(error).splitlines()]
