"""IoT policies of buoys and of the witness: the same documents for the twin and for an account."""

from typing import Any

_BUOY = "${iot:Connection.Thing.Attributes[buoy_id]}"
BUOY_ATTRIBUTE = "buoy_id"
"""Attribute of every thing: the policy allows the topics of that buoy and no other's."""


def buoy_policy(topic_prefix: str, arn: str, ingest_rule: str = "") -> dict[str, Any]:
    """What a buoy needs and nothing else: connect as itself, publish its own data and errors, read its own
    configuration.

    Args:
        topic_prefix: topics are `<prefix>/<buoy>/…`.
        arn: `arn:<partition>:iot:<region>:<account>`.
        ingest_rule: the rule that data may go to by Basic Ingest, too.
    """
    own = f"{topic_prefix}/{_BUOY}"
    return _document(
        arn,
        ("iot:Connect", "client/${iot:Connection.Thing.ThingName}"),
        (
            "iot:Publish",
            f"topic/{own}/data/*",
            f"topic/{own}/error/*",
            *([f"topic/$aws/rules/{ingest_rule}/{own}/data/*"] if ingest_rule else []),
        ),
        ("iot:Subscribe", f"topicfilter/{own}/config/*"),
        ("iot:Receive", f"topic/{own}/config/*"),
    )


def witness_policy(topic_prefix: str, witness: str, arn: str) -> dict[str, Any]:
    """What the witness needs: to read everything under the prefix, on as many connections as that takes, and
    to ask boards without a cable what they told.

    Args:
        topic_prefix: as of `buoy_policy`.
        witness: its thing; further connections append `-1`, `-2`, ….
        arn: as of `buoy_policy`.
    """
    return _document(
        arn,
        ("iot:Connect", f"client/{witness}", f"client/{witness}-*"),
        ("iot:Subscribe", f"topicfilter/{topic_prefix}/*"),
        ("iot:Receive", f"topic/{topic_prefix}/*"),
        ("iot:Publish", f"topic/{topic_prefix}/*/config/console/"),
    )


def claim_policy(templates: tuple[str, ...], arn: str) -> dict[str, Any]:
    """What a claim certificate needs (developer guide, "Provisioning by claim")."""
    ways = ("$aws/certificates/create/*", "$aws/certificates/create-from-csr/*")
    topics = (*ways, *(f"$aws/provisioning-templates/{name}/provision/*" for name in templates))
    messages = tuple(f"topic/{one}" for one in topics)
    return _document(
        arn,
        ("iot:Connect", "client/*"),
        ("iot:Publish", *messages),
        ("iot:Receive", *messages),
        ("iot:Subscribe", *(f"topicfilter/{one}" for one in topics)),
    )


def _document(arn: str, *statements: tuple[str, ...]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": action, "Resource": [f"{arn}:{tail}" for tail in resources]}
            for action, *resources in statements
        ],
    }
