"""Measures per board as a heat map: a column per board, a row per measure, in bands that fit the page.

Cells that are complete are drawn as one bar per row; only what deviates gets a cell of its own, so that the
picture's size follows the losses and not the fleet.
"""

import math
from dataclasses import dataclass

from markupsafe import Markup

from buoyfleet.model.result import BoardResult
from buoyfleet.report import figures
from buoyfleet.report.svg import NARROW, WIDE, element, number, picture, text
from sensors.catalog import KEYS

_LABELS = 60.0
_BAND_GAP = 10.0
_BOARD_LABELS = 18.0
# (boards up to, boards in a band, height of a cell)
_SIZES = ((50, 50, 16.0), (400, 100, 12.0), (math.inf, 250, 12.0))
# A column in so many has its label, if labels then have room.
_LABEL_STEPS = (1, 2, 5, 10, 20, 25, 50)
_LABEL_WIDTH = 40.0
_MOST_COLUMNS = 5000
_MOST_WIDE = 24.0
# Share of the expected measures that are missing, up to → class.
_LEVELS = ((0.01, "m1"), (0.1, "m2"), (0.5, "m3"), (1.0, "m4"))


@dataclass(frozen=True, slots=True)
class Column:
    """One board, or neighbours taken together where there are thousands."""

    label: str
    expected: dict[str, int]
    found: dict[str, int]
    withheld: dict[str, int]


def heat_map(boards: list[BoardResult], store: str, full_width: float = WIDE) -> Markup:
    """The map of one store."""
    columns = _columns(boards, store)
    keys = measure_keys(boards)
    _, in_band, height = next(size for size in _SIZES if len(columns) <= size[0])
    in_band = min(in_band if full_width > NARROW else in_band // 2, len(columns))
    width = min((full_width - _LABELS) / in_band, _MOST_WIDE)
    band_height = height * len(keys) + _BOARD_LABELS + _BAND_GAP
    bands = [columns[start : start + in_band] for start in range(0, len(columns), in_band)]
    parts: list[Markup] = []
    for index, band in enumerate(bands):
        parts += _band(band, keys, index * band_height, width, height)
    label = f"Measures found in {store}, by board and measure"
    return picture(full_width, band_height * len(bands), label, parts)


def measure_keys(boards: list[BoardResult]) -> list[str]:
    """The nine measures that any board sent, in their own order, and foreign names after them."""
    sent = {key for board in boards for key in board.measures_expected}
    return [key for key in KEYS if key in sent] + sorted(sent - set(KEYS))


def level(expected: int, found: int, withheld: int = 0) -> str:
    """Class of a cell: `none` is not expected, `full` is complete, `over` is more than was sent, `withheld`
    is complete but for what the sensor gave no value for."""
    if withheld and found == expected - withheld:
        return "withheld"
    if found > expected:
        return "over"
    if expected == 0:
        return "none"
    if found == expected:
        return "full"
    missing = (expected - found) / expected
    return next(name for limit, name in _LEVELS if missing <= limit)


def _columns(boards: list[BoardResult], store: str) -> list[Column]:
    ordered = sorted(boards, key=lambda board: board.buoy_id)
    group = max(1, math.ceil(len(ordered) / _MOST_COLUMNS))
    columns = []
    for start in range(0, len(ordered), group):
        some = ordered[start : start + group]
        first, last = some[0].buoy_id, some[-1].buoy_id
        columns.append(
            Column(
                str(first) if first == last else f"{first}–{last}",
                _sum([board.measures_expected for board in some]),
                _sum([board.measures.get(store, {}) for board in some]),
                _sum([board.withheld for board in some]),
            )
        )
    return columns


def _sum(counts: list[dict[str, int]]) -> dict[str, int]:
    if len(counts) == 1:
        return counts[0]
    total: dict[str, int] = {}
    for count in counts:
        for key, value in count.items():
            total[key] = total.get(key, 0) + value
    return total


def _band(band: list[Column], keys: list[str], top: float, width: float, height: float) -> list[Markup]:
    parts = []
    step = next(step for step in _LABEL_STEPS if step * width >= _LABEL_WIDTH or step == _LABEL_STEPS[-1])
    for index in range(0, len(band), step):
        x = _LABELS + index * width
        parts.append(text(x, top + 12, band[index].label, class_="axis"))
    for row, key in enumerate(keys):
        y = top + _BOARD_LABELS + row * height
        parts.append(text(_LABELS - 8, y + height / 2 + 4, key, anchor="end", class_="axis"))
        parts += _row(band, key, y, width, height)
    if width >= 6:
        parts.append(_grid(len(band), len(keys), top + _BOARD_LABELS, width, height))
    return parts


def _row(band: list[Column], key: str, y: float, width: float, height: float) -> list[Markup]:
    parts: list[Markup] = []
    full_from: int | None = None
    for index, column in enumerate([*band, None]):
        expected = 0 if column is None else column.expected.get(key, 0)
        found = 0 if column is None else column.found.get(key, 0)
        withheld = 0 if column is None else column.withheld.get(key, 0)
        name = "end" if column is None else level(expected, found, withheld)
        if name == "full":
            full_from = index if full_from is None else full_from
            continue
        if full_from is not None:
            parts.append(_cell("full", full_from, index - full_from, y, width, height))
            full_from = None
        if column is not None and name != "none":
            words = f"{column.label} {key}: {figures.count(found)} of {figures.count(expected)}"
            words += f", {figures.count(withheld)} withheld" if withheld else ""
            parts.append(_cell(name, index, 1, y, width, height, words))
    return parts


def _cell(name: str, index: int, span: int, y: float, width: float, height: float, words: str = "") -> Markup:
    title = [element("title", words)] if words else []
    x = _LABELS + index * width
    return element("rect", *title, x=x, y=y, width=width * span, height=height, class_=name)


def _grid(columns: int, rows: int, top: float, width: float, height: float) -> Markup:
    right, bottom = _LABELS + columns * width, top + rows * height
    lines = [f"M{number(_LABELS + n * width)} {number(top)}V{number(bottom)}" for n in range(columns + 1)]
    lines += [f"M{number(_LABELS)} {number(top + n * height)}H{number(right)}" for n in range(rows + 1)]
    return element("path", d="".join(lines), class_="cells")
