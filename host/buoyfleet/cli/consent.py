"""Asking before something that others depend on is used."""

import sys

from buoyfleet.cli.console import print_checks, write_line
from buoyfleet.cloud.target import Stakes
from buoyfleet.model.errors import PreflightError, UsageError


def agree(stakes: Stakes, *, yes: bool, allow_live: bool, quiet: bool) -> None:
    """Show what is at stake and ask; returns if the run may begin.

    Args:
        stakes: as of `Target.stakes`.
        yes: do not ask.
        allow_live: signs that boards in service would be disturbed are shown and overruled.
        quiet: show nothing that is not asked about.

    Raises:
        PreflightError: a reason not to begin, or the answer was no.
        UsageError: nobody is there to be asked.
    """
    if not quiet or not yes:
        for line in stakes.lines:
            write_line(line, sys.stderr)
    blocking = [*stakes.refusals, *(() if allow_live else stakes.live)]
    if blocking:
        raise PreflightError(
            "; ".join(f"{check.name}: {check.detail}" for check in blocking),
            where="guard of the live system",
            next_step="; ".join(check.next_step for check in blocking if check.next_step),
        )
    if stakes.live:
        write_line("overruled by --allow-live:", sys.stderr)
        print_checks(stakes.live, sys.stderr)
    if yes:
        return
    ask("Begin?", USES_ACCOUNT)


USES_ACCOUNT = "this uses an AWS account"


def ask(question: str, because: str) -> None:
    """Ask; returns if the answer is yes.

    Args:
        question: ends with a question mark.
        because: why it is asked, for whoever cannot be asked.

    Raises:
        PreflightError: it was not.
        UsageError: nobody is there to be asked.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{because}, and nobody is there to agree to it",
            cause="the input is no terminal",
            next_step="type the same command at a terminal, or add --yes",
        )
    sys.stderr.write(f"{question} Type yes: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("yes", "y"):
        raise PreflightError("not agreed to; nothing was done")
