"""docs/conformance.md is made from its table, and the table names tests that exist."""

import ast

import conformance
import pytest


def test_the_page_is_made_from_the_table(project_root):
    page = (project_root / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert page == conformance.page(), "python tests/hardware/conformance.py > docs/conformance.md"


@pytest.mark.parametrize("row", conformance.ROWS, ids=lambda row: row.test.split("::")[1])
def test_every_row_names_a_test_that_exists(row, project_root):
    file, function = row.test.split("::")
    tree = ast.parse((project_root / "tests" / file).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_a_board_prints_is_compared_with_the_range_of_its_row():
    row = next(row for row in conformance.ROWS if row.most == 2000)
    assert conformance.conforms(row, "2000")
    assert not conformance.conforms(row, "1970")
    assert not conformance.conforms(row, "OSError")
