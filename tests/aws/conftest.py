"""Accounts that end with their test."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from account_stand_in import NAME, AccountStandIn, Pipeline

from buoyfleet.model.fleet import TwinSpec
from buoyfleet.model.twin import TwinTls


@pytest.fixture(autouse=True, scope="session")
def models_are_read_once() -> Iterator[None]:
    """Reading IoT's service model takes botocore a quarter of a second for each session."""
    import botocore.loaders

    usual = botocore.loaders.create_loader
    botocore.loaders.create_loader = cache(usual)
    yield
    botocore.loaders.create_loader = usual


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine has set for AWS is out of the way."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[AccountStandIn]:
    """An account with nothing in it."""
    stand_in = AccountStandIn(tmp_path)
    try:
        yield stand_in
    finally:
        stand_in.close()


@pytest.fixture
def here(account: AccountStandIn, monkeypatch: pytest.MonkeyPatch) -> AccountStandIn:
    """The account as what boto3 finds in this process."""
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    return account


@pytest.fixture
def pipeline(account: AccountStandIn, tmp_path: Path) -> Any:
    """Start the pipeline for some boards: `start(ids, **settings of the twin)`.

    With `enrolled`, a folder that `buoy cloud enroll --own-ca` filled, things and certificates are those.
    """

    def start(ids: range, *, enrolled: Path | None = None, **settings: Any) -> Pipeline:
        things = {f"{NAME}-{number}": {"buoy_id": str(number), "use": "test"} for number in ids}
        account.make_resources()
        if enrolled is None:
            account.make_things(things)
        tls = TwinTls(alpn=True, authority="" if enrolled is None else str(enrolled))
        twin = TwinSpec(tls=tls, s3_prefix="data/!{timestamp:yyyy/MM/dd/HH}/", **settings)
        account.pipeline = Pipeline(
            tmp_path / "pipeline", twin, tuple((name, int(one["buoy_id"])) for name, one in things.items())
        )
        return account.pipeline

    return start
