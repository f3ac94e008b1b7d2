"""Ids that the bench has given to boards in the field: no run of virtual boards takes them on by accident."""

from pathlib import Path

from buoyfleet.bench.folder import BenchFolder
from buoyfleet.cloud.target import Check
from buoyfleet.inventory.values import ids_shown
from buoyfleet.model.fleet import Fleet

_ON_THIS_COMPUTER = ("127.", "localhost", "[::1]", "::1")


def service_check(fleet: Fleet, bench: Path) -> Check:
    """Whether a board that was commissioned for a broker elsewhere has the id of one that only pretends.

    Boards on a cable are those boards themselves, and at the bench rather than in the field.
    """
    book = BenchFolder(bench).records.book()
    in_field = {
        record.buoy
        for record in book.installed.values()
        if record.buoy is not None and not record.broker.startswith(_ON_THIS_COMPUTER)
    }
    taken = sorted(board.buoy_id for board in fleet.boards if not board.port and board.buoy_id in in_field)
    if not taken:
        return Check("bench records", True, f"no id of the fleet is in service by {bench}")
    return Check(
        "bench records",
        False,
        f"boards {ids_shown(taken)} are in service by the records in {bench}",
        "use other ids; or --allow-live, if that is meant",
    )
