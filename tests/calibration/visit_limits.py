"""The table of limits of docs/visits.md.

python tests/calibration/visit_limits.py --write   put it there
"""

import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "visits.md"


def table() -> str:
    """A row for each sensor, from the limits in force."""
    from buoyfleet.visits.limits import LIMITS

    rows = [
        "| sensor | corrected above | excellent | good | fair | not usable above | standards | source |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, one in LIMITS.items():
        limits = (one.correct, one.excellent, one.good, one.fair, one.most)
        cells = [limit.text(one.unit) for limit in limits]
        standards = ", ".join(standard.title for standard in one.standards)
        rows.append(f"| {key} | {' | '.join(cells)} | {standards} | {one.source.partition(':')[0]} |")
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """The page with its table as it is now."""
    return re.sub(r"(<!-- limits -->\n).*?\n(?=\nOf two)", lambda m: m[1] + table(), text, flags=re.DOTALL)


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
