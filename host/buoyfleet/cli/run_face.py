"""A run in a terminal."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from buoyfleet.cli.consent import agree
from buoyfleet.cli.console import print_error
from buoyfleet.cli.progress import Progress
from buoyfleet.cloud.target import Stakes
from buoyfleet.model.errors import BuoyError, UsageError
from buoyfleet.runs.targets import LimitMode
from buoyfleet.runs.ui import ShowProgress


class TerminalUi:
    """Asks, shows and warns on standard error; what will run stands on standard output."""

    def __init__(self, *, quiet: bool, yes: bool, allow_live: bool) -> None:
        """`yes`: agreed to without being asked; `allow_live`: signs of boards in service are overruled."""
        self._quiet, self._yes, self._allow_live = quiet, yes, allow_live

    def confirm(self, stakes: Stakes) -> None:
        """See `agree`."""
        agree(stakes, yes=self._yes, allow_live=self._allow_live, quiet=self._quiet)

    def describe(self, lines: Sequence[str]) -> None:
        """Print them, unless quiet."""
        if not self._quiet:
            sys.stdout.write("\n".join(lines) + "\n\n")
            sys.stdout.flush()

    @contextmanager
    def progress(self) -> Iterator[ShowProgress]:
        """A line that is drawn again and again."""
        with Progress(quiet=self._quiet) as shown:
            yield shown.show

    def warn(self, error: BuoyError) -> None:
        """Print it as any error."""
        print_error(error)


def limit_mode(asked: str | None) -> LimitMode | None:
    """The twin's rates as the command line names them.

    Raises:
        UsageError: no such mode.
    """
    modes: dict[str | None, LimitMode | None] = {"aws": "aws", "lifted": "lifted", None: None}
    if asked not in modes:
        raise UsageError(f"--limits {asked!r} is not known", next_step="use --limits aws or --limits lifted")
    return modes[asked]
