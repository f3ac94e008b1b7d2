"""The stages of the pipeline as a picture: boxes with what went in and out, arrows in between."""

from dataclasses import dataclass

from markupsafe import Markup

from buoyfleet.model.result import StageResult
from buoyfleet.report import figures
from buoyfleet.report.svg import element, number, picture, text

_BOX_W, _BOX_H = 124.0, 92.0
_GAP_X, _GAP_Y = 22.0, 18.0
_MARGIN = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage stands; `parent` is the index of the stage that feeds it."""

    stage: StageResult
    parent: int | None
    column: int
    lane: int
    """0 is the lane of the long way; stores that end a branch stand above it."""


def places(stages: list[StageResult], stores: frozenset[str]) -> list[Place]:
    """Lay out stages given in the order of the way: a store that is not last ends a branch of its own."""
    found: list[Place] = []
    through: int | None = None
    taken: set[tuple[int, int]] = set()
    for index, stage in enumerate(stages):
        column = 0 if through is None else found[through].column + 1
        ends_here = stage.name in stores and index < len(stages) - 1
        lane = 0
        while ends_here and ((column, lane) in taken or lane == 0):
            lane += 1
        taken.add((column, lane))
        found.append(Place(stage, through, column, lane))
        if not ends_here:
            through = index
    return found


def flow_chart(stages: list[StageResult], stores: frozenset[str]) -> Markup:
    """The picture of all stages."""
    laid = places(stages, stores)
    lanes = max(place.lane for place in laid) + 1
    columns = max(place.column for place in laid) + 1

    def corner(place: Place) -> tuple[float, float]:
        x = _MARGIN + place.column * (_BOX_W + _GAP_X)
        return x, _MARGIN + (lanes - 1 - place.lane) * (_BOX_H + _GAP_Y)

    parts: list[Markup] = []
    for place in laid:
        if place.parent is not None:
            parts += _arrow(corner(laid[place.parent]), corner(place))
    for place in laid:
        parts += _box(place.stage, *corner(place))
    width = columns * (_BOX_W + _GAP_X) - _GAP_X + 2 * _MARGIN
    height = lanes * (_BOX_H + _GAP_Y) - _GAP_Y + 2 * _MARGIN
    return picture(width, height, "Stages from the broker to the stores", parts)


def _arrow(source: tuple[float, float], target: tuple[float, float]) -> list[Markup]:
    x1, y1 = source[0] + _BOX_W, source[1] + _BOX_H / 2
    x2, y2 = target[0] - 5, target[1] + _BOX_H / 2
    half = (x2 - x1) / 2
    curve = " ".join(number(value) for value in (x1 + half, y1, x1 + half, y2, x2, y2))
    head = f"M{number(x2 - 1)} {number(y2 - 4)}l6 4l-6 4z"
    return [
        element("path", d=f"M{number(x1)} {number(y1)}C{curve}", class_="arrow"),
        element("path", d=head, class_="head"),
    ]


def _box(stage: StageResult, x: float, y: float) -> list[Markup]:
    rejected = sum(stage.rejected.values())
    state = "bad" if rejected else "warn" if stage.waiting else "good"
    reasons = "; ".join(f"{reason}: {figures.count(n)}" for reason, n in stage.rejected.items())
    title = element("title", f"{stage.name}, in {stage.unit}{': rejected ' + reasons if reasons else ''}")
    parts = [element("rect", title, x=x, y=y, width=_BOX_W, height=_BOX_H, rx=6, class_=f"stage {state}")]
    parts.append(text(x + 10, y + 19, _shortened(stage.name), class_="name"))
    lines = [("in", stage.entered, ""), ("out", stage.left, "")]
    if rejected:
        lines.append(("rejected", rejected, "bad"))
    if stage.waiting:
        lines.append(("waiting", stage.waiting, "warn"))
    for index, (name, value, tone) in enumerate(lines):
        line = y + 36 + index * 15
        parts.append(text(x + 10, line, name, class_=f"axis {tone}".strip()))
        shown = figures.count(value)
        parts.append(text(x + _BOX_W - 10, line, shown, anchor="end", class_=f"value {tone}".strip()))
    if len(lines) < 4:
        parts.append(text(x + 10, y + _BOX_H - 9, _shortened(stage.unit), class_="unit"))
    return parts


def _shortened(name: str) -> str:
    return name if len(name) <= 15 else f"{name[:14]}…"
