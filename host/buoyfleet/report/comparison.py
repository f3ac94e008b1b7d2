"""A comparison of two runs where people type."""

from buoyfleet.model.comparison import Comparison, Figure, Side
from buoyfleet.report import figures
from buoyfleet.report.files import printable
from buoyfleet.report.page import Block, Columns, Heading, Sentence

_MOST_SETTINGS = 20
_VERDICT_TONES = {"passed": "good", "failed": "bad"}


def comparison_blocks(found: Comparison) -> list[Block]:
    """Everything that the terminal says of one comparison."""
    blocks: list[Block] = [_line("base ", found.base), _line("other", found.other)]
    blocks += _figures(found.figures)
    if found.causes:
        table = Columns(["store", "what", "cause", "base", "other"], 3)
        for cause in found.causes:
            tone = "bad" if cause.other > cause.base else "plain"
            table.rows.append(
                [
                    (printable(cause.store or "boards"), "plain"),
                    (printable(cause.kind), "plain"),
                    (printable(cause.cause), "plain"),
                    (figures.count(cause.base), "plain"),
                    (figures.count(cause.other), tone),
                ]
            )
        blocks += [Heading("Losses, in measures"), table]
    new = [error for error in found.other.errors if error not in found.base.errors]
    if new:
        blocks.append(Heading("Boards of the other run say, and those of the base do not"))
        blocks += [Sentence(printable(error), "plain", 2) for error in new]
    if found.settings:
        blocks.append(Heading("Settings that differ"))
        blocks += [
            Sentence(
                f"{printable(one.place)}: {printable(one.base) or 'not there'} → "
                f"{printable(one.other) or 'not there'}",
                "plain",
                2,
            )
            for one in found.settings[:_MOST_SETTINGS]
        ]
        if len(found.settings) > _MOST_SETTINGS:
            more = len(found.settings) - _MOST_SETTINGS
            blocks.append(Sentence(f"and {more} more; --json has all of them", "dim", 2))
    if found.judged:
        blocks.append(Heading("Conditions under which this fails"))
        blocks += [
            Sentence(
                f"{'✗' if one.fails else '✓'}  {printable(one.text)}   {printable(one.words)}",
                "bad" if one.fails else "good",
                2,
            )
            for one in found.judged
        ]
    return blocks + [Sentence(f"! {printable(note)}", "warn") for note in found.notes]


def _line(name: str, side: Side) -> Sentence:
    return Sentence(
        f"{name} {printable(side.run_id)}  {printable(side.verdict)}: {printable(side.sentence)} "
        f"{figures.plural(side.messages, 'message')}",
        _VERDICT_TONES.get(side.verdict, "warn"),
    )


def _figures(found: list[Figure]) -> list[Block]:
    """Those that changed, or that are not 0."""
    table = Columns(["metric", "base", "other", "ratio", "95 % band"], 1)
    for figure in found:
        if not figure.base and not figure.other and figure.base == figure.other:
            continue
        table.rows.append(
            [
                (figure.metric, "plain"),
                (figures.measured(figure.base, figure.unit), "plain"),
                (figures.measured(figure.other, figure.unit), "plain"),
                (_ratio(figure), "plain"),
                (_band(figure), "dim"),
            ]
        )
    return [Heading("Metrics"), table] if table.rows else []


def _ratio(figure: Figure) -> str:
    ratio = figure.ratio
    if ratio is None:
        return ""
    return "from 0" if ratio == float("inf") else f"{ratio:.2f} x"


def _band(figure: Figure) -> str:
    if figure.band is None:
        return ""
    low, high = figure.band
    return f"{low:.2f}–{high:.2f} x"
