"""Runs in the browser: found, tagged, read, compared; two real runs of a few boards."""

import shutil
import subprocess
import sys

import pytest
from chromium import findings, new_tab, ready, served

pytestmark = pytest.mark.web
HOSTILE = "<script>window.hit=1</script>"


@pytest.fixture(scope="module")
def site(tmp_path_factory, project_root):
    """A folder with two runs, a damaged one and one with a hostile name."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copy(project_root / "boards.yaml", folder)
    for count in ("10", "20"):
        words = ["run", "--flat-out", "--count", count, "--quiet"]
        done = subprocess.run(
            [sys.executable, "-m", "buoyfleet.cli.main", *words], cwd=folder, timeout=200, check=False
        )
        assert done.returncode == 0
    for name in (HOSTILE.replace("/", "_"), "x" * 250):
        (folder / "runs" / name).mkdir()
        (folder / "runs" / name / "fleet.yaml").write_text("fleet: x\n")
    return folder


@pytest.fixture(scope="module")
def server(site):
    with served(site) as running:
        yield running


def names(page):
    return page.locator("tbody tr td:nth-child(2)").all_text_contents()


def test_runs_are_listed_and_searched_and_hostile_names_are_text(opened, server):
    page = opened(f"{server.address}/runs")
    assert len(names(page)) == 4
    assert HOSTILE.replace("/", "_") in names(page)
    assert page.evaluate("window.hit") is None
    page.get_by_label("Search").fill("passed")
    page.get_by_role("button", name="Search").click()
    ready(page)
    assert len(names(page)) == 2
    page.get_by_label("Search").fill("since=never")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("alert").get_by_text("since='never' is no date").wait_for()


def test_two_runs_are_chosen_and_compared(opened, server):
    page = opened(f"{server.address}/runs?q=passed")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare those chosen").click()
    ready(page)
    page.get_by_role("heading", name="Metrics").wait_for()
    page.get_by_role("heading", name="Settings that differ").wait_for()
    assert findings(page) == []
    page.get_by_label("Fails if").fill("ack.p99 > 0.000001 x")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_text("✗ ack.p99 > 0.000001 x").wait_for()


def test_a_run_is_tagged_and_becomes_the_baseline(opened, server, site):
    page = opened(f"{server.address}/runs?q=passed")
    page.locator("tbody a").last.click()
    ready(page)
    page.get_by_label("New tag").fill("slow broker")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("alert").get_by_text("no tag: 'slow broker'").wait_for()
    page.get_by_role("button", name="Make it the baseline").click()
    page.get_by_role("button", name="remove tag baseline").wait_for()
    assert [file.read_text() for file in (site / "runs").glob("*/tags.json")] == ['["baseline"]\n']
    page.goto(f"{server.address}/runs?q=tag=baseline")
    assert len(names(page)) == 1
    page.goto(f"{server.address}/runs?q=passed")
    page.locator("tbody a").first.click()
    page.get_by_role("link", name="Compare with its baseline").click()
    page.get_by_role("heading", name="Metrics").wait_for()


def test_a_report_is_shown_in_a_sandbox(opened, server):
    page = opened(f"{server.address}/runs?q=passed")
    page.locator("tbody a").first.click()
    ready(page)
    report = page.frame_locator("iframe.report")
    report.get_by_role("heading").first.wait_for()
    assert report.locator("body").evaluate("() => window.origin") == "null"
    assert findings(page) == []


def test_the_trend_of_a_metric_is_a_line_and_a_table(opened, server):
    page = opened(f"{server.address}/trend?q=passed&metric=ack.p50")
    page.get_by_role("img", name="ack.p50 of 2 runs").wait_for()
    assert page.locator("tbody tr").count() == 2
    assert findings(page) == []


@pytest.mark.parametrize("name", ["..%2F..%2Fetc", "nothing-of-that-name", "%00"])
def test_nothing_outside_the_folder_of_runs_is_opened(browser, server, name):
    with new_tab(browser) as page:
        page.goto(f"{server.address}/runs")
        answer = page.evaluate(f"fetch('/report/{name}').then(answer => answer.text())")
        assert "root:" not in answer
        assert "there is no run" in answer or "not found" in answer.lower() or "404" in answer
