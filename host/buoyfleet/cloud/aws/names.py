"""Names of a pipeline's resources, once account and region are known."""

import os
from collections.abc import Iterable

from buoyfleet.cloud.aws.account import Account
from buoyfleet.model.aws import AwsSpec


def bucket_of(spec: AwsSpec, account: Account) -> str:
    """The bucket: bucket names are unique in the world, so the default has account and region in it."""
    return spec.bucket or f"{spec.name}-{account.number}-{account.region}"


def resource_names(
    spec: AwsSpec, account: Account, topic_prefix: str, things: Iterable[str]
) -> dict[str, str]:
    """The fields of `buoyfleet.cloud.aws.permissions`.

    Raises:
        AwsError: region or account are not known.
    """
    return names_in(spec, account.number, account.region, topic_prefix, things)


def names_in(
    spec: AwsSpec, account: str, region: str, topic_prefix: str, things: Iterable[str]
) -> dict[str, str]:
    """The same for an account and region by name; `things` are those of the fleet."""
    return {
        "things": f"{_beginning([*things, spec.witness])}*",
        "policies": f"{_beginning([spec.policy, spec.witness])}*",
        "region": region,
        "account": account,
        "name": spec.name,
        "thing_type": spec.thing_type,
        "thing_group": spec.thing_group,
        "database": spec.database,
        "table": spec.table,
        "stream": spec.stream,
        "delivery_stream": spec.delivery_stream,
        "function": spec.function,
        "bucket": spec.bucket or f"{spec.name}-{account}-{region}",
        "prefix": topic_prefix,
    }


def _beginning(names: list[str]) -> str:
    """What all names begin with, character by character."""
    return os.path.commonprefix(names)  # noqa: RUF071
