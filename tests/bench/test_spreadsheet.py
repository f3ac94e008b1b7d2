"""What is exported is text in every spreadsheet, whichever separator it takes, and reads back as it was."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.model.spreadsheet import cell, csv_text

SIGNS = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}"
COMPUTED = re.compile(rf"\s*[{re.escape(SIGNS)}]")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "\r", "\n", "\u2028"])
@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", ["", " ", "\N{NO-BREAK SPACE} "])
def test_no_part_of_a_text_begins_as_a_formula(separator, sign, before):
    said = str(cell(f"{before}{sign}1{separator}{before}{sign}A0"))
    parts = said.split(separator)
    assert len(parts) == 2
    assert not any(COMPUTED.match(part) for part in parts)


@pytest.mark.parametrize("text", ["\tx", "\rx", "\nx"])
def test_a_text_does_not_begin_with_what_some_programs_skip(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-3, 1.5, None, True, "plain", "2026-07-30", "a=b", "x@y", "mac 24:0a"])
def test_what_no_spreadsheet_computes_stays_as_it_is(value):
    assert cell(value) is value or cell(value) == value


@given(st.lists(st.lists(st.text(alphabet=st.characters(codec="utf-8")), min_size=2, max_size=2)))
def test_cells_come_back_as_they_were_written(rows):
    read = list(csv.reader(io.StringIO(csv_text(rows), newline="")))
    assert read == [[cell(value) for value in row] for row in rows]


def test_names_of_columns_that_a_board_told_are_texts_too():
    assert csv_text([["=A1", "x"], [1, "y"]]) == '"\'=A1","x"\n1,"y"\n'
