"""What messages and help tell people to type or read exists for everybody, also without a checkout."""

import ast
import re
from pathlib import Path

import pytest

from buoyfleet.cli.commands import root
from buoyfleet.cli.main import invoke
from buoyfleet.cli.table import COMMANDS

IN_A_CHECKOUT_ONLY = {
    "a file of docs/ (say `buoy docs PAGE`)": re.compile(r"\bdocs/[\w-]+\.(md|json)"),
    "a folder of the checkout": re.compile(r"(?<![\w/])(\.tools|\.venv|benchmarks|tools|tests)/\w"),
}
NAMED = re.compile(r"(?:`|^    )buoy ([a-z]+)\b", re.MULTILINE)
PAGE = re.compile(r"buoy docs ([a-z][a-z0-9-]*)")


def texts(file: Path):
    """(line, text) of every string in a module, docstrings left out."""
    source = file.read_text()
    if not any(
        pattern.search(source) for pattern in (*IN_A_CHECKOUT_ONLY.values(), PAGE, NAMED, re.compile("make "))
    ):
        return
    tree = ast.parse(source)
    described = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
            yield node.lineno, node.value


def helps(command, path):
    """(words, help) of every command and group."""
    yield " ".join(path), command.get_help(command.make_context(path[-1], [], resilient_parsing=True))
    for name, one in getattr(command, "commands", {}).items():
        yield from helps(one, [*path, name])


@pytest.fixture(scope="module")
def said(project_root: Path) -> list[tuple[str, str]]:
    """(where, text) of all that is shown to people."""
    host = project_root / "host" / "buoyfleet"
    found = [
        (f"{file.relative_to(host)}:{line}", text)
        for file in sorted(host.rglob("*.py"))
        # What people see of it is a message of another module; this one says which command it is.
        if file != host / "model" / "places.py"
        for line, text in texts(file)
    ]
    found += list(helps(root(), ["buoy"]))
    files = [project_root / "boards.yaml", *sorted((project_root / "scenarios").glob("*.yaml"))]
    # Their first line is for editors; `buoy init` writes another.
    return found + [(file.name, file.read_text().split("\n", 1)[1]) for file in files]


def test_nobody_is_sent_to_a_makefile(said, project_root):
    targets = re.findall(r"^([a-z-]+):", (project_root / "Makefile").read_text(), re.MULTILINE)
    assert "setup" in targets
    typed = re.compile(rf"(?<![\w-])make ({'|'.join(targets)})\b")
    assert [where for where, text in said if typed.search(text)] == []


@pytest.mark.parametrize("what", IN_A_CHECKOUT_ONLY)
def test_nobody_is_sent_to(what, said):
    assert [(where, text) for where, text in said if IN_A_CHECKOUT_ONLY[what].search(text)] == []


def test_every_page_that_is_named_is_there(said, project_root):
    pages = {file.stem for file in (project_root / "docs").glob("*.md")}
    named = {page for _, text in said for page in PAGE.findall(text)}
    assert named
    assert named - pages == set()


def test_every_command_that_is_named_exists(said, project_root):
    pages = [project_root / "README.md", *(project_root / "docs").glob("*.md")]
    texts = [*said, *((page.name, page.read_text()) for page in pages)]
    named = {(where, command) for where, text in texts for command in NAMED.findall(text)}
    assert len(named) > 50
    assert {(where, command) for where, command in named if command not in COMMANDS} == set()


def test_the_pages_are_listed_and_printed(capsys, project_root):
    assert invoke(["docs"]) == 0
    listed = capsys.readouterr().out
    for file in (project_root / "docs").glob("*.md"):
        assert f"  {file.stem} " in listed
    assert invoke(["docs", "twin"]) == 0
    assert capsys.readouterr().out == (project_root / "docs" / "twin.md").read_text()
    assert invoke(["docs", "none"]) == 2
