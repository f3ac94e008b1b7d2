"""Rate over time and acknowledgement latency, as SVG."""

import math

from markupsafe import Markup

from buoyfleet.model.result import Latency, LatencyPoint, LatencySeries, RatePoint
from buoyfleet.report import figures
from buoyfleet.report.svg import WIDE, element, path, picture, round_steps, text

_HEIGHT = 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 26.0, 12.0, 34.0
_POINT_WIDTH = 860.0 / 300
"""Least width of an interval."""
_LABEL_WIDTH = 100.0
_BAR, _ROW = 16.0, 30.0


def rate_chart(points: list[RatePoint], interval_s: float, full_width: float = WIDE) -> Markup:
    """Messages per second: planned dashed, sent as a line, acknowledged as an area."""
    points, interval_s = _thinned(points, interval_s, round(full_width / _POINT_WIDTH))
    end_s = points[-1].t_s + interval_s
    largest = max(max(point.planned, point.sent, point.acknowledged) for point in points) / interval_s
    levels = round_steps(largest, 4)
    inner_w, inner_h = full_width - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(t_s: float) -> float:
        return _LEFT + inner_w * t_s / end_s

    def y(rate: float) -> float:
        return _TOP + inner_h * (1 - rate / levels[-1])

    def outline(name: str) -> list[tuple[float, float]]:
        line: list[tuple[float, float]] = []
        for point in points:
            level = y(getattr(point, name) / interval_s)
            line += [(x(point.t_s), level), (x(point.t_s + interval_s), level)]
        return line

    parts = [
        _grid_line(
            y(level), figures.count(level) if levels[1] >= 1 else figures.significant(level), full_width
        )
        for level in levels
    ]
    for second in round_steps(end_s, round(full_width / _LABEL_WIDTH)):
        if second <= end_s * 1.0001:
            label = f"{figures.significant(second)} s"
            parts.append(text(x(second), _HEIGHT - 14, label, anchor="middle", class_="axis"))
    base = y(0)
    acknowledged = outline("acknowledged")
    area = [(acknowledged[0][0], base), *acknowledged, (acknowledged[-1][0], base)]
    parts.append(element("path", d=path(area) + "Z", class_="acknowledged"))
    parts.append(element("path", d=path(outline("sent")), class_="sent"))
    if any(point.planned for point in points):
        parts.append(element("path", d=path(outline("planned")), class_="planned"))
    for point in points:
        words = f"{figures.significant(point.t_s)} s: planned {point.planned}, sent {point.sent}, "
        title = element("title", f"{words}acknowledged {point.acknowledged}")
        width = x(point.t_s + interval_s) - x(point.t_s)
        parts.append(
            element("rect", title, x=x(point.t_s), y=_TOP, width=width, height=inner_h, class_="hit")
        )
    return picture(full_width, _HEIGHT, "Messages per second over the run", parts)


def _grid_line(y: float, label: str, full_width: float) -> Markup:
    line = element("line", x1=_LEFT, x2=full_width - _RIGHT, y1=y, y2=y, class_="grid")
    return line + text(_LEFT - 8, y + 4, label, anchor="end", class_="axis")


def _thinned(points: list[RatePoint], interval_s: float, most: int) -> tuple[list[RatePoint], float]:
    """Long runs: neighbours added up, so that no more than `most` are drawn."""
    group = math.ceil(len(points) / most)
    if group <= 1:
        return points, interval_s
    joined = []
    for start in range(0, len(points) - len(points) % group, group):
        some = points[start : start + group]
        joined.append(
            RatePoint(
                t_s=some[0].t_s,
                planned=sum(point.planned for point in some),
                sent=sum(point.sent for point in some),
                acknowledged=sum(point.acknowledged for point in some),
            )
        )
    return joined, interval_s * group


def latency_chart(latency: Latency, full_width: float = WIDE) -> Markup:
    """Percentiles as bars on a logarithmic axis."""
    rows = [
        ("50 %", latency.p50_ms),
        ("90 %", latency.p90_ms),
        ("99 %", latency.p99_ms),
        ("99.9 %", latency.p999_ms),
        ("slowest", latency.max_ms),
    ]
    positive = [value for _, value in rows if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    low, high = low - (low == math.log10(min(positive))), max(high, low + 1)
    height = _TOP + _ROW * len(rows) + _BOTTOM
    right = 90.0

    def x(value_ms: float) -> float:
        place = (math.log10(value_ms) - low) / (high - low) if value_ms > 0 else 0.0
        return _LEFT + (full_width - _LEFT - right) * max(place, 0.0)

    parts = []
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts.append(element("line", x1=at, x2=at, y1=_TOP, y2=height - _BOTTOM, class_="grid"))
        label = figures.milliseconds(10.0**power)
        parts.append(text(at, height - 14, label, anchor="middle", class_="axis"))
    for index, (name, value) in enumerate(rows):
        top = _TOP + _ROW * index + (_ROW - _BAR) / 2
        width = max(x(value) - _LEFT, 1.0)
        parts.append(text(_LEFT - 8, top + 12, name, anchor="end", class_="axis"))
        parts.append(element("rect", x=_LEFT, y=top, width=width, height=_BAR, rx=2, class_="bar"))
        parts.append(text(_LEFT + width + 6, top + 12, figures.milliseconds(value), class_="value"))
    return picture(full_width, height, "Acknowledgement latency by percentile", parts)


_SERIES_HEIGHT = 150.0


def latency_over_time(series: LatencySeries, end_s: float, full_width: float = WIDE) -> Markup:
    """p50, p95 and p99 of the messages planned in each interval, as dots and lines.

    Args:
        series: with at least one point.
        end_s: of the time axis, the same for all series of a run.
    """
    end_s = max(end_s, series.points[-1].t_s + series.interval_s)
    levels = round_steps(max(point.p99_ms for point in series.points), 3)
    inner_w, inner_h = full_width - _LEFT - _RIGHT, _SERIES_HEIGHT - _TOP - _BOTTOM

    def x(t_s: float) -> float:
        return _LEFT + inner_w * (t_s + series.interval_s / 2) / end_s

    def y(value_ms: float) -> float:
        return _TOP + inner_h * (1 - value_ms / levels[-1])

    parts = [_grid_line(y(level), figures.milliseconds(level), full_width) for level in levels]
    for second in round_steps(end_s, round(full_width / _LABEL_WIDTH)):
        if second <= end_s * 1.0001:
            at = _LEFT + inner_w * second / end_s
            label = f"{figures.significant(second)} s"
            parts.append(text(at, _SERIES_HEIGHT - 14, label, anchor="middle", class_="axis"))
    for name in ("p99", "p95", "p50"):
        for run in _unbroken(series):
            line = [(x(point.t_s), y(getattr(point, f"{name}_ms"))) for point in run]
            if len(line) == 1:
                parts.append(element("circle", cx=line[0][0], cy=line[0][1], r=2.5, class_=f"dot {name}"))
            else:
                parts.append(element("path", d=path(line), class_=name))
    for point in series.points:
        words = ", ".join(
            f"{name} {figures.milliseconds(getattr(point, f'{name}_ms'))}" for name in ("p50", "p95", "p99")
        )
        title = element(
            "title", f"{figures.significant(point.t_s)} s: {words}, {figures.plural(point.count, 'message')}"
        )
        width = inner_w * series.interval_s / end_s
        left = x(point.t_s) - width / 2
        parts.append(element("rect", title, x=left, y=_TOP, width=width, height=inner_h, class_="hit"))
    return picture(full_width, _SERIES_HEIGHT, f"Latency over the run: {series.name}", parts)


def _unbroken(series: LatencySeries) -> list[list[LatencyPoint]]:
    """The points in runs without an interval between them that has none."""
    runs: list[list[LatencyPoint]] = []
    for point in series.points:
        if runs and point.t_s - runs[-1][-1].t_s <= series.interval_s * 1.5:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs
