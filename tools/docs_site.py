"""Hook of mkdocs: the page of all commands, made from their help. `make docs` runs it."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "host"))

from buoyfleet.cli.commands import root  # noqa: E402 - after the path
from buoyfleet.cli.table import JOBS  # noqa: E402

PAGE = "commands.md"


def on_files(files: Any, config: Any) -> Any:
    """Add the page to those that are files, for mkdocs."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=commands_page()))
    return files


def commands_page() -> str:
    """Every command with its help, by job, in Markdown."""
    commands = root().commands
    parts = [
        "# Commands\n\nMade from the help of the commands: `buoy COMMAND --help` prints the same. All take "
        "`--debug`, which shows a traceback in place of a message.\n"
    ]
    for job, names in JOBS.items():
        parts.append(f"## {job}\n")
        for name in names:
            parts += _help(commands[name], ["buoy", name])
    return "\n".join(parts)


def _help(command: Any, words: list[str]) -> Iterator[str]:
    text = command.get_help(command.make_context(words[-1], [], resilient_parsing=True))
    text = re.sub(r"^Usage: \S+", f"Usage: {' '.join(words)}", text.rstrip())
    yield f"### `{' '.join(words)}`\n\n```text\n{text}\n```\n"
    for name, one in getattr(command, "commands", {}).items():
        yield from _help(one, [*words, name])
