"""Who a board may become: refused before anything is written, both sides named."""

from dataclasses import dataclass

from buoyfleet.bench.records import Book, Record
from buoyfleet.model.board_names import mac_text
from buoyfleet.model.errors import BoardError


@dataclass(frozen=True, slots=True)
class Claim:
    """A board and what it shall be."""

    port: str
    mac: str
    buoy: int
    """Wanted."""
    has: int | None
    """The id in its NVS; None if unset or not known."""
    certificate: str = ""
    """Fingerprint of the certificate it shall get; empty where one is made for it."""


def conflicts(claim: Claim, book: Book, others: dict[str, tuple[int, str]], reassign: bool) -> list[str]:
    """Why a board must not become what is asked; empty if it may.

    Args:
        claim: the board.
        book: who is who by the records.
        others: MAC → (id, port) of boards that are being worked with or were seen.
        reassign: give it the id all the same, where that harms nobody who is here.
    """
    found: list[str] = []
    me = f"{mac_text(claim.mac)} ({claim.port})"
    by_record = book.of_mac(claim.mac)
    holder = book.of_id(claim.buoy)
    if not reassign:
        if by_record is not None and by_record.buoy != claim.buoy:
            found.append(
                f"{me} is buoy {by_record.buoy} ({_when(by_record)}); it was asked to become {claim.buoy}"
            )
        elif by_record is None and claim.has is not None and claim.has != claim.buoy:
            found.append(f"{me} says it is buoy {claim.has}; it was asked to become {claim.buoy}")
        if holder is not None and holder.mac != claim.mac:
            found.append(
                f"buoy {claim.buoy} is {mac_text(holder.mac)} ({_when(holder)}); it was asked for {me}"
            )
    for mac, (buoy, port) in others.items():
        if buoy == claim.buoy and mac != claim.mac:
            found.append(f"buoy {claim.buoy} is also {mac_text(mac)} ({port}), besides {me}")
    owner = book.of_certificate(claim.certificate) if claim.certificate else ""
    if owner and owner != claim.mac:
        found.append(
            f"certificate {claim.certificate[:12]}… belongs to {mac_text(owner)}; it was asked for {me}"
        )
    return found


def refuse(claim: Claim, found: list[str]) -> None:
    """Raise for conflicts.

    Raises:
        BoardError: naming both sides of each.
    """
    if not found:
        return
    raise BoardError(
        "; ".join(found) + "; nothing was written",
        where=claim.port,
        cause="two boards were exchanged, or the wrong id was typed",
        next_step="give the right board or id, or --reassign to mean it (a certificate goes to one board)",
    )


def _when(record: Record) -> str:
    return f"by record of {record.time[:16].replace('T', ' ')}"
