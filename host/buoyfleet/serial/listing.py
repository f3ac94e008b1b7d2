"""The serial ports there are: of this computer, by pattern, by URL; and which process has one open."""

import glob
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.model.board_names import BoardName, canonical_port, is_url, parse_port

BRIDGES = {
    (0x10C4, 0xEA60): "CP210x",
    (0x10C4, 0xEA70): "CP2105",
    (0x1A86, 0x7523): "CH340",
    (0x1A86, 0x5523): "CH341",
    (0x1A86, 0x55D4): "CH9102",
    (0x1A86, 0x55D3): "CH343",
    (0x0403, 0x6001): "FT232R",
    (0x0403, 0x6010): "FT2232",
    (0x0403, 0x6015): "FT-X",
    (0x303A, 0x1001): "native USB",
    (0x303A, 0x4001): "native USB",
}
"""(vendor, product) → what carries the serial line; ids of the USB-IF list, Linux's drivers cp210x, ch341 and
ftdi_sio, and Espressif's own for chips with USB."""


@dataclass(frozen=True, slots=True)
class PortInfo:
    """One port, as the system sees it."""

    port: str
    """Path or URL that opens it."""
    vid: int | None = None
    pid: int | None = None
    serial: str = ""
    """Of the USB bridge."""
    location: str = ""
    """USB bus and ports of the hubs on the way, e.g. `1-1.2`."""
    about: str = ""
    """What the system calls it."""

    @property
    def hub(self) -> str:
        """The hub it is plugged into; ports of one computer that have no hub are one, too."""
        if is_url(self.port):
            return self.port.split("://", 1)[1].rsplit(":", 1)[0]
        return self.location.rpartition(".")[0] or self.location.partition("-")[0]

    @property
    def bridge(self) -> str:
        """CP210x, CH340, …; empty if it is no USB."""
        if self.vid is None or self.pid is None:
            return ""
        return BRIDGES.get((self.vid, self.pid), "USB")

    @property
    def usb_id(self) -> str:
        """`10c4:ea60`, or empty."""
        return "" if self.vid is None or self.pid is None else f"{self.vid:04x}:{self.pid:04x}"

    def answers_to(self, name: BoardName) -> bool:
        """Whether a name that needs no look at the board means this port."""
        if name.kind == "port":
            return canonical_port(self.port) == canonical_port(name.value)
        if name.kind == "usb":
            serial = f"{self.usb_id}:{self.serial}" if name.value.count(":") > 1 else self.usb_id
            return bool(self.usb_id) and serial.lower() == name.value.lower()
        return name.kind == "location" and self.location == name.value


def list_ports(more: Iterable[str] = ()) -> list[PortInfo]:
    """USB serial ports of this computer, and those of `more`: paths, patterns (`folder/*`) or URLs.

    A port that appears twice is listed once, under the name given. Other names of `more` add nothing: what
    they mean is among the USB ports.

    Raises:
        UsageError: one of `more` names no port.
    """
    from serial.tools.list_ports import comports

    named: list[PortInfo] = []
    system = {
        canonical_port(port.device): PortInfo(
            port.device,
            port.vid,
            port.pid,
            port.serial_number or "",
            _location(port.location),
            port.description,
        )
        for port in comports(include_links=False)
    }
    for path in expanded(more):
        known = system.pop(canonical_port(path), None)
        if known is not None:
            named.append(PortInfo(path, known.vid, known.pid, known.serial, known.location, known.about))
        else:
            named.append(PortInfo(path))
    # A computer's own UARTs (ttyS0 …) are no boards, and opening them finds nothing.
    own = [port for port in system.values() if port.vid is not None]
    return named + sorted(own, key=lambda port: port.port)


def expanded(patterns: Iterable[str]) -> list[str]:
    """The paths and URLs that patterns mean, each port once."""
    found: dict[str, str] = {}
    for pattern in patterns:
        if parse_port(pattern).kind != "port":
            continue
        matches = [pattern] if is_url(pattern) else sorted(glob.glob(os.path.expanduser(pattern)))
        for path in matches or ([] if glob.has_magic(pattern) else [pattern]):
            found.setdefault(canonical_port(path), path)
    return list(found.values())


def holder(port: str) -> str:
    """Name and pid of another process of this user that has the port open; empty if none is seen.

    Linux only: elsewhere the system does not say.
    """
    if is_url(port):
        return ""
    wanted = canonical_port(port)
    own = str(os.getpid())
    for name in os.listdir("/proc") if os.path.isdir("/proc/self/fd") else ():
        if not name.isdigit() or name == own:
            continue
        # Strings, not `Path`: with many programs this is most of what a lock costs.
        folder = f"/proc/{name}/fd"
        try:
            links = {descriptor: os.readlink(f"{folder}/{descriptor}") for descriptor in os.listdir(folder)}
            process = Path("/proc", name)
            if wanted in links.values() and not _is_other_end(process, links, wanted):
                return f"{_program(process)} (process {name})"
        except OSError:
            continue  # it ended, or it belongs to another user
    return ""


def _is_other_end(process: Path, links: dict[str, str], port: str) -> bool:
    """Whether a process made the port, as `socat` or a simulated board does: a PTY with both ends open."""
    number = port.removeprefix("/dev/pts/")
    return any(
        f"tty-index:\t{number}\n" in (process / "fdinfo" / name).read_text()
        for name, link in links.items()
        if link in ("/dev/ptmx", "/dev/pts/ptmx")
    )


def _program(process: Path) -> str:
    """What people call it: `mpremote`, not the interpreter that runs it; `buoy` with its command."""
    name = (process / "comm").read_text().strip()
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    rest = [word for word in words[1:] if word]
    if not re.fullmatch(r"python[0-9.]*", Path(words[0]).name) or not rest:
        return name
    if rest[0] == "-m":
        rest = rest[1:]
    if not rest or rest[0].startswith("-"):
        return name
    called = "buoy" if rest[0] == "buoyfleet.cli.main" else Path(rest[0]).name
    return f"{called} {rest[1]}" if called == "buoy" and len(rest) > 1 else called


def _location(text: str | None) -> str:
    # An interface of a device with several has `:1.0` behind it.
    return re.sub(r":[0-9.]+$", "", text or "")
