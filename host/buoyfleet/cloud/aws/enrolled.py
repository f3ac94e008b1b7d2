"""The things of a pipeline as the registry has them, and how test things are told from others."""

from buoyfleet.cloud.aws.account import Account
from buoyfleet.model.aws import AwsSpec

USE = "use"
"""Attribute of a thing."""
USE_TEST = "test"
"""Its value where the thing was made for test fleets; anything else is in service."""
USE_SERVICE = "service"


def read_enrolled(account: Account, spec: AwsSpec) -> dict[str, dict[str, str]]:
    """All things of the pipeline's type, with their attributes; empty where there is no such type.

    Raises:
        AwsError: not allowed, no answer.
    """
    things: dict[str, dict[str, str]] = {}
    for page in account.pages(
        "iot",
        "list_things",
        on=spec.thing_type,
        token=("nextToken", "nextToken"),
        thingTypeName=spec.thing_type,
        maxResults=250,
    ):
        for thing in page.get("things", []):
            things[thing["thingName"]] = dict(thing.get("attributes") or {})
    return things
