"""Boards as a grid: one letter for each goes to the browser, which draws them."""

from collections import Counter
from collections.abc import Callable, Sequence

from nicegui.element import Element

from buoyfleet.model.board_states import WORDS


class BoardGrid(Element, component="assets/board_grid.js"):
    """Colour and sign of each board; a click picks one. A field beside it does the same for the keyboard."""

    def __init__(self, ids: Sequence[tuple[int, int]], picked: Callable[[int], None]) -> None:
        """`ids`: (first id, how many) of the boards in order."""
        super().__init__()
        self.props.update({"ids": [list(one) for one in ids], "states": "", "label": "boards"})
        self.on("pick", lambda event: picked(int(event.args)))

    def show(self, states: str) -> None:
        """Draw these; the browser hears only of a change."""
        if states != self.props["states"]:
            self.props.update({"states": states, "label": f"Boards: {said(states)}"})
            self.update()


def said(states: str) -> str:
    """`12 connected, 3 connection lost`."""
    counts = Counter(states)
    return ", ".join(f"{counts[letter]:,} {word}" for letter, word in WORDS.items() if counts[letter])
