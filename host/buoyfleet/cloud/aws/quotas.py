"""Quotas of the account: from Service Quotas where it answers, else AWS's defaults.

Codes and defaults are those of the Service Quotas catalogue (collected 2026-11-26); some regions have lower
defaults, which Service Quotas knows.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from buoyfleet.cloud.aws.account import Account, AwsError


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of Service Quotas."""

    name: str
    service: str
    code: str
    default: float


CONNECTS_PER_S = Quota("connect requests per second", "iotcore", "L-AEA1E176", 500.0)
CONNECTIONS = Quota("concurrent connections", "iotcore", "L-75CAB723", 500_000.0)
PUBLISHES_IN_PER_S = Quota("inbound publishes per second", "iotcore", "L-4B33E451", 20_000.0)
PUBLISHES_OUT_PER_S = Quota("outbound publishes per second", "iotcore", "L-FE4EDCF9", 20_000.0)
RULE_EVALUATIONS_PER_S = Quota("rule evaluations per second", "iotcore", "L-5E9B88DA", 20_000.0)
LAMBDA_CONCURRENCY = Quota("concurrent executions", "lambda", "L-B99A9384", 1_000.0)
RATES: dict[str, Quota] = {
    "create_thing": Quota("CreateThing per second", "iotcore", "L-64CBACAC", 100.0),
    "add_thing_to_thing_group": Quota("AddThingToThingGroup per second", "iotcore", "L-2904683A", 100.0),
    "attach_thing_principal": Quota("AttachThingPrincipal per second", "iotcore", "L-F64D1AA6", 100.0),
    "attach_policy": Quota("AttachPolicy per second", "iotcore", "L-CA7D4E3E", 15.0),
    "create_certificate_from_csr": Quota(
        "CreateCertificateFromCsr per second", "iotcore", "L-01BCDDCA", 15.0
    ),
    "create_keys_and_certificate": Quota(
        "CreateKeysAndCertificate per second", "iotcore", "L-40B55430", 10.0
    ),
    "register_certificate": Quota("RegisterCertificate per second", "iotcore", "L-8C0011A3", 10.0),
    "detach_thing_principal": Quota("DetachThingPrincipal per second", "iotcore", "L-B5EE4A16", 100.0),
    "detach_policy": Quota("DetachPolicy per second", "iotcore", "L-EC88D510", 15.0),
    "update_certificate": Quota("UpdateCertificate per second", "iotcore", "L-77B523DC", 10.0),
    "delete_certificate": Quota("DeleteCertificate per second", "iotcore", "L-EEB8F0B1", 10.0),
    "delete_thing": Quota("DeleteThing per second", "iotcore", "L-889800F7", 100.0),
    "list_thing_principals": Quota("ListThingPrincipals per second", "iotcore", "L-FC3EF4D9", 20.0),
    "list_principal_things": Quota("ListPrincipalThings per second", "iotcore", "L-C481616A", 10.0),
    "list_attached_policies": Quota("ListAttachedPolicies per second", "iotcore", "L-B2DA2A45", 15.0),
}
"""Rates of the calls that enrolling and retiring make for each thing."""


@dataclass(slots=True)
class Quotas:
    """What was asked, by quota code."""

    known: dict[str, float]
    problem: str = ""
    """Why defaults are used, if so."""

    def value(self, quota: Quota) -> float:
        """The account's value, or the default."""
        return self.known.get(quota.code, quota.default)

    def source(self, quota: Quota) -> str:
        """Where the value is from."""
        return "Service Quotas" if quota.code in self.known else "default"

    @classmethod
    def ask(cls, account: Account, quotas: Iterable[Quota]) -> "Quotas":
        """Ask Service Quotas; what it does not tell stays at its default, which is no failure."""
        asked = cls({})

        def one(quota: Quota) -> tuple[str, float] | AwsError:
            try:
                answer = account.call(
                    "service-quotas",
                    "get_service_quota",
                    on=quota.code,
                    ServiceCode=quota.service,
                    QuotaCode=quota.code,
                )
                return quota.code, float(answer["Quota"]["Value"])
            except AwsError as error:
                return error

        with ThreadPoolExecutor(4) as pool:
            for answer in pool.map(one, quotas):
                if isinstance(answer, AwsError):
                    asked.problem = asked.problem or answer.what
                else:
                    asked.known[answer[0]] = answer[1]
        return asked
