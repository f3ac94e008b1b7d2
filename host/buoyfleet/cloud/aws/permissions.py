"""Every AWS call this tool makes: which IAM action it needs, on which resource, and for which job.

`buoyfleet.cloud.aws.account` refuses a call that is not in this table, so that the policy document of
`buoy cloud policy` cannot miss one. Actions and resource types follow the Service Authorization Reference.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Job = Literal["run", "enroll", "retire", "plan", "import"]
JOBS: dict[Job, str] = {
    "run": (
        "run and verify: read stores, settings, metrics and logs; publish below the fleet's topics, "
        "to put retained messages back"
    ),
    "enroll": "make things, certificates, policies",
    "retire": "delete what enrolling made",
    "plan": "look at quotas and settings: reads only",
    "import": "read rules, streams and functions with their code and variables: reads only",
}


@dataclass(frozen=True, slots=True)
class Permission:
    """What one call needs."""

    action: str
    resource: str
    """Tail of an ARN after `arn:<partition>:`, with `{region}`, `{account}` and names; `*`: no resource."""
    jobs: tuple[Job, ...]


_THING = "iot:{region}:{account}:thing/{things}"
_TYPE = "iot:{region}:{account}:thingtype/{thing_type}"
_GROUP = "iot:{region}:{account}:thinggroup/{thing_group}"
_CERTIFICATE = "iot:{region}:{account}:cert/*"
_CA = "iot:{region}:{account}:cacert/*"
_POLICY = "iot:{region}:{account}:policy/{policies}"
_RULE = "iot:{region}:{account}:rule/*"
_CLIENT = "iot:{region}:{account}:client/{things}"
_TABLE = "timestream:{region}:{account}:database/{database}/table/{table}"
_STREAM = "kinesis:{region}:{account}:stream/{stream}"
_DELIVERY = "firehose:{region}:{account}:deliverystream/{delivery_stream}"
_FUNCTION = "lambda:{region}:{account}:function:{function}"
_LOGS = "logs:{region}:{account}:log-group:/aws/lambda/{function}:*"

_READ: tuple[Job, ...] = ("run",)
_LOOK: tuple[Job, ...] = ("run", "plan")
_LEARN: tuple[Job, ...] = ("run", "plan", "import")
_IMPORT: tuple[Job, ...] = ("import",)
_MAKE: tuple[Job, ...] = ("enroll",)
_UNDO: tuple[Job, ...] = ("retire",)
_BOTH: tuple[Job, ...] = ("enroll", "retire")

CALLS: dict[tuple[str, str], Permission] = {
    # Who and where; needs no permission, and is listed for completeness.
    ("sts", "get_caller_identity"): Permission(
        "sts:GetCallerIdentity", "*", ("run", "enroll", "retire", "plan", "import")
    ),
    ("iot", "describe_endpoint"): Permission("iot:DescribeEndpoint", "*", ("run", "enroll", "plan")),
    # The guard.
    ("iot", "list_topic_rules"): Permission("iot:ListTopicRules", "*", _LEARN),
    ("iot", "get_topic_rule"): Permission("iot:GetTopicRule", _RULE, _LEARN),
    ("iot", "list_things"): Permission("iot:ListThings", "*", ("run", "enroll", "retire")),
    ("iot-data", "get_connection"): Permission("iot:GetConnection", _CLIENT, _READ),
    ("iot-data", "list_retained_messages"): Permission("iot:ListRetainedMessages", "*", _READ),
    ("iot-data", "get_retained_message"): Permission(
        "iot:GetRetainedMessage", "iot:{region}:{account}:topic/{prefix}/*", _READ
    ),
    ("iot-data", "publish"): Permission(
        "iot:Publish,iot:RetainPublish", "iot:{region}:{account}:topic/{prefix}/*", _READ
    ),
    # Stores and evidence.
    ("timestream-query", "describe_endpoints"): Permission("timestream:DescribeEndpoints", "*", _READ),
    ("timestream-query", "query"): Permission("timestream:Select,timestream:DescribeTable", _TABLE, _READ),
    ("s3", "list_objects_v2"): Permission("s3:ListBucket", "s3:::{bucket}", _READ),
    ("s3", "get_object"): Permission("s3:GetObject", "s3:::{bucket}/*", _READ),
    ("cloudwatch", "list_metrics"): Permission("cloudwatch:ListMetrics", "*", _READ),
    ("cloudwatch", "get_metric_data"): Permission("cloudwatch:GetMetricData", "*", _READ),
    ("logs", "filter_log_events"): Permission("logs:FilterLogEvents", _LOGS, _READ),
    # Settings and quotas.
    ("kinesis", "describe_stream_summary"): Permission("kinesis:DescribeStreamSummary", _STREAM, _LEARN),
    ("firehose", "describe_delivery_stream"): Permission(
        "firehose:DescribeDeliveryStream", _DELIVERY, _LEARN
    ),
    ("lambda", "get_function_configuration"): Permission("lambda:GetFunctionConfiguration", _FUNCTION, _LOOK),
    ("service-quotas", "get_service_quota"): Permission("servicequotas:GetServiceQuota", "*", _LOOK),
    # A pipeline of the account as a fleet file.
    ("firehose", "list_delivery_streams"): Permission("firehose:ListDeliveryStreams", "*", _IMPORT),
    ("lambda", "get_function"): Permission("lambda:GetFunction", _FUNCTION, _IMPORT),
    # Enrolling.
    ("iot", "create_thing_type"): Permission("iot:CreateThingType", _TYPE, _MAKE),
    ("iot", "create_thing_group"): Permission("iot:CreateThingGroup", _GROUP, _MAKE),
    ("iot", "create_thing"): Permission("iot:CreateThing", _THING, _MAKE),
    ("iot", "describe_thing"): Permission("iot:DescribeThing", _THING, _BOTH),
    ("iot", "update_thing"): Permission("iot:UpdateThing", _THING, _MAKE),
    ("iot", "add_thing_to_thing_group"): Permission("iot:AddThingToThingGroup", _THING, _MAKE),
    ("iot", "get_policy"): Permission("iot:GetPolicy", _POLICY, _BOTH),
    ("iot", "create_policy"): Permission("iot:CreatePolicy", _POLICY, _MAKE),
    ("iot", "create_policy_version"): Permission("iot:CreatePolicyVersion", _POLICY, _MAKE),
    ("iot", "list_policy_versions"): Permission("iot:ListPolicyVersions", _POLICY, _BOTH),
    ("iot", "delete_policy_version"): Permission("iot:DeletePolicyVersion", _POLICY, _BOTH),
    ("iot", "create_certificate_from_csr"): Permission("iot:CreateCertificateFromCsr", "*", _MAKE),
    ("iot", "create_keys_and_certificate"): Permission("iot:CreateKeysAndCertificate", "*", _MAKE),
    ("iot", "describe_certificate"): Permission("iot:DescribeCertificate", _CERTIFICATE, _MAKE),
    ("iot", "register_ca_certificate"): Permission("iot:RegisterCACertificate", "*", _MAKE),
    ("iot", "register_certificate"): Permission("iot:RegisterCertificate", "*", _MAKE),
    ("iot", "attach_policy"): Permission("iot:AttachPolicy", _CERTIFICATE, _MAKE),
    ("iot", "attach_thing_principal"): Permission("iot:AttachThingPrincipal", _CERTIFICATE, _MAKE),
    # Retiring.
    ("iot", "list_thing_principals"): Permission("iot:ListThingPrincipals", _THING, _BOTH),
    ("iot", "list_principal_things"): Permission("iot:ListPrincipalThings", "*", _UNDO),
    ("iot", "list_attached_policies"): Permission("iot:ListAttachedPolicies", _CERTIFICATE, _UNDO),
    ("iot", "detach_policy"): Permission("iot:DetachPolicy", _CERTIFICATE, _UNDO),
    ("iot", "detach_thing_principal"): Permission("iot:DetachThingPrincipal", _CERTIFICATE, _UNDO),
    ("iot", "update_certificate"): Permission("iot:UpdateCertificate", _CERTIFICATE, _UNDO),
    ("iot", "delete_certificate"): Permission("iot:DeleteCertificate", _CERTIFICATE, _UNDO),
    ("iot", "delete_thing"): Permission("iot:DeleteThing", _THING, _UNDO),
    ("iot", "list_targets_for_policy"): Permission("iot:ListTargetsForPolicy", _POLICY, _UNDO),
    ("iot", "delete_policy"): Permission("iot:DeletePolicy", _POLICY, _UNDO),
    ("iot", "delete_thing_group"): Permission("iot:DeleteThingGroup", _GROUP, _UNDO),
    ("iot", "update_ca_certificate"): Permission("iot:UpdateCACertificate", _CA, _UNDO),
    ("iot", "delete_ca_certificate"): Permission("iot:DeleteCACertificate", _CA, _UNDO),
}


def document(
    job: Job, partition: str, names: dict[str, str], unused: Collection[str] = ()
) -> dict[str, object]:
    """The IAM policy document for a job: one statement per resource.

    Args:
        job: what the identity must be able to do.
        partition: of the ARNs, e.g. `aws-cn`.
        names: fields of the resources.
        unused: services, by boto3's names, that the fleet's stores do not need.
    """
    statements: dict[str, set[str]] = {}
    for (service, _operation), permission in CALLS.items():
        if job in permission.jobs and service not in unused:
            tail = permission.resource
            resource = "*" if tail == "*" else f"arn:{partition}:{tail.format_map(names)}"
            statements.setdefault(resource, set()).update(permission.action.split(","))
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": sorted(actions), "Resource": resource}
            for resource, actions in sorted(statements.items())
        ],
    }
