"""The nine measures, the same on the bench computer and on a board."""

from support import approx, raises

from sensors import catalog


def test_there_are_nine_measures_in_the_original_order():
    assert catalog.KEYS == ("do", "ec", "liqlev", "ph", "tds", "tbd", "wf", "wp", "temp")


def test_every_measure_has_a_unit_and_a_name():
    for key in catalog.KEYS:
        assert key in catalog.UNITS
        assert catalog.NAMES[key]


def test_only_the_liquid_level_is_a_boolean():
    assert catalog.BOOLEAN_KEYS == ("liqlev",)


def test_numbers_compare_approximately():
    assert 0.1 + 0.2 == approx(0.3)
    assert approx(0.3) == 0.1 + 0.2
    assert [1.0, 2.0000001] == approx([1, 2])
    assert 0.3001 != approx(0.3)
    assert 0.3001 == approx(0.3, abs=0.001)


def test_an_expected_error_must_come_with_its_text():
    with raises(ValueError, "half") as caught:
        raise ValueError("half a line")
    assert str(caught.value) == "half a line"
    with raises(AssertionError):
        with raises(ValueError):
            pass
    with raises(AssertionError), raises(ValueError, "other"):
        raise ValueError("half a line")
    with raises(KeyError):
        with raises(ValueError):
            raise KeyError("k")
