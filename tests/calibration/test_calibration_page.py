"""docs/calibration.md shows what the terminal shows."""

import re

import pytest
from screens import PAGE, SCREENS, limits_table, screen

from buoyfleet.calibration.procedures import PROCEDURES
from buoyfleet.calibration.solutions import KINDS


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def shape(text):
    """The words: a millisecond more in the firmware changes the noise, and with it digits and curves."""
    lines = [line for line in text.splitlines() if "│" not in line]
    return [re.sub(r" +", " ", re.sub(r"[-+]?\d+(\.\d+)?", "#", line)) for line in lines]


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_as_it_is_now(page, name):
    match = re.search(rf"<!-- screen: {name} -->\n```\n(.*?)```\n", page, re.DOTALL)
    assert match is not None
    assert shape(match[1]) == shape(screen(name)), "python tests/calibration/screens.py --write"


def test_rules_limits_and_intervals_are_as_they_are_now(page):
    assert limits_table() in page, "python tests/calibration/screens.py --write"


def test_every_sensor_and_every_kind_of_bottle_is_on_the_page(page):
    for key in PROCEDURES:
        assert f"### {key}: " in page
    for kind in KINDS:
        assert f"`{kind}`" in page
