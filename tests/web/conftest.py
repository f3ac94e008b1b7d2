"""Debian's Chromium, driven by playwright."""

from collections.abc import Callable, Iterator

import pytest
from chromium import CHROMIUM, new_tab, ready
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A page in a browser of its own; what its console says against the page fails the test."""
    with new_tab(browser) as page:
        yield page


@pytest.fixture
def opened(tab: Page) -> Callable[[str], Page]:
    """Opens an address and waits until the page is connected."""

    def open_page(address: str) -> Page:
        tab.goto(address)
        ready(tab)
        return tab

    return open_page
