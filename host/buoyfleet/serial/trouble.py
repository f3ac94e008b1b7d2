"""Requests that a board did not follow, and what its last words make likely."""

import re

from buoyfleet.model.errors import BoardError
from buoyfleet.serial.lines import visible
from buoyfleet.serial.refusals import RefusalCode


class Unanswered(BoardError):
    """No answer came; asking again may help."""

    heard: bytes = b""
    """What the board said last, since it was asked."""


class Refusal(BoardError):
    """The board answered that it will not."""

    def __init__(self, what: str, code: RefusalCode, *, where: str = "") -> None:
        super().__init__(what, where=where)
        self.code = code


def unanswered(what: str, port: str, heard: bytes, last_text: bytes) -> Unanswered:
    """The error for a request without an answer.

    Args:
        what: happened.
        port: where.
        heard: the last text since the request, empty if nothing came.
        last_text: the last ever.
    """
    said = f"it said last: {visible(heard[-100:])}" if heard else "it said nothing"
    cause, next_step = likely_cause(last_text)
    error = Unanswered(f"{what}; {said}", where=port, cause=cause, next_step=next_step)
    error.heard = heard
    return error


def nothing_boots(text: bytes) -> bool:
    """Whether the ROM or the second boot loader complains; our own boot.py says `# info boot: …` too."""
    return re.search(rb"invalid header|Checksum failed|\bE \(\d+\) boot: ", text) is not None


def likely_cause(text: bytes) -> tuple[str, str]:
    """Cause and next step for a board that does not answer, from what it said last."""
    if not text:
        return (
            "no power, the wrong port, or a program without a console",
            "press the board's reset button and look again",
        )
    if b">>>" in text or text.startswith(b"..."):
        return "the board is at the REPL: the firmware was stopped or is not installed", "reset the board"
    if b"waiting for download" in text:
        return "the chip is in its boot loader", "reset the board"
    if nothing_boots(text):
        return "nothing that boots is in its flash", "flash the board"
    return (
        "a line that loses or changes bytes, or a program that hangs",
        "another cable or port; else press the board's reset button",
    )
