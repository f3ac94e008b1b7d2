"""`buoy docs`: the pages of docs/, which come with the package."""

import pydoc
import sys
from typing import Annotated

import typer


def docs(
    page: Annotated[str | None, typer.Argument(help="Page, e.g. twin; without one: the list.")] = None,
) -> None:
    """Read the documentation: what a fleet file, the bench, calibration, the twin and AWS are about.

    \b
    buoy docs                   the pages
    buoy docs twin              one of them
    buoy docs cloud | less
    """  # fmt: skip
    from buoyfleet.model.errors import UsageError
    from buoyfleet.model.places import FILES

    pages = {file.stem: file for file in sorted((FILES / "docs").glob("*.md"))}
    if page is None:
        width = max(map(len, pages))
        for name, file in pages.items():
            with file.open(encoding="utf-8") as lines:
                typer.echo(f"  {name:<{width}}  {lines.readline().removeprefix('# ').strip()}")
        return
    if page not in pages:
        raise UsageError(f"no page {page}", next_step="`buoy docs` lists the pages")
    text = pages[page].read_text(encoding="utf-8")
    if sys.stdout.isatty():
        pydoc.pager(text)
    else:
        typer.echo(text, nl=False)
