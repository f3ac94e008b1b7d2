"""docs/calibration.md shows what the terminal shows."""

import pytest
from screens import PAGE, SCREENS, limits_table, screen

from host.calibration.procedures import PROCEDURES
from host.calibration.solutions import KINDS


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_as_it_is_now(page, name):
    assert f"<!-- screen: {name} -->\n```\n{screen(name)}```\n" in page, (
        "python tests/calibration/screens.py --write"
    )


def test_rules_limits_and_intervals_are_as_they_are_now(page):
    assert limits_table() in page, "python tests/calibration/screens.py --write"


def test_every_sensor_and_every_kind_of_bottle_is_on_the_page(page):
    for key in PROCEDURES:
        assert f"### {key}: " in page
    for kind in KINDS:
        assert f"`{kind}`" in page
