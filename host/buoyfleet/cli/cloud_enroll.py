"""What `buoy cloud enroll` and `buoy cloud retire` do: say it, ask, do it with progress, report."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from buoyfleet.cli.consent import ask
from buoyfleet.cli.console import write_line
from buoyfleet.cloud.aws.account import Account
from buoyfleet.cloud.aws.bulk import Outcome
from buoyfleet.cloud.aws.enroll import Enrolment, Keys, wanted_things
from buoyfleet.cloud.aws.retire import Retirement
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import Fleet

_SHOWN = 10
_KEYS: dict[Keys, str] = {
    "csr": "EC, made here; certificates by AWS",
    "aws-keys": "RSA, made by AWS, as are the certificates",
    "own-ca": "EC, made here; certificates by a CA of the fleet, registered for SNI only",
}
_PIPE_LINE_S = 5.0


@dataclass(frozen=True, slots=True)
class EnrollRequest:
    """What was asked on the command line."""

    keys: Keys
    in_service: bool
    dry_run: bool
    yes: bool
    quiet: bool


@dataclass(frozen=True, slots=True)
class RetireRequest:
    """What was asked on the command line."""

    everything: bool
    in_service: bool
    dry_run: bool
    yes: bool
    quiet: bool


def enroll_fleet(fleet: Fleet, spec: AwsSpec, request: EnrollRequest) -> ExitCode:
    """Enrol; returns how it went.

    Raises:
        BuoyError: nothing could be done at all.
    """
    account = Account(spec)
    enrolment = Enrolment(account, spec, fleet.topic_prefix, request.keys)
    boards = [(board.thing_name, board.buoy_id) for board in fleet.boards]
    wanted = wanted_things(spec, boards, in_service=request.in_service)
    work = enrolment.plan(wanted)
    identity = account.identity()
    write_line(f"account   {identity['Account']} in {account.region}, as {identity['Arn']}")
    write_line(
        f"things    {len(wanted):,} of type {spec.thing_type} in group {spec.thing_group}, for topics "
        f"{fleet.topic_prefix}/<id>/…; {len(wanted) - len(work.todo):,} are complete"
    )
    write_line(f"keys      {_KEYS[request.keys]}, into {enrolment.folder} (0600)")
    write_line(f"policies  {', '.join(work.policies)}")
    if request.dry_run:
        _list("would be enrolled", [thing.name for thing in work.todo])
        write_line("dry run: nothing was changed")
        return ExitCode.OK
    if not request.yes:
        ask(f"Enrol {len(work.todo):,} things?")
    with _interruptible() as stop, _Steps("enrolled", quiet=request.quiet) as steps:
        outcome = enrolment.run(work, steps.show, stop)
    return _report(outcome, "enrolled", "buoy cloud enroll")


def retire_fleet(fleet: Fleet, spec: AwsSpec, request: RetireRequest) -> ExitCode:
    """Retire; returns how it went.

    Raises:
        BuoyError: nothing could be done at all.
    """
    account = Account(spec)
    retirement = Retirement(account, spec)
    names = None if request.everything else [*(board.thing_name for board in fleet.boards), spec.witness]
    doomed = retirement.plan(names, in_service=request.in_service)
    identity = account.identity()
    write_line(f"account   {identity['Account']} in {account.region}, as {identity['Arn']}")
    write_line(f"things    {len(doomed.things):,} with their certificates and key files")
    if doomed.in_service:
        _list("in service, left alone (--in-service retires them as well)", doomed.in_service)
    if doomed.absent and not request.everything:
        write_line(f"          {len(doomed.absent):,} are not in the registry")
    if doomed.last:
        write_line(f"shared    policies {spec.policy}, {spec.witness}; group {spec.thing_group}")
    if request.dry_run:
        _list("would be deleted", doomed.things)
        write_line("dry run: nothing was changed")
        return ExitCode.OK
    if not doomed.things:
        write_line("nothing to retire")
        return ExitCode.OK
    if not request.yes:
        ask(f"Delete {len(doomed.things):,} things for good?")
    with _interruptible() as stop, _Steps("retired", quiet=request.quiet) as steps:
        outcome = retirement.run(doomed, steps.show, stop)
    for note in retirement.notes:
        write_line(f"note      {note}")
    return _report(outcome, "retired", "buoy cloud retire")


def _report(outcome: Outcome, done: str, again: str) -> ExitCode:
    write_line(f"{outcome.done:,} {done}, {len(outcome.failed):,} failed, {outcome.left:,} left")
    for name, why in list(outcome.failed.items())[:_SHOWN]:
        write_line(f"✗ {name}: {why}", sys.stderr)
    if len(outcome.failed) > _SHOWN:
        write_line(f"  and {len(outcome.failed) - _SHOWN:,} more", sys.stderr)
    if outcome.failed or outcome.left:
        write_line(f"  next: {again}   (goes on where it was)", sys.stderr)
    if outcome.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.BOARDS_FAILED if outcome.failed or outcome.left else ExitCode.OK


def _list(title: str, names: Sequence[str]) -> None:
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if names[_SHOWN:] else "")
    write_line(f"{title}: {shown or 'nothing'}")


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C once: finish what is under way, begin nothing more. Twice: as usual."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def interrupt(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        write_line("stopping: what is under way is finished", sys.stderr)
        stop.set()

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class _Steps:
    """Progress of many things: a line that is redrawn on a terminal, a line now and then in a pipe."""

    def __init__(self, done: str, *, quiet: bool) -> None:
        self._done = done
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._began_s = time.monotonic()
        self._drawn_s = 0.0
        self._drawn = False

    def __enter__(self) -> "_Steps":
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn and self._terminal:
            sys.stderr.write("\n")

    def show(self, done: int, failed: int, total: int) -> None:
        """Draw, unless that was a moment ago."""
        now_s = time.monotonic()
        pause_s = 0.1 if self._terminal else _PIPE_LINE_S
        if self._quiet or (now_s - self._drawn_s < pause_s and done + failed < total):
            return
        self._drawn_s, self._drawn = now_s, True
        elapsed_s = max(now_s - self._began_s, 0.001)
        rate = (done + failed) / elapsed_s
        left_s = (total - done - failed) / rate if rate else 0.0
        line = f"{done:,} of {total:,} {self._done}, {rate:.0f}/s, {left_s:.0f} s to go"
        if failed:
            line += f", {failed:,} failed"
        sys.stderr.write(f"\r{line:<78}" if self._terminal else f"{line}\n")
        sys.stderr.flush()
