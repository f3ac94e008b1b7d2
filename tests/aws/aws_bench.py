"""Runs `buoy` against the account stand-in."""

from pathlib import Path
from typing import Any

from account_stand_in import AccountStandIn, Pipeline
from run_bench import Run, fleet_text

THRESHOLDS = ["s3.missing == 0", "send.dropped == 0", "boards.failed == 0"]


def aws_fleet(
    folder: Path,
    pipeline: Pipeline,
    ids: str,
    *,
    run: dict[str, Any] | None = None,
    store: str = "timestream",
    **target: Any,
) -> Path:
    """A fleet file whose target is the stand-in."""
    certificates = pipeline.certificates
    section = {
        "kind": "aws",
        "endpoint": "localhost",
        "port": pipeline.endpoint.port,
        "certificates": str(certificates),
        "ca": str(certificates / "ca.pem"),
        "witness": "witness",
        "listen": "0 s",
        "wait": "60 s",
        **target,
    }
    thresholds = [f"{store}.missing == 0", *THRESHOLDS]
    path = folder / "boards.yaml"
    path.write_text(
        fleet_text(ids=ids, target="aws", target_section=section, run=run or {}, thresholds=thresholds)
    )
    return path


def buoy_on(account: AccountStandIn, *arguments: str, timeout_s: float = 100.0) -> Run:
    """One command to its end."""
    run = Run(*arguments, environment=account.environment)
    run.finish(timeout_s)
    return run
