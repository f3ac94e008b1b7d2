"""`buoy label`: labels for buoys."""

import re
from pathlib import Path
from typing import Annotated

import typer

from buoyfleet.cli.options import BENCH, Folder
from buoyfleet.model.errors import UsageError


def label(
    boards: Annotated[list[str], typer.Argument(metavar="BOARD...", help="Ids or MACs, as recorded.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A .svg, .pdf or .png file, or a folder. [label-<id>.svg]"),
    ] = None,
    code: Annotated[str, typer.Option("--code", help="`qr` or `code128`.")] = "qr",
    size: Annotated[str, typer.Option("--size", help="Width x height in mm.")] = "50x25",
    mac: Annotated[str, typer.Option("--mac", help="MAC of a buoy that has no record.")] = "",
    folder: Folder = BENCH,
) -> None:
    """Draw labels with id and MAC as QR code or Code 128.

    \b
    buoy label 131                         label-131.svg
    buoy label 128 129 --out labels/       one file each
    buoy label 131 --code code128 --out 131.pdf --size 60x20
    """  # fmt: skip
    from buoyfleet.bench.folder import BenchFolder
    from buoyfleet.bench.labels import FORMATS, Label, LabelCode, write_label
    from buoyfleet.model.board_names import parse_name

    match = re.fullmatch(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)", size)
    if match is None:
        raise UsageError(f"--size {size!r}", next_step="width x height in mm, e.g. --size 50x25")
    kinds: dict[str, LabelCode] = {"qr": "qr", "code128": "code128"}
    if code not in kinds:
        raise UsageError(f"--code {code!r}", next_step="--code qr or --code code128")
    book = BenchFolder(folder).records.book()
    many = len(boards) > 1 or (out is not None and out.suffix.lower() not in FORMATS)
    for word in boards:
        name = parse_name(word)
        record = book.of_id(int(name.value)) if name.kind == "id" else book.of_mac(name.value)
        if record is not None and record.buoy is not None:
            made = Label(record.buoy, record.mac, record.thing)
        elif mac and name.kind == "id":
            made = Label(int(name.value), parse_name(mac).value)
        else:
            raise UsageError(
                f"no record of {word}",
                where=str(folder),
                next_step=f"buoy commission {word}, or give its MAC: --mac 24:0a:c4:00:00:80",
            )
        path = out or Path(f"label-{made.buoy}.svg")
        if many:
            path = (out or Path()) / f"label-{made.buoy}.svg"
            path.parent.mkdir(parents=True, exist_ok=True)
        write_label(made, path, kinds[code], float(match[1]), float(match[2]))
        typer.echo(f"{path}  {made.text}")
