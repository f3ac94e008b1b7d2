"""`buoy cloud`: an AWS account as the target of runs: enrol, plan, permissions, template, retire."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from buoyfleet.cli.console import write_line
from buoyfleet.cli.options import Count, Duration, FleetArgument, OnlyBoards, Rate
from buoyfleet.model.errors import UsageError
from buoyfleet.model.exit_codes import ExitCode

if TYPE_CHECKING:
    from buoyfleet.cloud.aws.enroll import Keys
    from buoyfleet.model.aws import AwsSpec
    from buoyfleet.model.fleet import Fleet

app = typer.Typer(
    help="Use a pipeline in an AWS account: enrol boards, see what a run would cost, undo it all.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`buoy docs cloud` goes through it from the first rehearsal to the verdict.",
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def load(
    fleet_file: Path,
    boards: str | None = None,
    *,
    count: str | None = None,
    rate: str | None = None,
    duration: str | None = None,
) -> tuple["Fleet", "AwsSpec"]:
    """The fleet with target `aws`: the file's own, or one with the defaults.

    Raises:
        ConfigurationError: mistakes of file or options.
    """
    from buoyfleet.inventory.loader import load_fleet
    from buoyfleet.inventory.overrides import Overrides

    overrides = Overrides(boards=boards, target="aws", count=count, rate=rate, duration=duration)
    fleet = load_fleet(fleet_file, overrides)
    if fleet.target.aws is None:
        raise UsageError("the target is no AWS account", where=str(fleet_file))
    return fleet, fleet.target.aws


@app.command(
    epilog="""Examples:

\b
  buoy cloud enroll --dry-run              what would be made
  buoy cloud enroll                        things, certificates, policies of boards.yaml's boards
  buoy cloud enroll big.yaml --own-ca      certificates by a CA of this fleet that AWS is told of
  buoy cloud enroll --boards 131 --in-service    a board for the field: test runs will not touch it
"""
)
def enroll(
    fleet_file: FleetArgument = Path("boards.yaml"),
    boards: OnlyBoards = None,
    own_ca: Annotated[
        bool, typer.Option("--own-ca", help="Keys made here, by a CA that AWS is told of (SNI only).")
    ] = False,
    aws_keys: Annotated[
        bool, typer.Option("--aws-keys", help="RSA keys made by AWS; boards with little memory want EC.")
    ] = False,
    in_service: Annotated[
        bool, typer.Option("--in-service", help="Mark the things as in service: test runs refuse them.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    quiet: Quiet = False,
) -> None:
    """Make things, certificates and policies for a fleet's boards and its witness.

    Run it again after Ctrl-C or a failure: it goes on where it was, and does nothing that is done. Keys are
    written with mode 0600 and never shown.
    """
    from buoyfleet.cli.enroll_terminal import TerminalEnrollment, report
    from buoyfleet.cloud.aws.enroll_fleet import enroll_fleet

    if own_ca and aws_keys:
        raise UsageError("--own-ca and --aws-keys exclude each other", next_step="leave one out")
    keys: Keys = "own-ca" if own_ca else "aws-keys" if aws_keys else "csr"
    fleet, spec = load(fleet_file, boards)
    ui = TerminalEnrollment(spec, fleet.topic_prefix, yes=yes, quiet=quiet)
    done = enroll_fleet(fleet, spec, ui, keys=keys, in_service=in_service, dry_run=dry_run)
    raise typer.Exit(report(done))


@app.command(
    epilog="""Examples:

\b
  buoy cloud retire --dry-run              what would be deleted
  buoy cloud retire                        the things of boards.yaml's boards and of the witness
  buoy cloud retire --all                  every test thing of the pipeline
"""
)
def retire(
    fleet_file: FleetArgument = Path("boards.yaml"),
    boards: OnlyBoards = None,
    everything: Annotated[bool, typer.Option("--all", help="Every test thing of the pipeline.")] = False,
    in_service: Annotated[
        bool, typer.Option("--in-service", help="Things in service, too. The boards cannot connect then.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    quiet: Quiet = False,
) -> None:
    """Undo `buoy cloud enroll`: detach and delete certificates, things and at last what they shared."""
    from buoyfleet.cli.enroll_terminal import TerminalEnrollment, report
    from buoyfleet.cloud.aws.enroll_fleet import retire_fleet

    fleet, spec = load(fleet_file, boards)
    ui = TerminalEnrollment(spec, fleet.topic_prefix, yes=yes, quiet=quiet)
    done = retire_fleet(fleet, spec, ui, everything=everything, in_service=in_service, dry_run=dry_run)
    raise typer.Exit(report(done))


@app.command(
    epilog="""Examples:

\b
  buoy cloud plan                          boards.yaml against your account
  buoy cloud plan --count 10000 --rate 1/s
  buoy cloud plan --offline                AWS's default quotas; asks nobody
"""
)
def plan(
    fleet_file: FleetArgument = Path("boards.yaml"),
    count: Count = None,
    rate: Rate = None,
    duration: Duration = None,
    boards: OnlyBoards = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody; AWS's defaults are used.")] = False,
    as_json: AsJson = False,
) -> None:
    """What a run would use and cost, and which limit of the account it would meet first. Sends nothing."""
    from buoyfleet.cli.cloud_plan import show_plan

    fleet, spec = load(fleet_file, boards, count=count, rate=rate, duration=duration)
    raise typer.Exit(show_plan(fleet, spec, offline=offline, as_json=as_json))


@app.command(
    epilog="""Examples:

\b
  buoy cloud policy > policy.json          for runs
  buoy cloud policy --for enroll
  aws iam put-user-policy --user-name bench --policy-name buoyfleet --policy-document file://policy.json
"""
)
def policy(
    fleet_file: FleetArgument = Path("boards.yaml"),
    job: Annotated[str, typer.Option("--for", help="`run`, `enroll`, `retire`, `plan` or `import`.")] = "run",
) -> None:
    """The IAM policy document that an identity needs for a job, for the names of a fleet file."""
    from buoyfleet.cli.cloud_plan import show_policy

    raise typer.Exit(show_policy(*load(fleet_file), job))


@app.command(
    name="import",
    epilog="""Examples:

\b
  buoy cloud import --into harbour         all rules of the account, in a new folder
  buoy cloud import harbour_data harbour_alarm --into harbour --region us-west-2
  buoy check harbour/boards.yaml           what the fleet file means
  buoy run harbour/boards.yaml             rehearse the account's own pipeline on the twin
""",
)
def import_(
    rules: Annotated[
        list[str] | None, typer.Argument(metavar="[RULE]...", help="Rules; none: all of the account.")
    ] = None,
    into: Annotated[Path, typer.Option("--into", help="New folder for the fleet file and its parts.")] = Path(
        "imported"
    ),
    region: Annotated[str, typer.Option("--region", help="Else that of boto3's settings.")] = "",
    profile: Annotated[str, typer.Option("--profile", help="Of ~/.aws/config.")] = "",
    topic_prefix: Annotated[
        str, typer.Option("--topic-prefix", help="Of the boards' topics; else that which the rules select.")
    ] = "",
) -> None:
    """Read a pipeline from an account into a fleet file, so that the twin rehearses it.

    It reads rules with their actions, the data stream, the delivery stream, and functions with their code and
    variables; it changes nothing. What the twin cannot rehearse is listed, also at the top of the fleet file.
    """
    from buoyfleet.cli.cloud_import import show_import

    raise typer.Exit(show_import(tuple(rules or ()), into, region, profile, topic_prefix))


@app.command(
    epilog="""Examples:

\b
  buoy cloud template > pipeline.yaml
  aws cloudformation deploy --stack-name buoytest --template-file pipeline.yaml \\
      --capabilities CAPABILITY_IAM
"""
)
def template() -> None:
    """The CloudFormation template of the pipeline, with the Lambda function that the twin runs."""
    from buoyfleet.cloud.aws.template import pipeline_template

    write_line(pipeline_template().rstrip())
    raise typer.Exit(ExitCode.OK)
