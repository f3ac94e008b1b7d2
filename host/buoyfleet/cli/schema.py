"""`buoy schema`: the format of a fleet file, for editors and for people."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from buoyfleet.model.errors import UsageError


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A reference page instead of JSON schema.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write to a file.")] = None,
) -> None:
    """Print the JSON schema of boards.yaml, by which editors complete and check it.

    \b
    buoy schema > boards.schema.json
    """  # fmt: skip
    import json

    from buoyfleet.inventory.reference import reference_page
    from buoyfleet.inventory.schema import fleet_schema

    text = reference_page() if markdown else json.dumps(fleet_schema(), indent=1) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the file cannot be written: {error.strerror}", where=str(out)) from None
