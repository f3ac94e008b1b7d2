"""What docs/sensors.md and `buoy sensors` say is what the code does."""

import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from buoyfleet.cli.sensors import sensors
from sensors import catalog, flags, pins
from sensors.build import make_driver
from sensors.options import defaults
from sensors.parts import PARTS


@pytest.fixture
def tables(project_root: Path) -> dict[str, list[list[str]]]:
    """Tables of the document by heading, rows of cells without the header."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in (project_root / "docs" / "sensors.md").read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("|") and not line.startswith("|---"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return {heading: rows[1:] for heading, rows in found.items()}


@pytest.fixture
def printed() -> str:
    return run()


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(sensors)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_flags_table_of_the_document_is_the_codes(tables: dict[str, list[list[str]]]) -> None:
    expected = [
        [name, flags.effect(flag), str(code or "–"), text or "–"] for flag, name, code, text in flags.TABLE
    ]
    assert tables["Flags"] == expected


def test_the_parts_table_of_the_document_is_the_catalogue(tables: dict[str, list[list[str]]]) -> None:
    rows = tables["Parts"]
    assert [row[0] for row in rows] == [part.key for part in PARTS]
    for row, part in zip(rows, PARTS, strict=True):
        assert row[1:4] == [part.name, part.bus, part.interface]
        assert row[4] == (catalog.UNITS[part.key] or "-")
        assert row[7] == f"{part.reading_ms} ms"
        if part.key != "liqlev":
            assert row[5] == f"{part.low:g} to {part.high:g}"
            numbers = [float(number) for number in re.findall(r"[\d.]+", row[6])]
            stated = [number for number in (part.absolute, part.relative * 100) if number]
            assert numbers == pytest.approx(stated)


def test_the_pins_of_the_document_are_the_default(tables: dict[str, list[list[str]]]) -> None:
    assert {row[0]: int(row[1]) for row in tables["Wiring"]} == pins.DEFAULT


def test_every_flag_has_a_driver_that_raises_it_in_the_document(tables: dict[str, list[list[str]]]) -> None:
    named = {row[2] for row in tables["What each driver detects"]}
    assert named == {row[1] for row in flags.TABLE} - {"ok"}


def test_every_setting_in_the_document_exists_and_every_setting_is_there(
    tables: dict[str, list[list[str]]],
) -> None:
    documented: dict[str, set[str]] = {key: set() for key in catalog.KEYS}
    groups = {"every": catalog.KEYS, "analog": ("do", "tds", "tbd", "wp")}
    for row in tables["Settings"]:
        keys = groups.get(row[0], tuple(key.strip() for key in row[0].split(",")))
        for key in keys:
            documented[key] |= {name.strip() for name in row[1].split(",")}
    for key in catalog.KEYS:
        assert documented[key] == set(defaults(key)) - {"pin", "tx", "rx"}, key


def test_the_command_lists_nine_sensors_with_their_pins(printed: str) -> None:
    for part in PARTS:
        line = next(line for line in printed.splitlines() if line.startswith(part.key + " "))
        assert part.name in line
        for gpio in part.pins():
            assert re.search(rf"\b{gpio}\b", line)
    for mode in catalog.MODES:
        assert mode in printed


def test_the_command_gives_the_same_as_json() -> None:
    documents = json.loads(run("--json"))
    assert [document["key"] for document in documents] == [part.key for part in PARTS]
    by_key = {document["key"]: document for document in documents}
    assert by_key["ec"]["pins"] == {"tx": 17, "rx": 16}
    assert by_key["ec"]["unit"] == "µS/cm"
    assert by_key["liqlev"]["type"] == "boolean"
    assert by_key["liqlev"]["range"] is None
    assert by_key["temp"]["range"] == [-2.0, 40.0]
    assert by_key["wf"]["modes"] == list(catalog.MODES)


def test_make_driver_is_what_gives_each_key_its_pins() -> None:
    with pytest.raises(Exception, match="no pin"):
        make_driver("wf", {}, pins={})
