"""What every page is given: the folders that the server was started for, and who is asking."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starlette.datastructures import QueryParams

from buoyfleet.web.sessions import Session


@dataclass(frozen=True, slots=True)
class Site:
    """What one server shows."""

    runs: Path = Path("runs")
    """Holds the runs' folders."""
    fleet: Path = Path("boards.yaml")
    """The fleet file; it need not exist."""
    bench: Path = Path("bench")
    """Records, keys, images and logs of the bench."""
    ports: tuple[str, ...] = ()
    """More serial ports: paths, `FOLDER/*` or URLs."""


@dataclass(frozen=True, slots=True)
class View:
    """One opening of one page."""

    site: Site
    session: Session
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Of the page's address: `/runs/{name}` gives `name`."""
    query: QueryParams = field(default_factory=QueryParams)
    """What follows the `?`: a mapping that has the last of a name that comes twice; `getlist` has all."""
