"""Programs that are sent to a board: MicroPython, kept small."""

import functools
import re
from pathlib import Path


@functools.cache
def program(name: str) -> str:
    """The text of one of them, without what only people read."""
    text = (Path(__file__).parent / f"{name}.py").read_text()
    text = re.sub(r'(?s)^.*?"""\n\n\n', "", text, count=1)
    lines = [
        re.sub(r"^( {4})+", lambda indent: " " * (len(indent[0]) // 4), line) for line in text.splitlines()
    ]
    return "\n".join(line for line in lines if line.strip())
