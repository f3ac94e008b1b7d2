"""One account and region, by boto3: clients, calls whose failures are explained, pages.

Calls block; whoever lives on an event loop runs them in a thread. Credentials come from boto3's own chain.
"""

import os
import threading
from collections.abc import Iterator
from typing import Any

from buoyfleet.cloud.aws.permissions import CALLS, Job
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.errors import PreflightError

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
MAX_ATTEMPTS = 8
"""botocore's adaptive mode: throttled calls are tried again with back-off, and further ones slowed down."""
POOL = 32
"""Connections per service: enrolling works in parallel."""

DENIED = frozenset(
    (
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedException",
        "UnauthorizedOperation",
        "ForbiddenException",
    )
)
_BAD_CREDENTIALS = frozenset(
    (
        *("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"),
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure", "InvalidSignatureException"),
    )
)
_THROTTLED = frozenset(
    ("ThrottlingException", "Throttling", "TooManyRequestsException", "LimitExceededException")
)


# boto3's name of a service → the name in its environment variables.
_SERVICE_IDS = {"iot-data": "IOT_DATA_PLANE", "timestream-query": "TIMESTREAM_QUERY"}


def _own_endpoint(service: str) -> dict[str, str]:
    """An endpoint that is set for boto3 itself, for the two services that would look for one of their own."""
    if service not in _SERVICE_IDS:
        return {}
    for name in (f"AWS_ENDPOINT_URL_{_SERVICE_IDS[service]}", "AWS_ENDPOINT_URL"):
        if os.environ.get(name):
            return {"endpoint_url": os.environ[name]}
    return {}


class AwsError(PreflightError):
    """AWS refused or did not answer a call.

    `code` is AWS's own, or empty where there was no answer. `identity`: it is the caller who is refused, so
    that the next call of this kind fails as well.
    """

    def __init__(
        self,
        what: str,
        *,
        code: str = "",
        identity: bool = False,
        where: str = "",
        cause: str = "",
        next_step: str = "",
    ) -> None:
        super().__init__(what, where=where, cause=cause, next_step=next_step)
        self.code = code
        self.identity = identity


class Account:
    """Clients of one account and region."""

    def __init__(self, spec: AwsSpec, job: Job | None = None) -> None:
        """Nothing is asked yet.

        Args:
            spec: region and profile; what is empty there is left to boto3.
            job: what the calls are for, where one call serves several; messages name it.
        """
        self._spec = spec
        self._job = job
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._session: Any = None
        self._identity: dict[str, str] | None = None
        self.calls = 0
        """Made so far, for what looking costs."""

    @property
    def region(self) -> str:
        """The region in use.

        Raises:
            AwsError: neither the fleet file nor boto3's settings name one.
        """
        region: str | None = self._spec.region or self._made_session().region_name
        if not region:
            raise AwsError(
                "no region is set",
                where="target.region",
                next_step="write `region: us-west-2` under `target`, or export AWS_REGION",
            )
        return region

    @property
    def partition(self) -> str:
        """The region's, as botocore knows it: `aws`, `aws-cn`, `aws-us-gov`, …; no credentials are needed.

        Raises:
            AwsError: no region is set, or none of that name is in any partition.
        """
        from botocore.exceptions import UnknownRegionError

        region = self.region
        try:
            partition: str = self._made_session().get_partition_for_region(region)
        except UnknownRegionError:
            raise AwsError(
                f"no partition of AWS has a region {region!r}",
                where="target.region",
                next_step="write e.g. `region: us-west-2` under `target`, or export AWS_REGION",
            ) from None
        return partition

    @property
    def number(self) -> str:
        """The account's twelve digits."""
        return self.identity()["Account"]

    def identity(self) -> dict[str, str]:
        """`Account`, `Arn`, `UserId` of the credentials, asked once.

        Raises:
            AwsError: no credentials, not valid, or of another account than the fleet file names.
        """
        if self._identity is None:
            answer = self.call("sts", "get_caller_identity")
            identity = {key: str(answer[key]) for key in ("Account", "Arn", "UserId")}
            wanted = self._spec.account
            if wanted and identity["Account"] != wanted:
                raise AwsError(
                    f"the credentials are of account {identity['Account']} ({identity['Arn']}), "
                    f"the fleet file names {wanted}",
                    where="target.account",
                    next_step="export AWS_PROFILE=…, or correct target.account",
                )
            self._identity = identity
        return self._identity

    def call(self, service: str, operation: str, *, on: str = "", **arguments: Any) -> dict[str, Any]:
        """One call.

        Args:
            service: boto3's name.
            operation: boto3's name of the method.
            on: the resource, for messages.
            arguments: of the call.

        Raises:
            AwsError: refused or no answer; what is missing, and what to type.
        """
        if (service, operation) not in CALLS:
            raise LookupError(f"{service}.{operation} is not in buoyfleet.cloud.aws.permissions")
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self.client(service)
            self.calls += 1
            answer: dict[str, Any] = getattr(client, operation)(**arguments)
        except ClientError as error:
            raise self._refused(error, service, operation, on) from None
        except BotoCoreError as error:
            raise self._unanswered(error, service) from None
        return answer

    def pages(
        self, service: str, operation: str, *, on: str = "", token: tuple[str, str], **arguments: Any
    ) -> Iterator[dict[str, Any]]:
        """All pages of a call.

        Args:
            service: as of `call`.
            operation: as of `call`.
            on: as of `call`.
            token: names of the token in question and answer, e.g. `("nextToken", "nextToken")`.
            arguments: of the call.

        Raises:
            AwsError: as of `call`.
        """
        asked, answered = token
        more: dict[str, Any] = {}
        while True:
            page = self.call(service, operation, on=on, **arguments, **more)
            yield page
            following = page.get(answered)
            if not following or following == more.get(asked):
                return
            more = {asked: following}

    def client(self, service: str) -> Any:
        """The client of a service."""
        with self._lock:
            client = self._clients.get(service)
        if client is not None:
            return client
        endpoint = _own_endpoint(service)
        if service == "iot-data" and not endpoint:
            endpoint = {"endpoint_url": f"https://{self.data_endpoint()}"}
        region = self.region
        from botocore.config import Config

        config = Config(
            region_name=region,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "adaptive", "total_max_attempts": MAX_ATTEMPTS},
            max_pool_connections=POOL,
            user_agent_extra="buoyfleet",
        )
        session = self._made_session()
        with self._lock:
            if service not in self._clients:
                self._clients[service] = session.client(service, config=config, **endpoint)
            return self._clients[service]

    def data_endpoint(self) -> str:
        """Host name of IoT Core's data endpoint (ATS: signed by Amazon's own authority)."""
        if self._spec.endpoint:
            return self._spec.endpoint
        answer = self.call("iot", "describe_endpoint", endpointType="iot:Data-ATS")
        return str(answer["endpointAddress"])

    def _made_session(self) -> Any:
        with self._lock:
            if self._session is None:
                import boto3
                from botocore.exceptions import BotoCoreError

                try:
                    self._session = boto3.session.Session(profile_name=self._spec.profile or None)
                except BotoCoreError as error:
                    raise AwsError(
                        str(error), where="target.profile", next_step="aws configure list-profiles"
                    ) from None
            return self._session

    def _refused(self, error: Any, service: str, operation: str, on: str) -> AwsError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = str(error.response.get("Error", {}).get("Message", "")) or str(error)
        where = f"{service}.{operation}" + (f" {on}" if on else "")
        permission = CALLS[service, operation]
        if code in DENIED or (
            error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 403
            and code not in _BAD_CREDENTIALS
        ):
            job = self._job if self._job in permission.jobs else permission.jobs[0]
            action = permission.action.replace(",", " and ")
            return AwsError(
                f"not allowed: {action} on {on or 'this resource'} is missing",
                code=code,
                identity=True,
                where=where,
                cause=said,
                next_step=f"attach what `buoy cloud policy --for {job}` prints to the identity",
            )
        if code in _BAD_CREDENTIALS:
            return AwsError(
                f"the credentials are not valid: {said}",
                code=code,
                identity=True,
                where=where,
                next_step="aws sso login, or export AWS_PROFILE=…",
            )
        if code in _THROTTLED:
            return AwsError(
                f"AWS throttles these calls ({code}: {said})",
                code=code,
                where=where,
                next_step="wait a minute and type the same command again: it goes on where it was",
            )
        return AwsError(f"{code}: {said}", code=code, where=where)

    @staticmethod
    def _unanswered(error: Exception, service: str) -> AwsError:
        from botocore import exceptions

        if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
            return AwsError(
                "there are no AWS credentials",
                cause=str(error),
                next_step="aws configure sso, or export AWS_PROFILE=…   (boto3's own chain is asked)",
            )
        if isinstance(error, exceptions.TokenRetrievalError | exceptions.UnauthorizedSSOTokenError):
            return AwsError(f"the login has expired: {error}", next_step="aws sso login")
        if isinstance(error, exceptions.HTTPClientError):
            return AwsError(
                f"{service} does not answer: {error}",
                cause="no network, a proxy, or a region that does not exist",
                next_step="check target.region and the network",
            )
        return AwsError(f"{service}: {error}", where=type(error).__name__)
