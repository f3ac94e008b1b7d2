"""Enrolling and retiring at a terminal: what is about to be done, a question, progress, report."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from buoyfleet.cli.consent import USES_ACCOUNT, ask
from buoyfleet.cli.console import write_line
from buoyfleet.cloud.aws.enroll import Keys
from buoyfleet.cloud.aws.enroll_fleet import EnrollResult, Intent, ShowSteps
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.exit_codes import ExitCode

_SHOWN = 10
_KEYS: dict[Keys, str] = {
    "csr": "EC, made here; certificates by AWS",
    "aws-keys": "RSA, made by AWS, as are the certificates",
    "own-ca": "EC, made here; certificates by a CA of the fleet, registered for SNI only",
}
_DONE = {"enroll": "enrolled", "retire": "retired"}
_PIPE_LINE_S = 5.0


class TerminalEnrollment:
    """Shows on standard output, asks and draws on standard error.

    Args:
        spec: of the pipeline.
        topic_prefix: of the fleet.
        yes: agreed to without being asked.
        quiet: no progress.
    """

    def __init__(self, spec: AwsSpec, topic_prefix: str, *, yes: bool, quiet: bool) -> None:
        self._spec, self._prefix, self._yes, self._quiet = spec, topic_prefix, yes, quiet

    def describe(self, intent: Intent) -> None:
        """A line for each thing to know."""
        write_line(f"account   {intent.account} in {intent.region}, as {intent.identity}")
        if intent.what == "enroll":
            self._describe_enrollment(intent)
        else:
            self._describe_retirement(intent)

    def confirm(self, intent: Intent) -> None:
        """Ask, unless it is agreed to already.

        Raises:
            BuoyError: the answer was no, or nobody is there to be asked.
        """
        if self._yes:
            return
        number = f"{len(intent.things):,} things"
        question = f"Enroll {number}?" if intent.what == "enroll" else f"Delete {number} for good?"
        ask(question, USES_ACCOUNT)

    @contextlib.contextmanager
    def progress(self, intent: Intent) -> Iterator[tuple[ShowSteps, threading.Event]]:
        """A line that is redrawn; Ctrl-C once finishes what is under way."""
        with _interruptible() as stop, _Steps(_DONE[intent.what], quiet=self._quiet) as steps:
            yield steps.show, stop

    def _describe_enrollment(self, intent: Intent) -> None:
        spec = self._spec
        write_line(
            f"things    {len(intent.things) + intent.complete:,} of type {spec.thing_type} in group "
            f"{spec.thing_group}, for topics {self._prefix}/<id>/…; {intent.complete:,} are complete"
        )
        if intent.keys is not None:
            write_line(f"keys      {_KEYS[intent.keys]}, into {intent.folder} (0600)")
        write_line(f"policies  {', '.join(intent.policies)}")

    def _describe_retirement(self, intent: Intent) -> None:
        write_line(f"things    {len(intent.things):,} with their certificates and key files")
        if intent.in_service:
            _list("in service, left alone (--in-service retires them as well)", intent.in_service)
        if intent.absent:
            write_line(f"          {intent.absent:,} are not in the registry")
        if intent.last:
            write_line(f"shared    policies {', '.join(intent.policies)}; group {self._spec.thing_group}")


def report(result: EnrollResult) -> ExitCode:
    """Print how it ended; gives the exit code."""
    intent, outcome = result.intent, result.outcome
    if outcome is None:
        if intent.what == "retire" and intent.nothing:
            write_line("nothing to retire")
        else:
            _list(f"would be {'enrolled' if intent.what == 'enroll' else 'deleted'}", intent.things)
            write_line("dry run: nothing was changed")
        return result.exit_code
    for note in result.notes:
        write_line(f"note      {note}")
    done = _DONE[intent.what]
    write_line(f"{outcome.done:,} {done}, {len(outcome.failed):,} failed, {outcome.left:,} left")
    for name, why in list(outcome.failed.items())[:_SHOWN]:
        write_line(f"✗ {name}: {why}", sys.stderr)
    if len(outcome.failed) > _SHOWN:
        write_line(f"  and {len(outcome.failed) - _SHOWN:,} more", sys.stderr)
    if outcome.failed or outcome.left:
        write_line(f"  next: buoy cloud {intent.what}   (goes on where it was)", sys.stderr)
    return result.exit_code


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
