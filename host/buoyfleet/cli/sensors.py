"""`buoy sensors`: the nine measures, the parts that take them, their pins, ranges and modes."""

import json
from typing import Annotated, Any

import typer

from sensors import catalog
from sensors.parts import PARTS, Part


def sensors(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    """List the nine sensors: part, bus, pins, unit, range, modes.

    \b
    buoy sensors
    buoy sensors --json
    """  # fmt: skip
    if as_json:
        typer.echo(json.dumps([_document(part) for part in PARTS], ensure_ascii=False, indent=2))
        return
    rows: list[tuple[str, ...]] = [("key", "measure", "part", "bus", "pins", "unit", "range", "accuracy")]
    rows += [_row(part) for part in PARTS]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    typer.echo(f"\nmodes of each: {', '.join(catalog.MODES)}")
    typer.echo(
        "pins: GPIO of an ESP32-WROOM-32 DevKit; settings, wiring and flags are in `buoy docs sensors`"
    )


def _row(part: Part) -> tuple[str, ...]:
    document = _document(part)
    pins = ", ".join(f"{name} {gpio}" for name, gpio in document["pins"].items())
    if len(document["pins"]) == 1:
        pins = str(next(iter(document["pins"].values())))
    return (
        part.key,
        str(document["measure"]),
        part.name,
        part.bus,
        pins,
        str(document["unit"]) or "-",
        "true, false" if document["range"] is None else f"{part.low:g} to {part.high:g}",
        _accuracy(part),
    )


def _accuracy(part: Part) -> str:
    terms = []
    if part.absolute:
        terms.append(f"{part.absolute:g}")
    if part.relative:
        terms.append(f"{part.relative * 100:g} %")
    return "±" + " or ".join(terms) if terms else "-"


def _document(part: Part) -> dict[str, Any]:
    boolean = part.key in catalog.BOOLEAN_KEYS
    names = [name.rpartition("_")[2] if "_" in name else "signal" for name in part.pin_names]
    return {
        "key": part.key,
        "measure": catalog.NAMES[part.key],
        "part": part.name,
        "bus": part.bus,
        "interface": part.interface,
        "pins": dict(zip(names, part.pins(), strict=True)),
        "unit": catalog.UNITS[part.key],
        "type": "boolean" if boolean else "float",
        "range": None if boolean else [part.low, part.high],
        "accuracy": None if boolean else {"absolute": part.absolute, "relative": part.relative},
        "reading_ms": part.reading_ms,
        "modes": list(catalog.MODES),
    }
