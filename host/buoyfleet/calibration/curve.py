"""A curve in a terminal, in Braille dots: two across and four down in each character."""

from collections.abc import Sequence

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_EMPTY = 0x2800


def curve(
    points: Sequence[tuple[float, float]], width: int, height: int, least_span: float = 0.0
) -> list[str]:
    """Lines of text, top first, of (x, y) points with rising x.

    Args:
        points: what to draw; neighbours are joined.
        width: characters.
        height: lines.
        least_span: of y, so that noise alone does not fill the picture.
    """
    low, high = span(points, least_span)
    if not points:
        return [" " * width] * height
    first, last = points[0][0], points[-1][0]
    cells = [[_EMPTY] * width for _ in range(height)]
    before: tuple[int, int] | None = None
    for x, y in points:
        column = round((x - first) / (last - first) * (2 * width - 1)) if last > first else 0
        row = round((high - y) / (high - low) * (4 * height - 1)) if high > low else 2 * height
        for at, down in _join(before, (column, row)):
            cells[down // 4][at // 2] |= _DOTS[down % 4][at % 2]
        before = (column, row)
    return ["".join(map(chr, line)) for line in cells]


def span(points: Sequence[tuple[float, float]], least_span: float = 0.0) -> tuple[float, float]:
    """Lowest and highest y of the picture."""
    if not points:
        return 0.0, 1.0
    low, high = min(y for _, y in points), max(y for _, y in points)
    missing = max(0.0, least_span - (high - low)) / 2.0
    return low - missing, high + missing


def _join(before: tuple[int, int] | None, now: tuple[int, int]) -> list[tuple[int, int]]:
    """Dots from one point to the next."""
    if before is None:
        return [now]
    steps = max(abs(now[0] - before[0]), abs(now[1] - before[1]), 1)
    return [
        (
            round(before[0] + (now[0] - before[0]) * i / steps),
            round(before[1] + (now[1] - before[1]) * i / steps),
        )
        for i in range(1, steps + 1)
    ]
