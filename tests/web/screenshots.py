"""Pictures of every page at three sizes, with two real runs, one under way and simulated boards.

make screenshots                     into docs/screenshots/
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from chromium import CHROMIUM, SIZES, new_tab, ready, served
from playwright.sync_api import Browser, Page, sync_playwright

from buoyfleet.runs.live import read_live, runs_under_way
from buoyfleet.simulation.esp32.simulator import Simulator
from buoyfleet.simulation.esp32.synthetic import write_synthetic

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "screenshots"
BUOY = (sys.executable, "-m", "buoyfleet.cli.main")
BOARDS = range(160, 168)
WIFI = {"buoys": "wifi-of-the-picture"}
FLEET = """fleet: harbour
target: local
run: {{messages: 3, rate: 2/s}}
boards:
  - kind: simulated
    ids: 160-167
    sensors: counter
    wifi: {{ssid: buoys, password: "${{env:WIFI_PASSWORD}}"}}
    overrides: {{{ports}}}
bench: {{ntp_host: none, interpreter: image.bin}}
"""
WAIT_S = 120.0


def until(found: Callable[[], object], what: str) -> None:
    """Wait for something that another process does.

    Raises:
        SystemExit: it did not come.
    """
    end_s = time.monotonic() + WAIT_S
    while not found():
        if time.monotonic() > end_s:
            sys.exit(f"{what} did not come within {WAIT_S:g} s")
        time.sleep(0.2)


def take(browser: Browser, address: str, name: str, show: Callable[[Page], None] = lambda _: None) -> None:
    """One page at each size."""
    for size in SIZES:
        with new_tab(browser, size, color_scheme="light") as page:
            page.goto(address)
            ready(page)
            show(page)
            page.screenshot(path=PICTURES / f"{name}-{size}.png")


def with_figures(page: Page) -> None:
    """The page asks for them once a second."""
    page.get_by_text("No figures yet.").wait_for(state="hidden")


@contextmanager
def a_run_under_way(folder: Path) -> Iterator[str]:
    """Its name; it is stopped afterwards."""
    words = ["run", "boards.yaml", "--rate", "2/s", "--count", "400", "--quiet"]
    with subprocess.Popen([*BUOY, *words], cwd=folder) as process:
        try:
            runs = folder / "runs"
            until(lambda: runs_under_way(runs), "a run under way")
            under_way = runs_under_way(runs)[0]
            until(lambda: (live := read_live(under_way)) is not None and live.sent > 200, "its messages")
            yield under_way.name
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(WAIT_S)


def of_runs(browser: Browser, folder: Path) -> None:
    """Runs, one run, two compared, a trend, and one under way."""
    shutil.copy(ROOT / "boards.yaml", folder)
    for count in ("20", "40", "60"):
        subprocess.run([*BUOY, "run", "--flat-out", "--count", count, "--quiet"], cwd=folder, check=True)
    names = sorted(path.name for path in (folder / "runs").iterdir())
    with served(folder) as server:
        take(browser, f"{server.address}/runs", "runs")
        take(browser, f"{server.address}/runs/{quote(names[-1])}", "run")
        chosen = "&".join(f"run={quote(name)}" for name in names[:2])
        take(browser, f"{server.address}/compare?{chosen}", "compare")
        take(browser, f"{server.address}/trend", "trend")
        with a_run_under_way(folder) as name:
            take(browser, f"{server.address}/fleet/{quote(name)}", "fleet", with_figures)


def of_the_bench(browser: Browser, folder: Path) -> None:
    """Eight boards that are commissioned."""
    write_synthetic(folder / "image.bin")
    with Simulator(folder / "sim", BOARDS, flashed=False, access_points=WIFI):
        named = ", ".join(f"{buoy}: {{port: sim/ports/buoy-{buoy}}}" for buoy in BOARDS)
        (folder / "boards.yaml").write_text(FLEET.format(ports=named))
        with served(folder, "--ports", "sim/ports/*", WIFI_PASSWORD=WIFI["buoys"]) as server:
            begun = False

            def begin(page: Page) -> None:
                nonlocal begun
                if not begun:
                    page.get_by_role("button", name="Commission", exact=True).click()
                    begun = True
                page.get_by_text("▶ working").first.wait_for()

            take(browser, f"{server.address}/bench", "bench", begin)


def main() -> None:
    """Write all pictures."""
    PICTURES.mkdir(exist_ok=True)
    os.environ.pop("BUOY_WEB_TOKEN", None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for part in (of_runs, of_the_bench):
            with tempfile.TemporaryDirectory(prefix="buoy-") as folder:
                part(browser, Path(folder))
        browser.close()
    sys.stdout.write(f"{len(list(PICTURES.glob('*.png')))} pictures in {PICTURES}\n")


if __name__ == "__main__":
    main()
