"""Which requests come from this server's own pages: against other sites, and names that change their address.

A page of another site can send requests to a server on loopback; the browser says where they come from
(`Origin`, `Sec-Fetch-Site`). By DNS rebinding it becomes a page of *this* host under a name of its own: then
the name gives it away (`Host`). An address in digits cannot be rebound.
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers


@dataclass(frozen=True, slots=True)
class Origins:
    """Judges requests by their headers."""

    names: frozenset[str]
    """Host names under which the server may be asked."""
    addresses: bool
    """Asked under any address in digits; else under those of loopback."""

    def host_refused(self, headers: Headers) -> str:
        """Why a request is not for this server; empty: it is."""
        host = headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name.lower().rstrip(".") in self.names:
                return ""
            address = ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return f"the server is not called {host[:100]!r}"
        return "" if self.addresses or address.is_loopback else f"the server does not listen on {name}"

    def origin_refused(self, headers: Headers, *, opens_page: bool) -> str:
        """Why a request comes from elsewhere; empty: it does not, or it only opens a page.

        Args:
            headers: of the request.
            opens_page: a GET of something that can be opened in a tab and changes nothing.
        """
        origin = headers.get("origin")
        if origin is not None:
            parts = urlsplit(origin)
            same = (
                parts.scheme in ("http", "https") and parts.netloc.lower() == headers.get("host", "").lower()
            )
            return "" if same else "the request comes from a page of another site"
        site = headers.get("sec-fetch-site", "same-origin")
        if site in ("same-origin", "none") or (opens_page and headers.get("sec-fetch-mode") == "navigate"):
            return ""
        return "the request comes from a page of another site"


def origins_for(listen: str) -> Origins:
    """What holds for a server that listens on an address."""
    if is_loopback(listen):
        return Origins(frozenset({"localhost"}), addresses=False)
    own = socket.gethostname().lower()
    short = own.partition(".")[0]
    return Origins(frozenset({"localhost", own, short, f"{short}.local", listen.lower()}), addresses=True)


def is_loopback(listen: str) -> bool:
    """Whether only this computer reaches a server that listens there."""
    if listen == "localhost":
        return True
    try:
        return ipaddress.ip_address(listen).is_loopback
    except ValueError:
        return False
