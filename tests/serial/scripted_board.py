"""A board on a PTY whose every byte the test writes."""

import json
import os
import select
import threading
import tty
from collections.abc import Callable
from pathlib import Path

from buoy.console import INVALID, MARKER, checked, sealed


class ScriptedBoard:
    """A PTY; `answer(request)` gives the bytes that follow a request, or None.

    Args:
        link: the port's name, a symbolic link as of a serial adapter.
    """

    def __init__(self, link: Path, answer: Callable[[dict], bytes | None] | None = None) -> None:
        self.path = link
        self.answer = answer or (lambda request: ok(request, request["do"]))
        self.requests: list[dict] = []
        self._plug()

    def say(self, data: bytes) -> None:
        """Bytes to whoever has the port open."""
        os.write(self._master, data)

    def tell(self, number: int, **body: object) -> None:
        """A numbered event."""
        self.say(MARKER + sealed(json.dumps({"n": number, "event": body}).encode()) + b"\r\n")

    def unplug(self) -> None:
        """The port goes away."""
        self.path.unlink()
        os.write(self._wake, b"x")
        self._thread.join(10)
        for descriptor in (self._wake, self._woken, self._slave, self._master):
            os.close(descriptor)

    def replug(self) -> None:
        """It is back under the same name."""
        self._plug()

    def _plug(self) -> None:
        self._master, self._slave = os.openpty()
        self._woken, self._wake = os.pipe()
        tty.setraw(self._slave)
        self.path.symlink_to(os.ttyname(self._slave))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        rest = b""
        # A descriptor must not be closed while another thread reads it.
        while self._woken not in select.select([self._master, self._woken], [], [])[0]:
            data = os.read(self._master, 4096)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.startswith(MARKER):
                    request = json.loads(checked(line[len(MARKER) :]))
                    self.requests.append(request)
                    reply = self.answer(request)
                    if reply:
                        os.write(self._master, reply)


def ok(request: dict, value: object) -> bytes:
    """The answer to a request."""
    return MARKER + sealed(json.dumps({"id": request["id"], "ok": value}).encode()) + b"\r\n"


def refused(request: dict, reason: str, code: int = INVALID) -> bytes:
    """The other answer."""
    body = {"id": request["id"], "error": reason, "code": code}
    return MARKER + sealed(json.dumps(body).encode()) + b"\r\n"
