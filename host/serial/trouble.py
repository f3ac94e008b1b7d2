"""Requests that a board did not follow, and what its last words make likely."""

from host.model.errors import BoardError


class Unanswered(BoardError):
    """No answer came; asking again may help."""


class Refusal(BoardError):
    """The board answered that it will not."""


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
    if b"invalid header" in text or b"boot:" in text:
        return "nothing that boots is in its flash", "flash the board"
    return "", ""
