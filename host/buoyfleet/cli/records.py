"""`buoy records`: what was done to which board."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from buoyfleet.cli.options import BENCH, Folder

if TYPE_CHECKING:
    from buoyfleet.bench.records import Record


def records(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILTER]...", help="131, mac:…, failed, wiped, since=2026-11-01, thing=…"),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Only the last record of each board.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table with every figure.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, everything.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write to a file.")] = None,
    folder: Folder = BENCH,
) -> None:
    """List, filter and export the records of commissioned boards.

    \b
    buoy records                          all, oldest first
    buoy records 131                      one buoy's history
    buoy records since=2026-11-01 --csv --out november.csv
    """  # fmt: skip
    from buoyfleet.bench.folder import BenchFolder
    from buoyfleet.bench.records import as_csv as to_csv
    from buoyfleet.bench.records import matching
    from buoyfleet.cli.console import write_line
    from buoyfleet.model.board_names import mac_text

    found, damaged = BenchFolder(folder).records.read()
    for line in damaged:
        write_line(f"note: {line}", sys.stderr)
    chosen = list(matching(found, words or ()))
    if last:
        chosen = list({record.mac: record for record in chosen}.values())
    if as_csv:
        text = to_csv(chosen)
    elif as_json:
        text = "".join(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in chosen)
    else:
        rows = [
            f"{record.time:<20}  {_what(record):<22}  {'' if record.buoy is None else record.buoy:>6}  "
            f"{mac_text(record.mac)}  {record.thing:<14}  {record.firmware:<7}  {record.micropython:<7}  "
            f"{record.certificate[:12]:<12}  {record.operator}".rstrip()
            for record in chosen
        ]
        head = (
            f"{'time':<20}  {'what':<22}  {'buoy':>6}  {'MAC':<17}  {'thing':<14}  {'ours':<7}  "
            f"{'MicroPy':<7}  {'certificate':<12}  operator"
        )
        text = "\n".join([head, *rows]) + "\n" if rows else f"no records in {folder}\n"
    if out is not None:
        out.write_text(text, encoding="utf-8")
        write_line(f"{len(chosen)} records in {out}")
    else:
        sys.stdout.write(text)


def _what(record: "Record") -> str:
    if record.passed:
        return record.kind
    return f"FAILED at {record.self_test.get('failed', {}).get('step', record.kind)}"
