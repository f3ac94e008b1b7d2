"""The pages there are: a row for each."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from buoyfleet.web.site import View

Build = Callable[[View], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Page:
    """A page, which is imported when it is opened for the first time."""

    title: str
    """Its heading, and its word in the menu."""
    address: str
    """`/runs/{name}`: what stands in braces is in `View.parameters`."""
    function: str
    """`module:function` in `buoyfleet.web`, called with a `View`."""
    in_menu: bool = True

    def load(self) -> Build:
        """The function that draws the page."""
        module, _, name = self.function.partition(":")
        return cast(Build, getattr(import_module(f"buoyfleet.web.{module}"), name))


PAGES = (
    Page("Overview", "/", "overview_page:overview_page"),
    Page("Fleet", "/fleet", "fleet_page:fleet_page"),
    Page("Fleet, live", "/fleet/{name}", "live_page:live_page", in_menu=False),
    Page("Runs", "/runs", "runs_page:runs_page"),
    Page("Run", "/runs/{name}", "run_page:run_page", in_menu=False),
    Page("Compare runs", "/compare", "compare_page:compare_page", in_menu=False),
    Page("Trend", "/trend", "trend_page:trend_page"),
    Page("Bench", "/bench", "bench_page:bench_page"),
)
