"""The pictures of a certificate: the signal of each point, and what the fit leaves."""

import io
from typing import TYPE_CHECKING, Any

from buoyfleet.calibration.record import Record, RecordedPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colour-blind safe (Okabe & Ito).
SIGNAL, MEAN, BAND, POINT = "#0072B2", "#D55E00", "#E69F00", "#009E73"
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "buoyfleet",
    "font.size": 8.0,
    "axes.linewidth": 0.6,
}
COLUMNS = 3


def signal_figure(record: Record) -> "Figure | None":
    """Every point's samples with the plateau that was taken; None if there are none."""
    points = [point for point in record.points if point.samples]
    if not points:
        return None
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(points))
    rows = -(-len(points) // columns)
    height = 2.1 * rows
    figure = Figure(figsize=(8.2, height))
    # Fixed margins: the layout engines take longer than all the drawing.
    figure.subplots_adjust(0.09, 0.42 / height, 0.99, 1 - 0.28 / height, wspace=0.38, hspace=0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, point in zip(grid.flat, points, strict=False):
        _signal(place, point, str(record.begin.get("raw_unit", "")))
    for place in list(grid.flat)[len(points) :]:
        place.set_axis_off()
    return figure


def _signal(axes: "Axes", point: RecordedPoint, unit: str) -> None:
    times = [sample.t_s for sample in point.samples]
    axes.plot(
        times, [sample.raw for sample in point.samples], ".-", color=SIGNAL, markersize=2, linewidth=0.7
    )
    axes.axhline(point.plateau.raw, color=MEAN, linewidth=0.8)
    if times:
        window = times[-1] - times[max(0, len(times) - point.plateau.count)]
        axes.axvspan(times[-1] - window, times[-1], color=BAND, alpha=0.15, linewidth=0)
    axes.set_title(point.title + (" (forced)" if point.forced else ""), fontsize=8)
    axes.set_xlabel("s")
    axes.set_ylabel(unit)
    axes.ticklabel_format(useOffset=False)


def residual_figure(record: Record) -> "Figure | None":
    """References over what was measured, and the residuals with the expanded uncertainty; None
    without a fit: through one point, or of states, no line goes.
    """
    fitted = record.fitted
    if fitted is None or not fitted.y_unit or len({one.measured for one in fitted.residuals}) < 2:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.2, 2.6))
    figure.subplots_adjust(0.09, 0.17, 0.98, 0.95, wspace=0.25)
    left, right = figure.subplots(1, 2)
    measured = [one.measured for one in fitted.residuals]
    reference = [one.reference for one in fitted.residuals]
    rest = [one.residual for one in fitted.residuals]
    order = sorted(range(len(measured)), key=measured.__getitem__)
    left.plot(
        [measured[i] for i in order],
        [reference[i] - rest[i] for i in order],
        "-",
        color=SIGNAL,
        linewidth=0.8,
        label="fit",
    )
    left.plot(measured, reference, "o", color=POINT, markersize=4, label="points")
    left.set_xlabel(fitted.x_unit)
    left.set_ylabel(fitted.y_unit)
    left.legend(frameon=False)
    right.axhline(0.0, color="#888888", linewidth=0.6)
    if fitted.unit == fitted.y_unit and fitted.components:
        right.axhspan(
            -fitted.uncertainty, fitted.uncertainty, color=BAND, alpha=0.15, linewidth=0, label="± U, k = 2"
        )
        right.legend(frameon=False)
    right.plot(reference, rest, "o", color=POINT, markersize=4)
    for one in fitted.residuals:
        right.annotate(
            one.step, (one.reference, one.residual), fontsize=7, xytext=(3, 3), textcoords="offset points"
        )
    right.set_xlabel(f"reference, {fitted.y_unit}")
    right.set_ylabel(f"residual, {fitted.y_unit}")
    right.margins(0.15)
    for axes in (left, right):
        axes.ticklabel_format(useOffset=False)
    return figure


def as_svg(figure: "Figure") -> str:
    """The picture for a page."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
