"""The examples of docs/library.md."""

import re
from pathlib import Path

PAGE = "docs/library.md"
ON_BOARDS = ("Commission boards", "Calibrate a sensor")
"""Headings of examples that need boards of their own; tests of the bench and of calibration run them."""


def examples(root: Path) -> dict[str, str]:
    """Heading → example, in the order of the page."""
    found = {}
    for section in re.split(r"^## ", (root / PAGE).read_text(), flags=re.MULTILINE)[1:]:
        (text,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        found[section.splitlines()[0]] = text
    return found


def run_example(root: Path, heading: str, changes: tuple[str, str] = ("", "")) -> None:
    """Run one, with a name in it replaced."""
    text = examples(root)[heading]
    exec(compile(text.replace(*changes) if changes[0] else text, PAGE, "exec"), {})
