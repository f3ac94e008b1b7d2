"""Ports and Wi-Fi of boards on a cable: which board has which, and what cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from buoyfleet.inventory.available import NEEDS_PORT, ON_A_CABLE
from buoyfleet.inventory.format import GroupSection, Override, OverrideSection
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.values import ids_shown
from buoyfleet.model.board_names import parse_port
from buoyfleet.model.errors import UsageError
from buoyfleet.model.fleet import BoardSpec, WifiSpec


class Cables:
    """Knows the ports of all groups, so that none is given twice."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._owners: dict[str, int] = {}
        self._wrong: set[int] = set()

    def plugged(self, group: GroupSection, board: BoardSpec, override: Override | None) -> BoardSpec:
        """The board with its port and Wi-Fi; a port that is another board's is reported."""
        if board.kind not in ON_A_CABLE:
            return board
        section = override.section if override is not None and override.section.port else group
        wifi = None
        if group.wifi is not None and group.wifi.ssid:
            wifi = WifiSpec(**group.wifi.model_values(Path()))
        port = section.port.replace("{id}", str(board.buoy_id))
        if port and (key := self._key(port, section)):
            other = self._owners.setdefault(key, board.buoy_id)
            if other != board.buoy_id:
                message = f"boards {other} and {board.buoy_id} would both be on {port}"
                hint = "write `{id}` into it, or give each board its own under `overrides`"
                self._report.add(section.line("port"), section.under("port"), message, hint)
        return replace(board, port=port, wifi=wifi)

    def _key(self, port: str, section: GroupSection | OverrideSection) -> str:
        """The same for every name of one port; empty, and reported once, where it names none."""
        try:
            return parse_port(port).key
        except UsageError as error:
            if section.line("port") not in self._wrong:  # without {id} its own field has told it
                self._wrong.add(section.line("port"))
                if "{id}" in section.port:
                    self._report.add(section.line("port"), section.under("port"), error.what)
            return ""

    def check(
        self, group: GroupSection, boards: Sequence[BoardSpec], overrides: Mapping[int, Override]
    ) -> None:
        """Report what does not go with the group's kind."""
        if group.kind is None:
            return
        if group.kind not in ON_A_CABLE:
            sections = [group, *(one.section for one in group.overrides)]
            for section in sections:
                for name in ("port", "wifi"):
                    if section.has(name):
                        message = f"a `{group.kind}` board has no `{name}`"
                        hint = f"leave it out, or write `kind: {ON_A_CABLE[-1]}`"
                        self._report.add(section.line(name), section.under(name), message, hint)
            return
        self._check_client(group, boards)
        if group.kind in NEEDS_PORT and not group.has("port"):
            without = [
                board.buoy_id
                for board in boards
                if not (board.buoy_id in overrides and overrides[board.buoy_id].section.has("port"))
            ]
            if without:
                verb = "need" if len(without) > 1 else "needs"
                message = f"{ids_shown(without)} {verb} a `port`, e.g. `/dev/ttyUSB0`"
                self._report.add(
                    group.line("kind"), group.path, message, "ls -l /dev/serial/by-id/ shows them"
                )

    def _check_client(self, group: GroupSection, boards: Sequence[BoardSpec]) -> None:
        section = group.link
        if section is not None and section.client not in (None, "fleet") and boards:
            message = f"`{section.client}` is a client of this computer; a board on a cable has its own"
            self._report.add(group.line("link"), group.under("link"), message, "leave it out")
