"""SVG by hand: elements with escaped attributes and round axis values. Colours are classes of report.css."""

import math
from collections.abc import Iterable

from markupsafe import Markup, escape

from buoyfleet.report.files import printable

WIDE, NARROW = 860.0, 400.0
"""Widths of a chart on a screen and on a phone, in units of which a letter is 10 high."""

Attribute = str | int | float | None


def element(name: str, *children: Markup | str, **attributes: Attribute) -> Markup:
    """`element("rect", class_="full", stroke_width=2)`; text children are escaped, None leaves one out."""
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            words.append(f'{key.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"')
    opening = " ".join(words)
    if not children:
        return Markup(f"<{opening}/>")
    inside = "".join(child if isinstance(child, Markup) else escape(printable(child)) for child in children)
    return Markup(f"<{opening}>{inside}</{name}>")


def picture(width: float, height: float, label: str, children: Iterable[Markup]) -> Markup:
    """An `<svg>` that scales with the page; `label` says in words what it shows."""
    body = Markup("").join(children)
    return element(
        "svg",
        body,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=label,
        width="100%",
    )


def text(x: float, y: float, content: str, *, anchor: str = "start", class_: str = "") -> Markup:
    """A label."""
    return element("text", content, x=x, y=y, text_anchor=anchor, class_=class_ or None)


def number(value: float) -> str:
    """Coordinates need no more than a tenth."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def path(points: Iterable[tuple[float, float]]) -> str:
    """Straight lines through points, as the attribute `d`."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def round_steps(largest: float, steps: int) -> list[float]:
    """Axis values 0, step, 2·step … to the first not below `largest`; steps are 1, 2 or 5 · 10ⁿ."""
    if largest <= 0:
        return [0.0, 1.0]
    raw = largest / steps
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.9999)
    return [step * index for index in range(math.ceil(largest / step - 1e-9) + 1)]


def _attribute(value: str | int | float) -> str:
    return number(value) if isinstance(value, float) else printable(str(value))
