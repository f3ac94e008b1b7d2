"""A run in the browser: started, watched, found again after a restart of the server, stopped."""

import json
import os
import signal

import pytest
from chromium import WAIT_MS, findings, new_tab, ready, served

from buoyfleet.runs.live import read_live, runs_under_way

# A run, two servers and a browser: minutes on a machine that does other things, too.
pytestmark = [pytest.mark.web, pytest.mark.timeout(1200)]
FLEET = """\
fleet: jetty
target: local
run: {rate: 5/s, messages: 100000}
boards:
  - {ids: 100-139, kind: virtual}
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "boards.yaml").write_text(FLEET)
    yield tmp_path
    for folder in runs_under_way(tmp_path / "runs"):
        live = read_live(folder)
        if live is not None:
            os.kill(live.pid, signal.SIGKILL)


def card(tab, name):
    return tab.locator(".card", has_text=name).locator(".figure")


def test_a_run_is_started_watched_found_again_and_stopped(browser, site):
    with new_tab(browser, "tablet") as tab:
        with served(site) as server:
            tab.goto(f"{server.address}/fleet")
            ready(tab)
            assert findings(tab) == []
            tab.get_by_label("Messages of a board").fill("10/s")
            tab.get_by_role("button", name="Start").click()
            tab.wait_for_url("**/fleet/*-jetty")
            ready(tab)
            tab.get_by_text("40 boards: 40 connected.").wait_for()
            assert findings(tab) == []
            tab.wait_for_function("/^[1-9]/.test([...document.querySelectorAll('.figure')][2].textContent)")
            path = tab.url.removeprefix(server.address)
        # The server has ended, the run has not: another server shows it, and it can be stopped there.
        (folder,) = runs_under_way(site / "runs")
        with served(site) as server:
            tab.goto(f"{server.address}/fleet")
            tab.get_by_role("link", name=folder.name).click()
            tab.wait_for_url(f"**{path}")
            ready(tab)
            tab.get_by_role("button", name="Stop and drain").click()
            tab.get_by_text("! interrupted:").wait_for(timeout=3 * WAIT_MS)
            tab.get_by_role("heading", name="Stages, with what they lost").wait_for()
            assert findings(tab) == []
    assert runs_under_way(site / "runs") == []
    assert json.loads((folder / "result.json").read_text())["run"]["interrupted"] is True


def test_a_run_that_cannot_begin_says_why(opened, site):
    with served(site) as server:
        tab = opened(f"{server.address}/fleet")
        tab.get_by_label("Messages per board").fill("many")
        tab.get_by_role("button", name="Start").click()
        tab.get_by_text("many").wait_for()
        assert "count" in tab.locator("pre.log").text_content()
