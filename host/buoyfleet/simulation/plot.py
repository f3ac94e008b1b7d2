"""The nine series of a buoy in one picture: truth as lines, published readings as dots, withheld as ticks."""

from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buoyfleet.simulation.record import Reading, Record
from buoyfleet.simulation.water.scenario import Scenario
from buoyfleet.simulation.water.weather import DAY_S, LOCAL_OFFSET_S
from sensors import flags as quality
from sensors.catalog import BOOLEAN_KEYS, KEYS, NAMES, UNITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What belongs together stands together.
ORDER = ("temp", "do", "ph", "ec", "tds", "tbd", "wf", "wp", "liqlev")
# Colour-blind safe (Okabe & Ito); one colour for all readings, since every panel has a title.
_TRUE, _READ, _WITHHELD, _NIGHT, _EVENT = "#B4BCC4", "#0072B2", "#D55E00", "#F3F4F6", "#E69F00"
LOGARITHMIC_FROM = 30.0
"""A measure whose largest value is this many times its smallest gets a logarithmic axis."""
FORMATS = (".svg", ".pdf", ".png")


def plot(
    observed: Record, path: Path, title: str, subtitle: str = "", scenario: Scenario | None = None
) -> None:
    """Draw a record to a file; its suffix is one of `FORMATS`.

    Args:
        observed: at least two rows.
        path: of the picture.
        title: of the picture, in bold.
        subtitle: what it shows, in a few words, at the right.
        scenario: whose events are marked, if the record is of one.

    Raises:
        OSError: the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import date2num
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "buoyfleet",
        "font.size": 8.5,
        "axes.linewidth": 0.6,
    }
    with mpl.rc_context(settings):
        layout: Any = ConstrainedLayoutEngine(h_pad=0.02, hspace=0.01, rect=(0, 0, 0.995, 0.995))
        figure = Figure(figsize=(10.5, 13.2), layout=layout)
        FigureCanvasAgg(figure)
        keys = [key for key in dict.fromkeys((*ORDER, *KEYS)) if key in observed.rows[0]]
        ratios = [0.45 if key in BOOLEAN_KEYS else 1.0 for key in keys]
        panels = figure.subplots(len(keys), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
        # Days, as matplotlib counts them.
        to_days: Any = date2num
        start = float(to_days(observed.start))
        times = [start + at_s / DAY_S for at_s in observed.at_s]
        for panel, key in zip(panels, keys, strict=True):
            _nights(panel, times[0], times[-1])
            _draw(panel, key, times, observed.column(key))
        if scenario is not None:
            _events(panels, scenario, start, times[-1])
        _time_axis(panels[-1], times)
        figure.suptitle(title, x=0.008, ha="left", fontsize=10.5, fontweight="bold")
        figure.text(0.992, 0.998, subtitle, ha="right", va="top", fontsize=9.5, color="#444444")
        handles, labels = _legend()
        figure.legend(handles, labels, loc="outside lower right", ncols=len(labels), frameon=False)
        # A picture of the same water is the same file: no date in it.
        metadata: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(
            path.suffix, {}
        )
        figure.savefig(path, dpi=110, metadata=metadata)


def _draw(panel: "Axes", key: str, times: list[float], column: list[Reading]) -> None:
    true = [float("nan") if one.true is None else float(one.true) for one in column]
    read = [(t, float(one.value)) for t, one in zip(times, column, strict=True) if one.value is not None]
    withheld = [t for t, one in zip(times, column, strict=True) if one.value is None]
    # Readings stand on the truth: a wide pale line under small dots shows both, and where they part.
    style = "steps-post" if key in BOOLEAN_KEYS else "default"
    panel.plot(times, true, color=_TRUE, linewidth=2.6, drawstyle=style, solid_joinstyle="round", zorder=2)
    if read:
        size = 2.1 if len(column) > 400 else 3.4
        panel.plot(*zip(*read, strict=True), ".", color=_READ, markersize=size, markeredgewidth=0, zorder=3)
    if withheld:
        panel.plot(
            withheld, [0.03] * len(withheld), "|", color=_WITHHELD, markersize=5, markeredgewidth=0.7,
            transform=panel.get_xaxis_transform(), clip_on=False, zorder=4,
        )  # fmt: skip
    _value_axis(panel, key, [value for value in true if value == value] + [value for _, value in read])
    panel.set_title(_caption(key), loc="left", fontsize=8.5, pad=2.5)
    note = _note(column)
    if note:
        panel.set_title(note, loc="right", fontsize=7.5, pad=2.5, color=_WITHHELD)


def _caption(key: str) -> str:
    unit = UNITS[key]
    return f"{key}  {NAMES[key]}{f'  [{unit}]' if unit and unit != 'pH' else ''}"


def _value_axis(panel: "Axes", key: str, values: list[float]) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(length=2, width=0.6, labelsize=8)
    panel.margins(x=0.004, y=0.14)
    if key in BOOLEAN_KEYS:
        panel.set_ylim(-0.35, 1.35)
        panel.set_yticks([0, 1], ["dry", "wet"])
        return
    positive = [value for value in values if value > 0.0]
    if positive and len(positive) == len(values) and max(positive) > LOGARITHMIC_FROM * min(positive):
        from matplotlib.ticker import NullFormatter, StrMethodFormatter

        panel.set_yscale("log")
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
    else:
        panel.locator_params(axis="y", nbins=4)
    panel.grid(axis="y", color="#E3E6E8", linewidth=0.5, zorder=0)


def _note(column: list[Reading]) -> str:
    """`withheld 34 %: saturated-low` – what the red ticks mean."""
    withheld = [one for one in column if one.value is None]
    if not withheld:
        return ""
    reasons = [row[1] for row in quality.TABLE if row[0] and any(one.flags & row[0] for one in withheld)]
    return f"withheld {100 * len(withheld) / len(column):.0f} %: {', '.join(reasons)}"


def _nights(panel: "Axes", first: float, last: float) -> None:
    """Grey from 20 to 6 h solar time, so that daily swings can be read."""
    midnight = floor(first) - LOCAL_OFFSET_S / DAY_S - 1.0
    while midnight < last + 1.0:
        begin, end = max(first, midnight - 4.0 / 24.0), min(last, midnight + 6.0 / 24.0)
        if begin < end:
            panel.axvspan(begin, end, color=_NIGHT, linewidth=0, zorder=-1)
        midnight += 1.0


def _events(panels: Any, scenario: Scenario, start: float, last: float) -> None:
    """Dashed lines where something begins, named in the first panel."""
    named = [(rain.start_h, "rain") for rain in scenario.rains]
    named += [(gale.start_h, "gale") for gale in scenario.gales]
    named += [(spill.start_h, "run-off") for spill in scenario.spills]
    named += [(bloom.start_h, "bloom") for bloom in scenario.blooms]
    if scenario.beached_after_h is not None:
        named.append((scenario.beached_after_h, "ashore"))
    before: float | None = None
    drop = 1
    for hour, name in sorted(named):
        at = start + hour / 24.0
        if at > last:
            continue
        for panel in panels:
            panel.axvline(at, color=_EVENT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        # Names that would run into each other stand one under the other.
        crowded = before is not None and at - before < 0.06 * (last - start)
        drop = drop + 9 if crowded else 1
        before = at
        panels[0].annotate(
            name, (at, 1.0), xycoords=panels[0].get_xaxis_transform(), xytext=(2, -drop),
            textcoords="offset points", va="top", fontsize=7.5, color="#8A5A00",
        )  # fmt: skip


def _time_axis(panel: "Axes", times: list[float]) -> None:
    from matplotlib import dates

    make_locator: Any = dates.AutoDateLocator
    make_formatter: Any = dates.ConciseDateFormatter
    panel.xaxis_date()
    locator = make_locator(minticks=5, maxticks=12)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(make_formatter(locator))
    panel.set_xlim(times[0], times[-1])
    panel.set_xlabel("UTC; grey: night at the site")


def _legend() -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_TRUE, linewidth=2.6),
        Line2D([], [], color=_READ, marker=".", linestyle="", markersize=5),
        Line2D([], [], color=_WITHHELD, marker="|", linestyle="", markersize=7),
    ]
    return handles, ["true value", "published reading", "reading withheld"]
