"""The bench in the browser: two of them on one bench, simulated boards commissioned, the records."""

import pytest
from chromium import WAIT_MS, findings, new_tab, ready, served
from playwright.sync_api import expect

from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import write_synthetic

pytestmark = pytest.mark.web
WIFI_PASSWORD = "k7-wifi-password-of-the-test"
FLEET = """fleet: bench
target: local
run: {{messages: 3, rate: 2/s}}
boards:
  - kind: simulated
    ids: 160-168
    sensors: counter
    wifi: {{ssid: bench-of-the-test, password: "${{env:WIFI_PASSWORD}}"}}
    overrides: {{{ports}}}
bench: {{ntp_host: none, interpreter: {folder}/image.bin}}
"""


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


@pytest.mark.timeout(900)
def test_eight_boards_are_commissioned_with_progress_and_a_missing_one_is_told(browser, tmp_path):
    ids = range(160, 168)
    absent = 168
    write_synthetic(tmp_path / "image.bin", size=80_000)  # what is tested is not how long a line takes
    access = {"bench-of-the-test": WIFI_PASSWORD}
    with Simulator(tmp_path / "sim", ids, flashed=False, access_points=access) as boards:
        named = ", ".join(f"{buoy}: {{port: sim/ports/buoy-{buoy}}}" for buoy in [*ids, absent])
        (tmp_path / "boards.yaml").write_text(FLEET.format(ports=named, folder=tmp_path))
        with (
            served(tmp_path, "--ports", f"{tmp_path}/sim/ports/*", WIFI_PASSWORD=WIFI_PASSWORD) as server,
            new_tab(browser, "tablet") as tab,
        ):
            tab.set_default_timeout(600_000)
            tab.goto(f"{server.address}/bench")
            ready(tab)
            tab.get_by_role("cell", name=boards.path(160)).wait_for()
            tab.get_by_role("button", name="Commission", exact=True).click()
            tab.get_by_text("▶ working").first.wait_for()
            with new_tab(browser, "phone") as second:
                second.goto(f"{server.address}/bench")
                ready(second)
                second.get_by_text("▶ working").first.wait_for()
            tab.get_by_text("8 of 9 done, 1 failed.").wait_for()
            tab.get_by_role("alert").filter(has_text="buoy-168").first.wait_for()
            assert findings(tab) == []
            tab.reload()
            ready(tab)
            expect(tab.get_by_role("cell", name="✓ yes")).to_have_count(len(ids), timeout=WAIT_MS)
