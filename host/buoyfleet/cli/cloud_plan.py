"""What `buoy cloud plan` and `buoy cloud policy` print."""

import json
import sys
from dataclasses import asdict

from buoyfleet.cli.console import mark, write_line
from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.checks import check_pipeline
from buoyfleet.cloud.aws.estimate import (
    LimitLine,
    cost_of,
    limits_of,
    saved_by_ingest,
    usage_of,
    witness_connections,
)
from buoyfleet.cloud.aws.names import names_in, resource_names
from buoyfleet.cloud.aws.permissions import JOBS, document
from buoyfleet.cloud.aws.pipeline import Settings
from buoyfleet.cloud.aws.prices import load_prices
from buoyfleet.cloud.aws.quotas import (
    CONNECTIONS,
    CONNECTS_PER_S,
    LAMBDA_CONCURRENCY,
    PUBLISHES_IN_PER_S,
    PUBLISHES_OUT_PER_S,
    RULE_EVALUATIONS_PER_S,
    Quotas,
)
from buoyfleet.cloud.aws.timestream import TIMESTREAM_SERVICE
from buoyfleet.inventory.values import decimal_text, duration_text
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.errors import UsageError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import Fleet
from buoyfleet.runs.pacing import make_plan

_ASKED = (
    CONNECTS_PER_S,
    CONNECTIONS,
    PUBLISHES_IN_PER_S,
    PUBLISHES_OUT_PER_S,
    RULE_EVALUATIONS_PER_S,
    LAMBDA_CONCURRENCY,
)


def show_plan(fleet: Fleet, spec: AwsSpec, *, offline: bool, as_json: bool) -> ExitCode:
    """Print usage, limits and cost; `PREFLIGHT` where the run would go beyond a limit."""
    usage = usage_of(fleet, make_plan(fleet, ""))
    quotas, settings, region, problems = _asked(spec, offline)
    prices = load_prices()
    limits = limits_of(usage, quotas, settings)
    cost = cost_of(usage, settings, prices, region or prices.region)
    total = sum(line.usd for line in cost)
    exceeded = [limit for limit in limits if limit.exceeded]
    code = ExitCode.PREFLIGHT if exceeded else ExitCode.OK
    if as_json:
        answer = {
            "usage": asdict(usage),
            "limits": [{**asdict(limit), "exceeded": limit.exceeded} for limit in limits],
            "cost": [asdict(line) for line in cost],
            "total_usd": total,
            "basic_ingest_saves_usd": saved_by_ingest(usage, settings, prices, region or prices.region),
            "prices": {"collected": prices.collected, "region": prices.region},
            "problems": problems,
        }
        write_line(json.dumps(answer, indent=2))
        return code
    bound = "" if usage.bounded else "at most "
    write_line(
        f"use       {bound}{usage.messages:,} messages with {usage.measures:,} measures of "
        f"{usage.boards:,} boards in {duration_text(round(usage.duration_s))}; "
        f"{_figure(usage.publishes_per_s)} messages/s, "
        f"{witness_connections(usage)} connections for the witness"
    )
    write_line("\nlimits, the nearest first")
    for limit in limits:
        write_line(f"  {mark(not limit.exceeded)} {_limit(limit)}")
    first = _first(limits)
    if first is not None:
        write_line(
            f"  at this pace per board, {first.name} would be met first, by {first.boards_at_limit:,} boards"
        )
    write_line(f"\ncost      about {total:.2f} US dollars")
    for line in cost:
        if line.usd >= 0.005:
            write_line(f"  {line.usd:8.2f}  {_figure(line.units)} {line.what}")
    rest = sum(line.usd for line in cost if line.usd < 0.005)
    write_line(f"  {rest:8.2f}  the rest")
    saved = saved_by_ingest(usage, settings, prices, region or prices.region)
    if usage.basic_ingest:
        write_line(f"  Basic Ingest saves {saved:.2f} of {total + saved:.2f} US dollars")
    elif saved >= 0.005:
        write_line(f"  `topics: basic-ingest` would save {saved:.2f} US dollars of it")
    margin = "" if not region or region == prices.region else f", times {prices.elsewhere:g} for {region}"
    write_line(
        f"  list prices of {prices.region} as of {prices.collected}{margin}, without free tier;\n"
        "  stream hours and storage go on as long as the pipeline stands (host/buoyfleet/cloud/aws/prices)"
    )
    for problem in problems:
        write_line(f"! {problem}")
    return code


def _asked(spec: AwsSpec, offline: bool) -> tuple[Quotas, Settings, str, list[str]]:
    """Quotas, settings, region, and what could not be asked."""
    if offline:
        return Quotas({}), Settings(), spec.region, []
    account = Account(spec)
    try:
        account.identity()
        region = account.region
    except AwsError as error:
        return Quotas({}), Settings(), spec.region, [f"AWS's default quotas are used: {error.what}"]
    checks, settings = check_pipeline(account, spec)
    problems = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
    quotas = Quotas.ask(account, _ASKED)
    if quotas.problem:
        problems.append(f"some quotas are AWS's defaults: {quotas.problem}")
    return quotas, settings, region, problems


def _limit(limit: LimitLine) -> str:
    share = limit.needed / limit.limit
    figures = f"{_figure(limit.needed):>10} of {_figure(limit.limit):>10}"
    return f"{limit.name:<36} {figures}  {share:7.1%}  ({limit.source})"


def _first(limits: list[LimitLine]) -> LimitLine | None:
    """The limit that a growing fleet meets first."""
    growing = [one for one in limits if one.boards_at_limit is not None]
    return min(growing, key=lambda one: one.boards_at_limit or 0, default=None)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else decimal_text(round(value, 2))


def show_policy(fleet: Fleet, spec: AwsSpec, job: str) -> ExitCode:
    """Print the document, and beside it (on stderr) what it grants.

    Raises:
        UsageError: no such job.
    """
    known = next((name for name in JOBS if name == job), None)
    if known is None:
        raise UsageError(f"--for {job!r} is not known", next_step=f"one of {', '.join(JOBS)}")
    account = Account(spec)
    things = [board.thing_name for board in fleet.boards]
    try:
        partition = account.partition
    except AwsError:
        partition = "aws"  # nobody named a region; the line below tells why
    try:
        names = resource_names(spec, account, fleet.topic_prefix, things)
    except AwsError as error:
        write_line(f"account and region are placeholders: {error.what}", sys.stderr)
        names = names_in(spec, spec.account or "ACCOUNT", spec.region or "REGION", fleet.topic_prefix, things)
    if known == "import":  # which ones there are is what it finds out
        names |= dict.fromkeys(("stream", "delivery_stream", "function"), "*")
    write_line(f"{known}: {JOBS[known]}", sys.stderr)
    unused = () if spec.influxdb is None else (TIMESTREAM_SERVICE,)
    write_line(json.dumps(document(known, partition, names, unused), indent=2))
    return ExitCode.OK
