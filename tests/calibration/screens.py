"""The screens of docs/calibration.md: every sensor once at a simulated bench, as a technician sees it.

    python tests/calibration/screens.py          print them
    python tests/calibration/screens.py --write  put them into docs/calibration.md

In the page a screen stands in a block of code behind `<!-- screen: NAME -->`; a test holds them against this.
"""

import io
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT), str(ROOT / "firmware")]

from bench_world import Clock, SimulatedBoard, Technician  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.text import Text  # noqa: E402

from buoyfleet.calibration import session as session_module  # noqa: E402
from buoyfleet.calibration.certificate.write import HTML_NAME, PDF_NAME, Files, write_certificate  # noqa: E402
from buoyfleet.calibration.config import INTERVAL_DAYS, load_config  # noqa: E402
from buoyfleet.calibration.limits import BANDS  # noqa: E402
from buoyfleet.calibration.procedures import PROCEDURES  # noqa: E402
from buoyfleet.calibration.session import CalibrationRequest, Session  # noqa: E402
from buoyfleet.cli.calibrate_terminal import Interrupts, TerminalDialogue  # noqa: E402

PAGE = ROOT / "docs" / "calibration.md"
WIDTH = 100
BENCH = """\
operator: M. Lee
solutions:
  - {lot: B7-2231, kind: ph-7, expires: 2027-03-31, opened: 2026-11-01}
  - {lot: B4-1178, kind: ph-4, expires: 2027-03-31, opened: 2026-11-01}
  - {lot: B10-904, kind: ph-10, expires: 2027-01-31, opened: 2026-11-01}
"""
# name → (key, options of the command, vessels of the first attempt, what is typed at refusals)
SCREENS = {
    "temp": ("temp", (), {}, ""),
    "ph": ("ph", (), {}, ""),
    "ec": ("ec", (), {}, ""),
    "do": ("do", (), {}, ""),
    "tds": ("tds", (), {}, ""),
    "tbd": ("tbd", ("clear", "100", "400", "800"), {}, ""),
    "wp": ("wp", ("0", "2"), {}, ""),
    "wf": ("wf", (), {}, ""),
    "liqlev": ("liqlev", (), {}, ""),
    "swapped": ("ph", ("7",), {"mid": "ph-4"}, "q"),
}


def screen(name: str) -> str:
    """What the terminal shows from the command to the end."""
    key, points, swap, at_refusal = SCREENS[name]
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return _screen(key, points, swap, at_refusal)
        finally:
            os.chdir(before)


def _screen(key: str, points: tuple[str, ...], swap: dict[str, str], at_refusal: str) -> str:
    Path("calibration.yaml").write_text(BENCH)
    board = SimulatedBoard(seed=3)
    board.port = "/dev/ttyUSB0"
    hand = Technician(board, swap=swap)
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, highlight=False, soft_wrap=True, color_system=None)

    class Seen(TerminalDialogue):
        """A terminal at which a technician types."""

        def prepare(self, step, attempt):
            hand.place(swap.get(step.name, step.vessel))
            return super().prepare(step, attempt)

        def gate(self, name, question, look=None):
            super().gate(name, question, look)
            hand.gate(name, question)

        def number(self, name, question, unit, low, high):
            self.typed = f"{hand.number(name, question, unit, low, high):g}"
            return super().number(name, question, unit, low, high)

        def _line(self, prompt, look=None):  # noqa: ARG002
            if prompt.startswith("r to"):
                typed = at_refusal
            elif "[y/n]" in prompt:
                typed = "y"
            elif prompt.startswith("Enter") or "[Enter]" in prompt:
                typed = ""
            else:
                typed = self.typed
            console.print(Text(f"{prompt}{typed}"))
            return typed

    read, write = os.pipe()
    # The certificate itself is not on the screen.
    session_module.write_certificate = lambda folder: Files(folder / HTML_NAME, folder / PDF_NAME)
    try:
        more = f" --points {','.join(points)}" if points else ""
        console.print(Text(f"$ buoy calibrate 130 {key}{more}"))
        session = Session(
            board,
            load_config(None),
            Clock(board),
            lambda _board, _key: Seen(Interrupts(), console, read),
            lambda text, _tone: console.print(Text(text)),
        )
        session.run(CalibrationRequest([key], points))
    finally:
        os.close(read)
        os.close(write)
        session_module.write_certificate = write_certificate
    lines = [line.rstrip(" \u2800") for line in out.getvalue().splitlines()]
    return "\n".join(lines).strip() + "\n"


def limits_table() -> str:
    """Rules, limits and intervals as they are in force without a bench's file."""
    rows = ["| sensor | stability rule | accepted | due after |", "|---|---|---|---|"]
    for key, procedure in PROCEDURES.items():
        bands = [
            f"`{name}` {band.name}: {band.text()} {band.unit}".rstrip()
            for name, band in BANDS.items()
            if name.startswith(f"{key}.")
        ]
        rule = procedure.rule.text(procedure.raw_unit)
        rows.append(f"| {key} | {rule} | {'<br>'.join(bands)} | {INTERVAL_DAYS[key]} d |")
    return "\n".join(rows) + "\n"


def page_with_screens(text: str) -> str:
    """The page with its screens and its table as they are now."""
    text = re.sub(r"(<!-- limits -->\n).*?\n(?=\n)", lambda m: m[1] + limits_table(), text, flags=re.DOTALL)

    def block(match: re.Match[str]) -> str:
        return f"<!-- screen: {match[1]} -->\n```\n{screen(match[1])}```\n"

    return re.sub(r"<!-- screen: (\w+) -->\n```\n.*?```\n", block, text, flags=re.DOTALL)


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page_with_screens(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        for one in SCREENS:
            print(screen(one))  # noqa: T201
