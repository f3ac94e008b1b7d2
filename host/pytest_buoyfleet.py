"""Boards and fleets in the tests of others (docs/testing.md); the entry point `pytest11` leads here.

Outside the package on purpose: `import buoyfleet` makes a board's packages `buoy` and `sensors` importable,
and a project may have a `sensors` of its own. Nothing of it is imported before a test asks for one of the
fixtures, so that everybody else pays for this file alone.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from buoyfleet.simulation.esp32.simulator import Simulator
    from buoyfleet.testing.boards import BoardUnderTest, SimulatedBoards
    from buoyfleet.testing.fleets import RunFleet, Runs

OPTION = "--buoy-board"
MARK = "buoy"
_SIMULATED = "simulated"
_EXPLAINS: "pytest.StashKey[list[BoardUnderTest | Runs]]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--buoy-board`, as often as there are boards."""
    parser.getgroup("buoyfleet").addoption(
        OPTION,
        action="append",
        default=[],
        metavar="BOARD",
        help="a board for tests with the fixture `board`, in place of a simulated one: a port, mac:…, usb:…, "
        "a URL; repeatable",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known, and the fixture `board` for the boards there are."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(firmware=False): whether a simulated board has the buoy's firmware, or MicroPython alone",
    )
    names = config.getoption(OPTION) or [_SIMULATED]

    class Boards:
        """A fixture whose parameters are known only now; a test's own fixture `board` takes its place."""

        @pytest.fixture(params=names)
        def board(self, request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[BoardUnderTest]":
            """A board that this test alone has: a new simulated one, or those of `--buoy-board`."""
            yield from _board(request, tmp_path)

    config.pluginmanager.register(Boards(), "buoyfleet-boards")


def _board(request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[BoardUnderTest]":
    from buoyfleet.testing.boards import held

    name: str = request.param
    kind: Literal["real", "simulated"] = "real"
    with ExitStack() as stack:
        if name == _SIMULATED:
            mark = request.node.get_closest_marker(MARK)
            boards: SimulatedBoards = request.getfixturevalue("_simulated_boards")
            name = stack.enter_context(boards.new(firmware=bool(mark and mark.kwargs.get("firmware"))))
            kind = "simulated"
        found = stack.enter_context(held(name, kind, tmp_path))
        request.node.stash.setdefault(_EXPLAINS, []).append(found)
        yield found


@pytest.fixture(scope="session")
def _simulated_boards(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SimulatedBoards]":
    from buoyfleet.testing.boards import SimulatedBoards

    boards = SimulatedBoards(tmp_path_factory.mktemp("boards"))
    yield boards
    boards.close()


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Simulator]":
    """A simulator without boards for the whole session: `simulator.add(128)`, then `simulator.path(128)`."""
    from buoyfleet.simulation.esp32.simulator import Simulator

    with Simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> "RunFleet":
    """Runs a fleet file to its verdict: `assert fleet("boards.yaml", count=5).verdict.passed`."""
    from buoyfleet.testing.fleets import Runs

    runs = Runs(tmp_path / "runs")
    request.node.stash.setdefault(_EXPLAINS, []).append(runs)
    return runs.run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its boards said and why its runs did not pass."""
    report = yield
    if report.failed:
        for one in item.stash.get(_EXPLAINS, []):
            report.sections += one.explained()
    return report
