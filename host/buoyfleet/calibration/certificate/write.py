"""Writes certificate.html and certificate.pdf beside a record."""

import io
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import jinja2
from markupsafe import Markup

from buoyfleet.calibration.certificate.content import Certificate, Table, certificate_of
from buoyfleet.calibration.certificate.figures import STYLE, as_svg, residual_figure, signal_figure
from buoyfleet.calibration.record import Record, read_record
from buoyfleet.report.files import printable, write_atomically

Pictures = list[tuple[str, Any]]
HTML_NAME, PDF_NAME = "certificate.html", "certificate.pdf"
_TEMPLATES = Path(__file__).parent / "templates"
A4_INCH = (8.27, 11.69)
_LEFT, _TOP, _BOTTOM, _STEP = 0.07, 0.95, 0.05, 0.0135
_TONES = {"pass": "#14774a", "warn": "#9a5700", "fail": "#c0261c"}
_WIDTH_CHARACTERS = 104


@dataclass(frozen=True, slots=True)
class Files:
    """Where a certificate is."""

    html: Path
    pdf: Path


def write_certificate(folder: Path) -> Files:
    """Make both from the record in a folder.

    Raises:
        UsageError: no record there.
        PreflightError: the folder cannot take them.
    """
    record = read_record(folder)
    pictures = pictures_of(record)
    files = Files(record.path.parent / HTML_NAME, record.path.parent / PDF_NAME)
    write_atomically(files.html, html(record, pictures).encode())
    write_atomically(files.pdf, pdf(record, pictures))
    return files


def pictures_of(record: Record) -> Pictures:
    """Title and figure of each picture there is."""
    pairs = (("Signals", signal_figure(record)), ("Fit and residuals", residual_figure(record)))
    return [(title, figure) for title, figure in pairs if figure is not None]


def html(record: Record, pictures: Pictures) -> str:
    """One page that opens offline and prints."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: (
            printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        ),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("certificate.html.j2").render(
        certificate=certificate_of(record),
        # Drawn here: texts in them are escaped by matplotlib.
        pictures=[(title, Markup(as_svg(figure))) for title, figure in pictures],
        style=Markup((_TEMPLATES / "certificate.css").read_text(encoding="utf-8")),
    )


def pdf(record: Record, pictures: Pictures) -> bytes:
    """The same on A4 pages."""
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = io.BytesIO()
    certificate = certificate_of(record)
    metadata: dict[str, Any] = {"Title": f"{certificate.title} {certificate.number}", "CreationDate": None}
    with mpl.rc_context(STYLE), PdfPages(buffer, metadata=metadata) as pages:
        sheet = _Sheet(pages)
        sheet.heading(certificate)
        for table in certificate.tables:
            sheet.table(table)
        if certificate.remarks:
            sheet.title("Remarks")
            for remark in certificate.remarks:
                sheet.text(f"– {remark}")
        sheet.signatures(certificate.operator)
        sheet.close()
        for _, figure in pictures:
            pages.savefig(figure)
    return buffer.getvalue()


class _Sheet:
    """Lines of text down A4 pages."""

    def __init__(self, pages: Any) -> None:
        self._pages = pages
        self._figure: Any = None
        self._y = 0.0

    def close(self) -> None:
        if self._figure is not None:
            self._pages.savefig(self._figure)
            self._figure = None

    def heading(self, certificate: Certificate) -> None:
        self._line(certificate.title, size=15, weight="bold", steps=2.0)
        self._line(f"Calibration certificate No. {certificate.number}", size=9, steps=1.2)
        for name in ("name", "address"):
            for line in certificate.laboratory.get(name, "").splitlines():
                self._line(printable(line), size=9, steps=1.2)
        self.text(certificate.sentence, size=10, color=_TONES[certificate.tone])

    def title(self, text: str) -> None:
        self._room(5)
        self._y -= 0.6 * _STEP
        self._line(text, size=10, weight="bold", steps=1.3)

    def text(self, text: str, size: float = 8.5, color: str = "black") -> None:
        for line in wrap(printable(text), int(_WIDTH_CHARACTERS * 8.5 / size)) or [""]:
            self._line(line, size=size, color=color, steps=max(1.0, size / 8.5))

    def signatures(self, operator: str) -> None:
        """Two lines to sign on."""
        self._room(6)
        self._y -= 4 * _STEP
        line = "_" * 44
        for x, who in ((_LEFT, operator or "Operator"), (0.53, "Approved by")):
            self._put(x, line, 8.0, "normal", "black")
            self._figure.text(
                x, self._y - _STEP, f"{printable(who)}, date, signature"[:48], fontsize=8.0, va="top",
                parse_math=False,
            )  # fmt: skip

    def table(self, table: Table) -> None:
        """Columns as wide as they need, the widest wrapped."""
        self.title(table.title)
        rows = [table.head, *table.rows] if any(table.head) else table.rows
        widths = _widths(rows)
        for index, row in enumerate(rows):
            number = index - (len(rows) - len(table.rows))
            verdict = table.verdicts[number] if number >= 0 else None
            cells = [wrap(printable(cell), width) or [""] for cell, width in zip(row, widths, strict=True)]
            self._room(max(map(len, cells)))
            for line in range(max(map(len, cells))):
                texts = [cell[line] if line < len(cell) else "" for cell in cells]
                self._cells(texts, widths, bold=number < 0, color=_TONES.get(verdict or "", "black"))
        if table.note:
            self.text(table.note, size=8.0, color="#555555")

    def _cells(self, texts: list[str], widths: list[int], *, bold: bool, color: str) -> None:
        at = 0
        for text, width in zip(texts, widths, strict=True):
            self._put(_LEFT + 0.86 * at / _WIDTH_CHARACTERS, text, 8.0, "bold" if bold else "normal", color)
            at += width + 2
        self._y -= _STEP

    def _line(
        self, text: str, size: float = 8.5, weight: str = "normal", color: str = "black", steps: float = 1.0
    ) -> None:
        self._room(steps)
        self._put(_LEFT, text, size, weight, color)
        self._y -= steps * _STEP

    def _put(self, x: float, text: str, size: float, weight: str, color: str) -> None:
        self._figure.text(
            x, self._y, text, fontsize=size, fontweight=weight, color=color, va="top", parse_math=False
        )

    def _room(self, lines: float) -> None:
        if self._figure is None or self._y - lines * _STEP < _BOTTOM:
            from matplotlib.figure import Figure

            self.close()
            self._figure = Figure(figsize=A4_INCH)
            self._y = _TOP


def _widths(rows: list[tuple[str, ...]]) -> list[int]:
    """Characters per column: what they need, the widest cut until all fit."""
    widths = [max(4, max(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > _WIDTH_CHARACTERS:
        widths[widths.index(max(widths))] -= 1
    return widths
