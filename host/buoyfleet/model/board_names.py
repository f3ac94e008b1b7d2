"""How a board is named, in the fleet file and on the command line alike: the one grammar of ports.

/dev/ttyUSB0, COM3, runs/simulated/ports/buoy-128    a serial port
rfc2217://HOST:PORT, socket://HOST:PORT              one of another computer; pyserial's options follow `?`
usb:10c4:ea60:0001                                   vendor, product and serial number of the USB bridge
location:1-1.2                                       where on the USB hubs it is plugged in
mac:24:0a:c4:00:00:80                                the chip, whatever port it comes up on
131                                                  the buoy id that the chip holds
"""

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from buoyfleet.model.errors import UsageError

NameKind = Literal["port", "usb", "location", "mac", "id"]

FORMS = (
    "a path (`/dev/ttyUSB0`), `rfc2217://HOST:PORT`, `socket://HOST:PORT`, `usb:VID:PID:SERIAL`, "
    "`location:1-1.2` or `mac:24:0a:c4:00:00:80`"
)
"""What names a port, for messages and documentation."""
PATTERN = (
    r"^(?:(?:[Rr][Ff][Cc]2217|[Ss][Oo][Cc][Kk][Ee][Tt])://\S+|"
    r"[Uu][Ss][Bb]:\S.*|[Ll][Oo][Cc][Aa][Tt][Ii][Oo][Nn]:\S+|[Mm][Aa][Cc]:\S+|"
    r"(?!\s)(?![0-9]+\s*$)(?!(?:[Uu][Ss][Bb]|[Mm][Aa][Cc]|[Ll][Oo][Cc][Aa][Tt][Ii][Oo][Nn]):)"
    r"(?![A-Za-z][A-Za-z0-9+.-]*://).{1,300})$"
)
"""What a JSON schema can say of it; `parse_name` says the rest."""
LONGEST = 300

_MAC = re.compile(r"(?:mac:)?((?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2})", re.IGNORECASE)
_USB = re.compile(r"usb:([0-9a-f]{4}):([0-9a-f]{4})(?::(.*))?", re.IGNORECASE)
_LOCATION = re.compile(r"(?:location|usb):([0-9]+-[0-9]+(?:\.[0-9]+)*)(?::[0-9.]+)?", re.IGNORECASE)
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PREFIX = re.compile(r"(usb|mac|location):", re.IGNORECASE)

_LEVELS = ("debug", "info", "warning", "error")


def _is_level(value: str) -> bool:
    return value in _LEVELS


def _is_seconds(value: str) -> bool:
    try:
        return float(value) > 0 and math.isfinite(float(value))
    except ValueError:
        return False


_Option = tuple[Callable[[str], bool], str]
_LOGGING: _Option = (_is_level, f"logging={'|'.join(_LEVELS)}")
_OPTIONS: dict[str, dict[str, _Option]] = {
    "rfc2217": {
        "ign_set_control": (lambda value: not value, "ign_set_control"),
        "poll_modem": (lambda value: not value, "poll_modem"),
        "timeout": (_is_seconds, "timeout=SECONDS"),
        "logging": _LOGGING,
    },
    "socket": {"logging": _LOGGING},
}
"""Scheme → options that pyserial 3.5 knows (`serial/rfc2217.py`, `urlhandler/protocol_socket.py`)."""

_SYSTEM_PORT = re.compile(r"/dev/(tty[A-Z]|cu\.|serial/)|COM\d+$", re.IGNORECASE)
"""Serial ports of an adapter on Linux, macOS and Windows; a pseudo-terminal has another name."""


@dataclass(frozen=True, slots=True)
class BoardName:
    """A name as given, and what it names a board by."""

    kind: NameKind
    value: str
    """Port or URL; `vid:pid` or `vid:pid:serial`; location; twelve hex digits of a MAC; the id in digits."""
    text: str
    """As given."""

    def __str__(self) -> str:
        return self.text

    @property
    def key(self) -> str:
        """The same text for names of the same port."""
        value = canonical_port(self.value) if self.kind == "port" else self.value.lower()
        return f"{self.kind}:{value}"


def parse_name(text: str) -> BoardName:
    """A name of a board.

    Raises:
        UsageError: it is none; says what is wrong, and what names look like.
    """
    text = text.strip()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise _refused(text, "it is empty" if not text else "it is too long or has control characters")
    if text.isdecimal():
        return BoardName("id", str(int(text)), text)
    if match := _USB.fullmatch(text):
        ids = f"{match[1].lower()}:{match[2].lower()}"
        serial = (match[3] or "").strip()
        return BoardName("usb", f"{ids}:{serial}" if serial else ids, text)
    if match := _LOCATION.fullmatch(text):
        return BoardName("location", match[1], text)
    if (match := _MAC.fullmatch(text)) and (text.lower().startswith("mac:") or len(match[1]) > 12):
        return BoardName("mac", plain_mac(match[1]), text)
    if match := _URL.match(text):
        if wrong := _wrong_url(match[1].lower(), text):
            raise _refused(text, wrong)
        return BoardName("port", text, text)
    if match := _PREFIX.match(text):
        raise _refused(text, f"`{match[1].lower()}:` is followed by something else")
    return BoardName("port", text, text)


def parse_port(text: str) -> BoardName:
    """A name of a board that says where it is plugged in: no id.

    Raises:
        UsageError: it is none.
    """
    name = parse_name(text)
    if name.kind == "id":
        raise _refused(name.text, "that is an id, which does not say where the board is")
    return name


def canonical_port(port: str) -> str:
    """The same text for the same port: links such as `/dev/serial/by-id/…` are followed, a URL's options
    are left out."""
    if is_url(port):
        parts = urlsplit(port)
        return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"
    try:
        return os.path.realpath(port)
    except OSError:
        # Between its two looks at a link the board was unplugged (CPython 3.11, `_joinrealpath`: `readlink`).
        return os.path.abspath(port)


def is_url(port: str) -> bool:
    """Whether a port is named by URL (`rfc2217://`, `socket://`) rather than by path."""
    return "://" in port


def may_be_simulated(port: str, found_among: Sequence[str] = ()) -> bool:
    """Whether a board may be one in software on this computer, by where it is plugged in.

    Args:
        port: a name of the board, or empty.
        found_among: ports where a board that is named by its MAC is looked for, beside USB ports.
    """
    if not port:
        return bool(found_among)
    name = parse_name(port)
    if name.kind == "mac":
        return any(may_be_simulated(one) for one in found_among)
    if name.kind != "port":
        return False
    if is_url(name.value):
        return is_loopback(urlsplit(name.value).hostname or "")
    return _SYSTEM_PORT.match(name.value) is None


def is_loopback(host: str) -> bool:
    """Whether an address is this computer's own, of which every computer and board has one."""
    bare = host.strip("[]").lower()
    return bare in ("localhost", "ip6-localhost", "::1", "::", "0.0.0.0") or bare.startswith("127.")


def plain_mac(text: str) -> str:
    """Twelve small hex digits."""
    return re.sub(r"[:-]", "", text).lower()


def mac_text(mac: str) -> str:
    """`240ac4000080` → `24:0a:c4:00:00:80`."""
    return ":".join(mac[at : at + 2] for at in range(0, len(mac), 2))


def _refused(text: str, why: str) -> UsageError:
    return UsageError(
        f"`{text}` names no board: {why}",
        next_step="a port (/dev/ttyUSB0), rfc2217://HOST:PORT, usb:VID:PID:SERIAL, location:1-1.2, "
        "mac:24:0a:c4:00:00:80, or a buoy id",
    )


def _wrong_url(scheme: str, text: str) -> str:
    """What pyserial would not take of a URL; empty if nothing."""
    options = _OPTIONS.get(scheme)
    if options is None:
        return f"`{scheme}://` is not known; known are {', '.join(f'`{name}://`' for name in _OPTIONS)}"
    if any(c.isspace() for c in text):
        return "a URL has no blanks"
    place = text.partition("://")[2]
    if place.count(":") > 1 and "[" not in place and "@" not in place:
        return "an IPv6 address stands in brackets: [::1]"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "its port is not a number from 1 to 65535, or its IPv6 address is not whole"
    if not host or not port:
        return "it has no HOST:PORT"
    if "@" in parts.netloc:
        return "it has a user, which no serial server asks for"
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in options:
            known = ", ".join(shape for _, shape in options.values())
            return f"unknown option `{name}`; known: {known}"
        fits, shape = options[name]
        if not fits(value):
            return f"option `{name}` has the value '{value}'; write {shape}"
    return f"`#{parts.fragment}` is no part of it" if parts.fragment else ""
