"""Finding boards by any of their names, whatever port they come up on."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from buoyfleet.model.board_names import BoardName, is_url, mac_text, parse_name
from buoyfleet.model.errors import PreflightError
from buoyfleet.serial.listing import PortInfo, list_ports
from buoyfleet.serial.port import require_port
from buoyfleet.serial.probe import BOOT_S, Found, probe

MOST_AT_ONCE = 32


def look_at_all(
    ports: Sequence[PortInfo], *, patience_s: float = BOOT_S, wake: bool = False, purpose: str = ""
) -> list[Found]:
    """Probe ports, all at once; one result a port, in their order."""
    if not ports:
        return []
    with ThreadPoolExecutor(min(MOST_AT_ONCE, len(ports)), "probe") as pool:
        return list(
            pool.map(
                lambda port: probe(
                    port.port, patience_s=patience_s, wake=wake, purpose=purpose or "buoy ports"
                ),
                ports,
            )
        )


class Finder:
    """Finds boards among ports; several threads may look for theirs, one after the other.

    Args:
        more_ports: paths, patterns and URLs beside the USB ports of this computer.
        patience_s: for a board that boots.
        wake: interrupt or reset boards that do not answer.
    """

    def __init__(
        self, more_ports: Iterable[str] = (), *, patience_s: float = BOOT_S, wake: bool = False
    ) -> None:
        self._more_ports = tuple(more_ports)
        self._patience_s = patience_s
        self._wake = wake
        # Two searches at once would find each other's ports in use.
        self._guard = threading.Lock()
        self._seen: list[Found] = []
        self._new: dict[str, Found] = {}

    def find(self, name: str | BoardName) -> Found:
        """The board of a name, on the port where it is now.

        A name by port, USB or location needs no search. By MAC or id every port is asked.

        Raises:
            PreflightError: no such board, or several; lists what there is.
            UsageError: the name is none.
        """
        wanted = parse_name(name) if isinstance(name, str) else name
        if wanted.kind == "port":
            require_port(wanted.value)
            return self._probe(wanted.value)
        ports = list_ports(self._more_ports)
        if wanted.kind in ("usb", "location"):
            return self._probe(port_of(wanted, ports).port)
        with self._guard:
            for before in [one for one in self._seen if fits(wanted, one)]:
                found = self._probe(before.port)
                if fits(wanted, found):
                    return found
            found_all = look_at_all(ports, patience_s=self._patience_s, wake=self._wake)
            self._seen = found_all
        fitting = [found for found in found_all if fits(wanted, found)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            where = ", ".join(f"{found.port} ({mac_text(found.mac)})" for found in fitting)
            raise PreflightError(
                f"{len(fitting)} boards answer to {_said(wanted)}: {where}",
                next_step="name one by its port or MAC; `buoy id PORT NUMBER` gives it another id",
            )
        raise _none(wanted, found_all)

    def newcomer(self, port: str, look: Callable[[], Found | None]) -> Found | None:
        """Who is on a port that came up; looked at once, though several wait for their board."""
        with self._guard:
            known = self._new.get(port)
            if known is None:
                known = look()
                if known is not None and known.mac:
                    self._new[port] = known
            return known

    def port(self, name: str | BoardName) -> str:
        """Only where it is; a name by port is taken at its word.

        Raises:
            PreflightError, UsageError: as `find`.
        """
        wanted = parse_name(name) if isinstance(name, str) else name
        if wanted.kind == "port":
            return wanted.value
        if wanted.kind in ("usb", "location"):
            return port_of(wanted, list_ports(self._more_ports)).port
        return self.find(wanted).port

    def _probe(self, port: str) -> Found:
        return probe(port, patience_s=self._patience_s, wake=self._wake)


def find_board(
    name: str | BoardName,
    *,
    more_ports: Iterable[str] = (),
    patience_s: float = BOOT_S,
    wake: bool = False,
) -> Found:
    """The board of a name by a search of its own; arguments and errors are those of `Finder`."""
    return Finder(more_ports, patience_s=patience_s, wake=wake).find(name)


def port_of(name: BoardName, ports: Sequence[PortInfo]) -> PortInfo:
    """The port that a name by port, USB or location means.

    Raises:
        PreflightError: none, or several.
    """
    if name.kind == "port":
        return next((port for port in ports if port.answers_to(name)), PortInfo(name.value))
    fitting = [port for port in ports if port.answers_to(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise PreflightError(
            f"{len(fitting)} ports match {name}: {', '.join(port.port for port in fitting)}",
            cause="adapters of one batch often share a serial number",
            next_step="name it by location (buoy ports shows it) or by MAC",
        )
    there = ", ".join(f"{port.port} ({_seen_as(port)})" for port in ports) or "no USB serial port at all"
    raise PreflightError(
        f"no serial port matches {name}", cause=f"there is {there}", next_step="plug it in, then: buoy ports"
    )


def fits(name: BoardName, found: Found) -> bool:
    """Whether a board that was asked is the one of a MAC or an id."""
    if name.kind == "mac":
        return found.mac == name.value
    return name.kind == "id" and found.buoy is not None and str(found.buoy) == name.value


def _seen_as(port: PortInfo) -> str:
    if is_url(port.port) or not port.usb_id:
        return "not USB"
    return f"usb:{port.usb_id}:{port.serial}, location:{port.location}"


def _said(name: BoardName) -> str:
    return f"id {name.value}" if name.kind == "id" else name.text


def _none(name: BoardName, found: Sequence[Found]) -> PreflightError:
    busy = [one for one in found if one.state == "busy"]
    lines = [f"{one.port}: {mac_text(one.mac) + ', ' if one.mac else ''}{one.runs}" for one in found] or [
        "no USB serial port, and none was given"
    ]
    if busy:
        # Only a port that could not be asked can have it.
        return PreflightError(
            f"board {_said(name)} cannot be reached: "
            + "; ".join(f"{one.port} is {one.detail}" for one in busy),
            cause="it is on none of the ports that could be asked:\n    " + "\n    ".join(lines),
            next_step="close that program, then the same command",
        )
    return PreflightError(
        f"no board with {_said(name)}",
        cause="it is not plugged in, asleep, or its port is not among these:\n    " + "\n    ".join(lines),
        next_step="buoy ports --ports 'FOLDER/*' looks at more ports",
    )
