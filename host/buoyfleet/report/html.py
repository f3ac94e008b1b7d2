"""report.html: one file that opens offline, for people and for the printer.

Every text goes through jinja2's escaping; a content security policy forbids whatever is not in the file, and
every script but the one whose hash it names.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from buoyfleet.model.result import BoardResult, Latency, Loss, Result
from buoyfleet.report import charts, figures, flow, heatmap
from buoyfleet.report.files import printable
from buoyfleet.report.svg import NARROW, WIDE
from buoyfleet.report.verdict import boards_in_trouble, headline, store_faults
from sensors.catalog import KEYS

_TEMPLATES = Path(__file__).parent / "templates"
_NINE = frozenset(KEYS)
MAX_BOARD_ROWS = 1000
"""Boards in trouble come first; all are in result.json."""
MAX_NARROW_BOARDS = 400
"""The map of more has one size: it would be the larger half of the page twice."""
MAX_LOSS_ROWS = 2000
"""All are in losses.parquet."""


def html(result: Result) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        count=figures.count,
        plural=figures.plural,
        ms=figures.milliseconds,
        seconds=figures.seconds,
        utc=figures.utc,
        share=figures.share,
        significant=figures.significant,
        marked=marked,
        told=told,
    )
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        result=result,
        run=result.run,
        top=headline(result),
        pictures=_pictures(result),
        store_faults={store.name: store_faults(store) for store in result.stores},
        latencies=latency_rows(result),
        troubled=boards_in_trouble(result),
        boards=[board_row(board) for board in _listed(result)],
        losses=[loss_row(loss) for loss in result.losses[:MAX_LOSS_ROWS]],
        measured=lambda threshold: figures.measured(threshold.value, threshold.unit),
        style=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),  # our own files: not escaped
        script=Markup(script),
        script_hash=digest,
    )


@dataclass(frozen=True, slots=True)
class Pictures:
    """The charts; None where there is nothing to draw."""

    rate: Markup | None
    planned: bool
    latency: Markup | None
    over_time: dict[str, Markup]
    """`acknowledged` or store → its latency over the run."""
    flow: Markup | None
    heat: dict[str, Markup]
    """Store → its map."""


def _pictures(result: Result) -> Pictures:
    stores = [store.name for store in result.stores]
    mapped = bool(heatmap.measure_keys(result.boards))
    latency, points = result.ack_latency, result.rate
    end_s = max((one.points[-1].t_s for one in result.latencies), default=0.0)
    return Pictures(
        rate=_both(lambda width: charts.rate_chart(points, result.rate_interval_s, width))
        if points
        else None,
        planned=any(point.planned for point in points),
        latency=_both(lambda width: charts.latency_chart(latency, width)) if latency else None,
        over_time={
            series.name: _both(partial(charts.latency_over_time, series, end_s))
            for series in result.latencies
        },
        flow=flow.flow_chart(result.stages, frozenset(stores)) if result.stages else None,
        heat={store: _map(result.boards, store) for store in stores} if mapped else {},
    )


def _both(draw: Callable[[float], Markup]) -> Markup:
    """A chart for a screen, and one for a phone: letters must not shrink with the chart."""
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(draw(WIDE), draw(NARROW))


def _map(boards: list[BoardResult], store: str) -> Markup:
    if len(boards) > MAX_NARROW_BOARDS:
        return heatmap.heat_map(boards, store)
    return _both(partial(heatmap.heat_map, boards, store))


def _listed(result: Result) -> list[BoardResult]:
    """As many boards as a page can hold, by id; none in trouble is left out for another."""
    if len(result.boards) <= MAX_BOARD_ROWS:
        return result.boards
    chosen = sorted(result.boards, key=lambda board: (board.state == "passed", board.buoy_id))
    return sorted(chosen[:MAX_BOARD_ROWS], key=lambda board: board.buoy_id)


def marked(sentence: str) -> Markup:
    """A sentence with what stands between backticks as code."""
    parts = printable(sentence).split("`")
    if len(parts) % 2 == 0:  # a backtick of somebody else's: text as it is
        return Markup(escape(printable(sentence)))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )


def told(metrics: dict[str, float]) -> list[tuple[str, float]]:
    """Metrics that are not zero."""
    return [(name, value) for name, value in metrics.items() if value]


def latency_rows(result: Result) -> list[tuple[str, Latency | None, str]]:
    """(acknowledged or visible where, latency, where the times come from) of all that was timed."""
    rows: list[tuple[str, Latency | None, str]] = []
    if result.ack_latency is not None:
        rows.append(("acknowledged", result.ack_latency, "PUBACK at the board"))
    rows += [
        (f"visible in {store.name}", store.latency, store.latency_words)
        for store in result.stores
        if store.latency is not None or store.latency_words
    ]
    return rows


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell: what it shows and what it is sorted by, where that differs."""

    text: str
    key: str = ""
    class_: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a long table."""

    cells: tuple[Cell, ...]
    trouble: bool = False


def _number(value: int, bad: bool = False) -> Cell:
    return Cell(figures.count(value), str(value), "n bad" if bad and value else "n")


def board_row(board: BoardResult) -> Row:
    """One board: id, kind, state, planned, sent, acknowledged, dropped, late, redelivered, reconnects, p99,
    clock, errors."""
    p99 = board.ack_p99_ms
    clock = f"{board.clock_offset_ms:+.1f} ± {board.clock_uncertainty_ms:.1f} ms"
    if board.clock_drift_ppm:
        clock += f", drift {board.clock_drift_ppm:+.0f} ppm"
    return Row(
        (
            Cell(str(board.buoy_id), class_="n"),
            Cell(board.kind),
            Cell(board.state, class_=f"state {board.state}"),
            _number(board.planned),
            _number(board.sent),
            Cell("–", "", "n") if board.acknowledged is None else _number(board.acknowledged),
            _number(board.dropped, bad=True),
            _number(board.late_sends, bad=True),
            _number(board.redelivered),
            _number(board.reconnects),
            Cell("–" if p99 is None else figures.milliseconds(p99), "" if p99 is None else str(p99), "n"),
            Cell(clock, str(board.clock_offset_ms), "n"),
            Cell("; ".join(board.errors), class_="why"),
        ),
        board.state != "passed",
    )


def loss_row(loss: Loss) -> Row:
    """One loss: store, kind, board, message, timestamp, measures, what exactly, stage, cause."""
    stamp, seq = loss.timestamp_ms, loss.seq
    return Row(
        (
            Cell(loss.store),
            Cell(loss.kind, class_=f"kind {loss.kind}"),
            Cell(str(loss.buoy_id), class_="n"),
            Cell("–" if seq is None else str(seq), "" if seq is None else str(seq), "n"),
            Cell("–" if stamp is None else figures.utc_ms(stamp), "" if stamp is None else str(stamp), "t"),
            Cell("all nine" if set(loss.measures) == _NINE else " ".join(loss.measures), class_="keys"),
            Cell(loss_detail(loss)),
            Cell(loss.stage),
            Cell(loss.cause, class_="why"),
        )
    )


def loss_detail(loss: Loss) -> str:
    """What exactly is wrong: values for `altered`, copies, delay."""
    if loss.kind == "altered":
        pairs = zip(loss.expected, loss.found, strict=False)
        return ", ".join(f"{expected} → {found}" for expected, found in pairs)
    if loss.kind == "duplicated":
        return f"{figures.count(loss.copies)} {'copy' if loss.copies == 1 else 'copies'} too many"
    if loss.kind == "late" and loss.delay_s is not None:
        return f"{figures.seconds(loss.delay_s)} after sending"
    if loss.kind == "unexpected":
        return ", ".join(loss.found)
    return ""


def _clean(value: object) -> object:
    """Of every text that a template shows; markup is ours and already clean."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value
