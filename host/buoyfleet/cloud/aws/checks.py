"""Preflight of target `aws`: each check says what to type where it failed."""

import stat
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from buoyfleet.cloud.aws.account import Account, AwsError
from buoyfleet.cloud.aws.names import bucket_of
from buoyfleet.cloud.aws.pipeline import Settings, read_delivery, read_function, read_stream
from buoyfleet.cloud.aws.series import SeriesReader
from buoyfleet.cloud.aws.timestream import Range
from buoyfleet.cloud.broker_target import BrokerTarget
from buoyfleet.cloud.target import Check
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.fleet import Fleet, TargetSpec

_ENROLL = "buoy cloud enroll"
_STACK = "buoy cloud template > pipeline.yaml, and create the stack (buoy docs cloud)"


def first_failed(checks: Iterable[Check]) -> Check | None:
    """The first check that failed."""
    return next((check for check in checks if not check.passed), None)


def check_account(account: Account, spec: AwsSpec) -> list[Check]:
    """Region and credentials."""
    try:
        identity = account.identity()
    except AwsError as error:
        return [failed("aws account", error)]
    profile = f", profile {spec.profile}" if spec.profile else ""
    return [
        Check("aws account", True, f"{identity['Account']} in {account.region} as {identity['Arn']}{profile}")
    ]


def check_certificates(fleet: Fleet, spec: AwsSpec) -> list[Check]:
    """Files of every board and of the witness, and who may read the keys."""
    folder = Path(spec.certificates)
    ca = Path(spec.ca)
    checks = [Check("aws ca", ca.is_file(), str(ca), "" if ca.is_file() else _ENROLL)]
    # Boards on a cable have theirs on board.
    things = [*(board.thing_name for board in fleet.boards if not board.port), spec.witness]
    missing = [
        thing
        for thing in things
        if not ((folder / f"{thing}.pem").is_file() and (folder / f"{thing}.key").is_file())
    ]
    detail = f"{len(things) - len(missing)} of {len(things)} things have certificate and key in {folder}"
    if missing:
        detail += f"; {missing[0]} has not"
    checks.append(Check("aws certificates", not missing, detail, _ENROLL if missing else ""))
    open_keys = [
        path
        for thing in things
        if (path := folder / f"{thing}.key").is_file() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    if open_keys:
        detail = f"others may read {open_keys[0]}" + (
            f" and {len(open_keys) - 1} more" if open_keys[1:] else ""
        )
        checks.append(Check("aws keys", False, detail, f"chmod 600 {folder}/*.key"))
    return checks


def check_pipeline(
    account: Account, spec: AwsSpec, series: SeriesReader | None = None
) -> tuple[list[Check], Settings]:
    """Stream, delivery stream, function, bucket, and the time-series store if one is given; all at once."""
    settings = Settings()
    asked: dict[str, Callable[[], str]] = {
        "kinesis stream": lambda: read_stream(account, spec, settings),
        "firehose stream": lambda: read_delivery(account, spec, settings),
        "lambda function": lambda: read_function(account, spec, settings),
        "s3 bucket": lambda: _bucket(account, spec),
    }
    if series is not None:
        asked[series.name] = lambda: _readable(series)

    def ask(name: str) -> Check:
        try:
            return Check(name, True, asked[name]())
        except AwsError as error:
            return failed(name, error)

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(ask, asked)), settings


def _readable(series: SeriesReader) -> str:
    now_ms = int(time.time() * 1000)
    series.count(Range(now_ms - 60_000, now_ms, (0,)))
    return f"{series.where} can be read"


def _bucket(account: Account, spec: AwsSpec) -> str:
    bucket = bucket_of(spec, account)
    account.call("s3", "list_objects_v2", on=bucket, Bucket=bucket, MaxKeys=1)
    return f"{bucket} can be listed"


async def check_broker(endpoint: Endpoint, spec: AwsSpec) -> list[Check]:
    """One CONNECT as the witness."""
    broker = BrokerTarget(
        TargetSpec("broker", host=endpoint.host, port=endpoint.port, tls=endpoint.tls), probe_as=spec.witness
    )
    return await broker.preflight()


def failed(name: str, error: AwsError) -> Check:
    """A check that failed because AWS said so."""
    detail = f"{error.where}: {error.what}" if error.where else error.what
    missing = "NotFound" in error.code or error.code in ("NoSuchBucket", "ValidationException")
    next_step = error.next_step or (_STACK if missing else "")
    return Check(name, False, f"{detail} ({error.cause})" if error.cause else detail, next_step)
