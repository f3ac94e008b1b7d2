"""Text from outside, as pages show it."""

from buoyfleet.model.errors import BuoyError
from buoyfleet.report.files import printable

LONGEST = 300
"""Characters of a name or a message on a page; what is longer ends with `…`."""


def clipped(text: str, longest: int = LONGEST) -> str:
    """One line without control characters, not longer than a page can take."""
    text = printable(text[: longest + 1])
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def error_lines(error: BuoyError) -> list[tuple[str, str]]:
    """What happened, where, the likely cause and the next step, as (name, text); empty ones are left out."""
    parts = [("What happened", error.what), ("Where", error.where), ("Likely cause", error.cause)]
    parts.append(("Next", error.next_step))
    return [(name, clipped(text, 2000)) for name, text in parts if text]
