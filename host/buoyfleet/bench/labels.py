"""Labels for buoys: QR code or Code 128 with id and MAC, as SVG, PDF or PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from buoyfleet.bench.code128 import modules
from buoyfleet.model.board_names import mac_text
from buoyfleet.model.errors import UsageError

LabelCode = Literal["qr", "code128"]
FORMATS = (".svg", ".pdf", ".png")
_DPI = 300
_INCH_MM = 25.4
_QR_QUIET = 4
"""ISO/IEC 18004: four modules."""


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on it."""

    buoy: int
    mac: str
    """Twelve hex digits."""
    thing: str = ""

    @property
    def text(self) -> str:
        """What a reader reads: it names the board to `buoy` as well."""
        return f"BUOY {self.buoy} {self.mac.upper()}"


def write_label(
    label: Label, path: Path, code: LabelCode = "qr", width_mm: float = 50.0, height_mm: float = 25.0
) -> None:
    """Draw a label into a file; its suffix says how.

    Raises:
        UsageError: another suffix, a size that is too small to be read, or the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path} is not {', '.join(FORMATS)}", next_step=f"--out label-{label.buoy}.svg")
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = label.text  # the same label is the same file
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_mm / _INCH_MM, height_mm / _INCH_MM), dpi=_DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, width_mm)
    axes.set_ylim(0, height_mm)
    axes.axis("off")
    if code == "qr":
        _draw_qr(axes, label, width_mm, height_mm)
    else:
        _draw_code128(axes, label, width_mm, height_mm)
    # Without the time, so that the same label is the same file.
    undated: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    try:
        figure.savefig(path, metadata=undated.get(path.suffix.lower(), {}))
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(path)) from None


def _draw_qr(axes: Any, label: Label, width_mm: float, height_mm: float) -> None:
    import segno

    rows = [[bool(cell) for cell in row] for row in segno.make_qr(label.text, error="m").matrix]
    count = len(rows) + 2 * _QR_QUIET
    side_mm = min(height_mm, width_mm / 2)
    module_mm = side_mm / count
    _readable(module_mm, "QR code")
    left, top = _QR_QUIET * module_mm, (height_mm + side_mm) / 2 - _QR_QUIET * module_mm
    for index, row in enumerate(rows):
        _bars(axes, row, left, top - (index + 1) * module_mm, module_mm, module_mm)
    at = side_mm + 0.5
    size = min(height_mm * 0.8, (width_mm - side_mm) * 0.42)
    axes.text(at, height_mm * 0.62, str(label.buoy), va="center", fontsize=size * 1.6, weight="bold")
    axes.text(at, height_mm * 0.26, mac_text(label.mac), va="center", fontsize=size * 0.62)
    if label.thing:
        axes.text(at, height_mm * 0.12, label.thing, va="center", fontsize=size * 0.5)


def _draw_code128(axes: Any, label: Label, width_mm: float, height_mm: float) -> None:
    line = modules(label.text)
    module_mm = width_mm / len(line)
    _readable(module_mm, "Code 128")
    bottom = height_mm * 0.35
    _bars(axes, line, 0.0, bottom, module_mm, height_mm * 0.95 - bottom)
    axes.text(
        width_mm / 2,
        height_mm * 0.17,
        f"buoy {label.buoy}   {mac_text(label.mac)}",
        ha="center",
        va="center",
        fontsize=min(height_mm * 0.5, width_mm * 0.18),
    )


def _bars(
    axes: Any, cells: Sequence[bool], left: float, bottom: float, module_mm: float, height_mm: float
) -> None:
    """Black runs as one rectangle each: no hairlines between modules."""
    from matplotlib.patches import Rectangle

    start: int | None = None
    for index, black in enumerate([*cells, False]):
        if black and start is None:
            start = index
        elif not black and start is not None:
            width = (index - start) * module_mm
            axes.add_patch(
                Rectangle((left + start * module_mm, bottom), width, height_mm, color="black", lw=0)
            )
            start = None


def _readable(module_mm: float, what: str) -> None:
    # Scanners and phones read modules of 0.19 mm (7.5 mil) and more.
    if module_mm < 0.19:
        raise UsageError(
            f"the modules of the {what} would be {module_mm:.2f} mm wide; 0.19 mm can be read",
            next_step="a larger --size, e.g. 50x25",
        )
