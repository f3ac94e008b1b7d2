"""A new fleet file: the commented default fleet, with the boards that are plugged in."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from buoyfleet.inventory.values import ids_text
from buoyfleet.model.places import FILES, SETUP

LOCAL = "local"
FIRST_VIRTUAL, FIRST_ESP32 = 100, 130
EXAMPLE = FILES / "boards.yaml"
"""The commented default fleet."""
_EDITORS = """\
# yaml-language-server: $schema=boards.schema.json
#
# `buoy schema > boards.schema.json` lets editors complete and check this file.
"""
_CABLED = {
    "simulated": """\
  - kind: simulated           # a board of `buoy simulate`
    ids: {buoy_id}
    port: {port}
""",
    "esp32": """\
  - kind: esp32               # a real board on a cable; `buoy commission` makes it a buoy of this fleet
    ids: {buoy_id}
    port: {port}
    # wifi: {{ssid: harbour, password: "${{env:WIFI_PASSWORD}}"}}   # without it the board keeps its own
""",
}


@dataclass(frozen=True, slots=True)
class NewBoard:
    """A board that is plugged in."""

    buoy_id: int
    port: str
    """Name that stays: `mac:…`, or the URL of its port."""
    kind: Literal["esp32", "simulated"] = "esp32"
    """`simulated`: one of `buoy simulate`."""

    def reaches(self, target: str) -> bool:
        """Whether it can connect there: the twin listens on this computer only."""
        return self.kind == "simulated" or target != LOCAL


def new_ids(known: Sequence[int | None]) -> list[int]:
    """An id for each board: its own, unless a board before it has the same, else a free one from 130."""
    taken = {buoy for buoy in known if buoy is not None}
    ids: list[int] = []
    for buoy in known:
        if buoy is None or buoy in ids:
            buoy = next(one for one in range(FIRST_ESP32, FIRST_ESP32 + 10_000) if one not in taken)
            taken.add(buoy)
        ids.append(buoy)
    return ids


def fleet_text(
    boards: Iterable[NewBoard],
    *,
    virtual: int,
    simulated: int,
    target: str = LOCAL,
    programs: bool = True,
) -> str:
    """The text of a fleet file.

    Args:
        boards: on cables; with target `local`, which they cannot reach, they are in the file as a comment.
        target: `local`, or the URL of a broker.
        virtual: how many virtual boards.
        simulated: how many simulated boards.
        programs: whether simulated boards can run here; else they are in the file as a comment.
    """
    boards = list(boards)
    taken = {board.buoy_id for board in boards}
    free = (buoy for buoy in range(FIRST_VIRTUAL, FIRST_VIRTUAL + 1_000_000) if buoy not in taken)
    ids = [next(free) for _ in range(virtual + simulated)]
    head, groups, tail = _parts(EXAMPLE.read_text(encoding="utf-8"))
    text = ""
    if virtual:
        text += re.sub(r"ids: \S+ ", f"ids: {ids_text(ids[:virtual])} ", groups["virtual"], count=1)
    if simulated:
        group = re.sub(r"ids: \S+", f"ids: {ids_text(ids[virtual:])}", groups["simulated"], count=1)
        if not programs:
            note = f"Simulated boards need MicroPython: `{SETUP}` fetches it. Then take the marks away:"
            group = _as_comment(note, group)
        text += group
    reaching = "".join(_group(board) for board in boards if board.reaches(target))
    others = "".join(_group(board) for board in boards if not board.reaches(target))
    if target != LOCAL:
        head = re.sub(r"^target: local$", f"target: {target}", head, count=1, flags=re.MULTILINE)
        # A broker alone has one store: what a second client saw.
        tail = re.sub(r"^  - timestream\..*\n", "", tail, flags=re.MULTILINE).replace(
            "- s3.", "- subscriber."
        )
    if others:
        note = "These cannot reach the twin. Name a broker as target; then take the marks away:"
        others = _as_comment(note, others)
    return _EDITORS + head + text + (reaching + others or groups["esp32"]) + tail


def _group(board: NewBoard) -> str:
    return _CABLED[board.kind].format(buoy_id=board.buoy_id, port=board.port)


def _as_comment(note: str, group: str) -> str:
    return f"  # {note}\n" + "".join(f"  # {line[2:]}\n" for line in group.splitlines())


def _parts(text: str) -> tuple[str, dict[str, str], str]:
    """Before the groups of boards, each group by its kind, and what follows."""
    lines = text.splitlines(keepends=True)
    # Its first line names the schema where it lies in the tree.
    first = next(number for number, line in enumerate(lines) if line.startswith("boards:")) + 1
    last = next(number for number in range(first, len(lines)) if lines[number][0] not in " \n")
    groups: dict[str, str] = {}
    kind = ""
    for line in lines[first:last]:
        if not line.strip():
            continue
        if match := re.match(r"  (?:# )?- kind: (\w+)", line):
            kind = match[1]
        groups[kind] = groups.get(kind, "") + line
    return "".join(lines[1:first]), groups, "\n" + "".join(lines[last:])
