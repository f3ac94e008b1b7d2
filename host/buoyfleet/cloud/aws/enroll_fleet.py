"""Enroll the boards of a fleet in an AWS account, or retire them: plan, agree, do."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from buoyfleet.cloud.aws.account import Account
from buoyfleet.cloud.aws.bulk import Outcome
from buoyfleet.cloud.aws.enroll import Enrolment, Keys, wanted_things
from buoyfleet.cloud.aws.retire import Retirement
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import Fleet

ShowSteps = Callable[[int, int, int], None]
"""Takes done, failed and total."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be done, before anything is changed."""

    what: Literal["enroll", "retire"]
    account: str
    region: str
    identity: str
    """ARN of whoever asks."""
    things: tuple[str, ...]
    """Names of those to enroll or to retire."""
    complete: int = 0
    """Things that need nothing."""
    keys: Keys | None = None
    folder: str = ""
    """Of keys and certificates."""
    policies: tuple[str, ...] = ()
    in_service: tuple[str, ...] = ()
    """Things that are left alone because they are in service."""
    absent: int = 0
    """Things that are not in the registry."""
    last: bool = False
    """Nothing of the pipeline is left afterwards, so what things share goes too."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not self.things


class EnrollUi(Protocol):
    """The face of an enrollment."""

    def describe(self, intent: Intent) -> None:
        """Show what is about to be done."""
        ...

    def confirm(self, intent: Intent) -> None:
        """Have it agreed to; returns if it may begin.

        Raises:
            BuoyError: it may not.
        """
        ...

    def progress(self, intent: Intent) -> AbstractContextManager[tuple[ShowSteps, threading.Event]]:
        """Around the work; gives what shows steps, and the event that ends it early."""
        ...


@dataclass(frozen=True, slots=True)
class EnrollResult:
    """How it ended."""

    intent: Intent
    outcome: Outcome | None
    """None: nothing was done, because nothing was asked for or there was nothing to do."""
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """0 only if everything is done that was to be done."""
        if self.outcome is None:
            return ExitCode.OK
        if self.outcome.interrupted:
            return ExitCode.INTERRUPTED
        return ExitCode.BOARDS_FAILED if self.outcome.failed or self.outcome.left else ExitCode.OK


def enroll_fleet(
    fleet: Fleet,
    spec: AwsSpec,
    ui: EnrollUi,
    *,
    keys: Keys = "csr",
    in_service: bool = False,
    dry_run: bool = False,
) -> EnrollResult:
    """Make things, certificates and policies for a fleet's boards and its witness; goes on where it was.

    Args:
        fleet: with target `aws`.
        spec: of the pipeline.
        ui: shows and agrees.
        keys: who makes keys and certificates.
        in_service: mark the things as boards in service, which runs of test fleets refuse to use.
        dry_run: plan only.

    Raises:
        BuoyError: nothing could be done at all, or it was not agreed to.
    """
    account = Account(spec)
    enrolment = Enrolment(account, spec, fleet.topic_prefix, keys, fleet.ingest_rule)
    wanted = wanted_things(spec, _boards(fleet), in_service=in_service)
    work = enrolment.plan(wanted)
    identity = account.identity()
    intent = Intent(
        "enroll",
        identity["Account"],
        account.region,
        identity["Arn"],
        tuple(thing.name for thing in work.todo),
        complete=len(wanted) - len(work.todo),
        keys=keys,
        folder=str(enrolment.folder),
        policies=tuple(work.policies),
    )
    ui.describe(intent)
    if dry_run:
        return EnrollResult(intent, None)
    ui.confirm(intent)
    with ui.progress(intent) as (show, stop):
        return EnrollResult(intent, enrolment.run(work, show, stop))


def retire_fleet(
    fleet: Fleet,
    spec: AwsSpec,
    ui: EnrollUi,
    *,
    everything: bool = False,
    in_service: bool = False,
    dry_run: bool = False,
) -> EnrollResult:
    """Undo `enroll_fleet`.

    Args:
        fleet: with target `aws`.
        spec: of the pipeline.
        ui: shows and agrees.
        everything: every test thing of the pipeline, not only the fleet's.
        in_service: things in service, too.
        dry_run: plan only.

    Raises:
        BuoyError: nothing could be done at all, or it was not agreed to.
    """
    account = Account(spec)
    retirement = Retirement(account, spec)
    names = None if everything else [*(thing for thing, _ in _boards(fleet)), spec.witness]
    doomed = retirement.plan(names, in_service=in_service)
    identity = account.identity()
    intent = Intent(
        "retire",
        identity["Account"],
        account.region,
        identity["Arn"],
        tuple(doomed.things),
        policies=(spec.policy, spec.witness),
        in_service=tuple(doomed.in_service),
        absent=0 if everything else len(doomed.absent),
        last=doomed.last,
    )
    ui.describe(intent)
    if dry_run or intent.nothing:
        return EnrollResult(intent, None)
    ui.confirm(intent)
    with ui.progress(intent) as (show, stop):
        outcome = retirement.run(doomed, show, stop)
    return EnrollResult(intent, outcome, tuple(retirement.notes))


def _boards(fleet: Fleet) -> Sequence[tuple[str, int]]:
    return [(board.thing_name, board.buoy_id) for board in fleet.boards]
