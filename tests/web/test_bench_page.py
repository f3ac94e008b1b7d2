"""The bench in the browser: two of them on one bench, simulated boards commissioned, the records."""

import pytest
from chromium import findings, new_tab, ready, served

pytestmark = pytest.mark.web


def test_the_second_browser_sees_and_takes_over_only_by_asking(browser, tmp_path):
    with served(tmp_path) as server, new_tab(browser) as first, new_tab(browser, "phone") as second:
        for tab in (first, second):
            tab.goto(f"{server.address}/bench")
            ready(tab)
            assert findings(tab) == []
        first.get_by_text("✓ You have the bench").wait_for()
        second.get_by_text("has the bench. You see what it does.").wait_for()
        second.get_by_role("button", name="Commission", exact=True).click()
        second.get_by_text("another browser has the bench").wait_for()
        second.get_by_role("button", name="Ask to take over").click()
        first.get_by_role("button", name="Keep it").click()
        second.get_by_role("button", name="Ask to take over").click()
        first.get_by_role("button", name="Give it").click()
        second.get_by_text("✓ You have the bench").wait_for()
        first.get_by_role("button", name="Ask to take over").wait_for()


def test_a_missing_fleet_file_is_said_with_the_next_step(opened, tmp_path):
    with served(tmp_path) as server:
        tab = opened(f"{server.address}/bench")
        tab.get_by_role("button", name="Commission", exact=True).click()
        tab.get_by_role("alert").get_by_text("boards.yaml").first.wait_for()
