"""A server of `buoy web` as users start it, and Chromium to look at it."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
WAIT_MS = 60_000
"""Of what takes a second on a machine with nothing else to do."""
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1400, 900)}
SERIOUS = ("serious", "critical")


@dataclass
class Server:
    """`buoy web` in a process of its own."""

    process: "subprocess.Popen[str]"
    address: str
    token: str
    folder: Path


@contextlib.contextmanager
def served(folder: Path, *options: str, port: int = 0, **environment: str) -> Iterator[Server]:
    """Start a server in a folder and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "buoyfleet.cli.main", "web", "--port", str(port), *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline()]
        while lines[-1] and "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
        text = "".join(lines)
        address = re.search(r"http://\S+", text)
        assert address, text
        token = re.search(r"token: (\S+)", text)
        yield Server(process, address[0], token[1] if token else "", folder)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@contextlib.contextmanager
def new_tab(
    browser: Browser, size: str = "desktop", *, may_complain: bool = False, **options: str
) -> Iterator[Page]:
    """A tab with cookies of its own; errors in its console fail the test unless it `may_complain`."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    # An answer of 401 or 404, and a server that was ended, are parts of some tests.
    expected = ("Failed to load resource", "ERR_", "WebSocket connection to")
    assert may_complain or [line for line in said if not any(text in line for text in expected)] == []


def ready(page: Page) -> None:
    """Wait until a page is connected to its server: before, it only looks usable."""
    page.wait_for_function("window.did_handshake === true && window.socket?.connected === true")


def findings(page: Page) -> list[str]:
    """What axe-core finds serious on a page, with the elements."""
    result = Axe().run(page)
    return [
        f"{found['id']} ({found['impact']}): {node['html'][:200]}"
        for found in result.response["violations"]
        if found["impact"] in SERIOUS
        for node in found["nodes"]
    ]
