"""AWS Signature Version 4 of a request, in its headers or in its query string.

AWS General Reference, "Signature Version 4 signing process". What is IoT Core's own: the name of the service,
and a session token that is appended to the query string after signing (developer guide, "MQTT over the
WebSocket protocol").
"""

import calendar
import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from buoyfleet.cloud.local.gateway.keys import AccessKey, AccessKeys
from buoyfleet.cloud.local.gateway.request import HttpRequest, Refusal

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICES: Final = ("iotdevicegateway", "iotdata")
"""In the scope: the guide's name, and that of botocore's model (`signingName`); older device SDKs use it for
WebSocket, too."""
SKEW_S: Final = 300
"""A signature's time may differ by five minutes."""
_UNRESERVED: Final = "-_.~"
_FIELD = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")


@dataclass(frozen=True, slots=True)
class _Signature:
    """What a request says of its signature."""

    credential: str
    date: str
    signed_headers: str
    signature: str
    token: str
    expires_s: int


def is_signed(request: HttpRequest) -> bool:
    """Whether a request claims to be signed."""
    authorization = request.header("authorization")
    return authorization.startswith(ALGORITHM) or request.parameter("X-Amz-Algorithm") is not None


def check(request: HttpRequest, keys: AccessKeys, now_s: float) -> AccessKey:
    """The key that signed the request.

    Args:
        request: claims to be signed.
        keys: those that are known.
        now_s: seconds since 1970.

    Raises:
        Refusal: 403; its detail says what is wrong.
    """
    in_query = request.parameter("X-Amz-Algorithm") is not None
    told = _from_query(request) if in_query else _from_headers(request)
    key_id, _, scope = told.credential.partition("/")
    day, _region, service, last = (*scope.split("/"), "", "", "", "")[:4]
    key = keys.find(key_id)
    if key is None:
        raise _refused(f"the access key {key_id!r} is not the twin's; its keys are in {keys.file}")
    if last != "aws4_request" or service not in SERVICES:
        raise _refused(f"signed for the service {service!r}; IoT Core's is {SERVICES[0]}")
    if not told.date.startswith(day) or len(day) != 8:
        raise _refused(f"its date {told.date} is not that of its scope {scope}")
    _check_time(told, now_s)
    if "host" not in told.signed_headers.split(";"):
        raise _refused("the header `host` is not signed")
    if told.token != key.session_token:
        what = "has no session token" if not told.token else "has another session token"
        raise _refused(f"the request {what}, which belongs to the access key {key_id}")
    canonical = _canonical_request(request, told, in_query)
    to_sign = "\n".join((ALGORITHM, told.date, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    secret = f"AWS4{key.secret}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    expected = hmac.digest(secret, to_sign.encode(), "sha256").hex()
    if not hmac.compare_digest(expected, told.signature):
        query = _canonical_query(request, in_query)
        signed = f"{request.method} {request.path}?{query} with the headers {told.signed_headers}"
        raise _refused(f"the signature does not match the request as it arrived: {signed}")
    return key


def _from_query(request: HttpRequest) -> _Signature:
    def value(name: str) -> str:
        return request.parameter(f"X-Amz-{name}") or ""

    expires = value("Expires")
    if expires and not expires.isdecimal():
        raise _refused(f"X-Amz-Expires is {expires!r}")
    if value("Algorithm") != ALGORITHM:
        raise _refused(f"X-Amz-Algorithm is {value('Algorithm')!r}; {ALGORITHM} is known")
    return _Signature(
        value("Credential"),
        value("Date"),
        value("SignedHeaders"),
        value("Signature"),
        value("Security-Token"),
        int(expires) if expires else SKEW_S,
    )


def _from_headers(request: HttpRequest) -> _Signature:
    fields = dict(_FIELD.findall(request.header("authorization")))
    date, token = request.header("x-amz-date"), request.header("x-amz-security-token")
    return _Signature(
        fields.get("Credential", ""),
        date,
        fields.get("SignedHeaders", ""),
        fields.get("Signature", ""),
        token,
        SKEW_S,
    )


def _check_time(told: _Signature, now_s: float) -> None:
    try:
        signed_s = calendar.timegm(time.strptime(told.date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise _refused(f"its date is {told.date!r}, not like 20261201T120000Z") from None
    if signed_s - now_s > SKEW_S:
        raise _refused(f"signed {signed_s - now_s:.0f} s in the future; {SKEW_S} s are allowed")
    if now_s - signed_s > told.expires_s:
        raise _refused(f"signed {now_s - signed_s:.0f} s ago; it expired after {told.expires_s} s")


def _canonical_request(request: HttpRequest, told: _Signature, in_query: bool) -> str:
    # A path is encoded once more, unless it is S3's.
    path = quote(request.path, safe="/" + _UNRESERVED)
    names = told.signed_headers.split(";")
    headers = "".join(f"{name}:{_trimmed(request, name)}\n" for name in names)
    body = hashlib.sha256(request.body).hexdigest()
    # botocore does not hash a body over HTTPS where the service's model says so.
    declared = request.header("x-amz-content-sha256")
    if not in_query and declared:
        if declared not in (body, "UNSIGNED-PAYLOAD"):
            raise _refused("X-Amz-Content-Sha256 is not the hash of the body")
        body = declared
    parts = (request.method, path, _canonical_query(request, in_query), headers, told.signed_headers, body)
    return "\n".join(parts)


def _canonical_query(request: HttpRequest, in_query: bool) -> str:
    left_out = ("X-Amz-Signature", "X-Amz-Security-Token") if in_query else ()
    pairs = [one.partition("=") for one in request.query_string.split("&") if one]
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs if name not in left_out)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encoded(text: str) -> str:
    return quote(unquote(text), safe=_UNRESERVED)


def _trimmed(request: HttpRequest, name: str) -> str:
    return ",".join(" ".join(value.split()) for key, value in request.headers if key == name)


def _refused(detail: str) -> Refusal:
    # The data endpoint says no more than this.
    return Refusal(403, "Forbidden", f"Signature Version 4: {detail}")
