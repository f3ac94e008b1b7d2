"""Custom authorizers: a function of the user's decides who may connect, and what for.

AWS IoT Core developer guide, "Custom authentication and authorization". The function runs here as a Lambda
function does, in a process of its own.
"""

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from buoyfleet.cloud.local.broker.authority import Entrant
from buoyfleet.cloud.local.broker.policy import Certificate, Policy, PolicyAuthoriser, PolicyError
from buoyfleet.cloud.local.gateway.request import HttpRequest
from buoyfleet.cloud.local.lambda_runtime import LambdaRuntime
from buoyfleet.model.errors import UsageError
from buoyfleet.model.twin import AuthorizerSpec
from buoyfleet.mqtt.codec import Connect

NAME: Final = "x-amz-customauthorizer-name"
SIGNATURE: Final = "x-amz-customauthorizer-signature"
MOST_POLICIES: Final = 10
MOST_POLICY_CHARACTERS: Final = 2048
LEAST_S: Final = 300
MOST_S: Final = 86_400
"""Bounds of `disconnectAfterInSeconds` and `refreshAfterInSeconds`: 5 minutes to a day."""
LEAST_KEY_BITS: Final = 2048
TIMEOUT_S: Final = 5.0
"""IoT Core waits so long for an authorizer's function ("Creating and managing custom authorizers")."""
MEMORY_MB: Final = 128
_PRINCIPAL = re.compile(r"[a-zA-Z0-9]{1,128}")


class Denied(Exception):
    """Custom authentication failed; the text says why."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a client shows to an authorizer."""

    server_name: str
    """By SNI; "" without TLS."""
    http: HttpRequest | None = None
    connect: Connect | None = None
    protocols: tuple[str, ...] = ()

    def credential(self, name: str) -> str:
        """From the headers, the query, or the parameters behind the user name."""
        if self.http is not None:
            return self.http.credential(name)
        _, _, query = ((self.connect and self.connect.username) or "").partition("?")
        pairs = [one.partition("=") for one in query.split("&") if one]
        return next((unquote(value) for key, _, value in pairs if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an authorizer allows."""

    entrant: Entrant
    disconnect_after_s: int
    refresh_after_s: int


class Authorizer:
    """One authorizer of the account."""

    def __init__(self, spec: AuthorizerSpec, log: Path, wall_limit_s: float) -> None:
        """Nothing runs yet.

        Raises:
            UsageError: its key cannot be used, or its function is not there.
        """
        self.spec = spec
        handler = Path(spec.handler)
        self._key = _public_key(spec) if spec.signing_key else None
        self._runtime = LambdaRuntime(
            handler, log, wall_limit_s=wall_limit_s, memory_mb=MEMORY_MB, timeout_s=TIMEOUT_S
        )

    async def decide(self, login: Login) -> Verdict:
        """Ask the function.

        Raises:
            Denied: the client may not connect.
        """
        spec = self.spec
        token = login.credential(spec.token_key) if spec.token_key else ""
        if self._key is not None:
            self._check_signature(self._key, token, login.credential(SIGNATURE))
        answer = await self._runtime.invoke(json.dumps(self._event(login, token)).encode())
        if answer.error_type:
            raise Denied(f"{self.name}: its function failed: {answer.error_type}: {answer.error_message}")
        return self._read(answer.result)

    @property
    def name(self) -> str:
        """In messages."""
        return f"authorizer {self.spec.name}"

    async def close(self) -> None:
        """End the function's process."""
        await self._runtime.close()

    def _check_signature(self, key: rsa.RSAPublicKey, token: str, signature: str) -> None:
        if not token:
            raise Denied(f"{self.name}: the client sent no token under {self.spec.token_key!r}")
        if not signature:
            raise Denied(f"{self.name}: the client sent no {SIGNATURE}")
        try:
            signed = base64.b64decode(signature, validate=True)
            key.verify(signed, token.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, InvalidSignature):
            raise Denied(f"{self.name}: the signature of the token is not that of its key") from None

    def _event(self, login: Login, token: str) -> dict[str, Any]:
        """What the function gets; fields that do not belong to the connection are left out."""
        data: dict[str, Any] = {}
        if login.server_name:
            data["tls"] = {"serverName": login.server_name}
        if login.http is not None:
            query = login.http.query_string
            data["http"] = {"headers": dict(login.http.headers), "queryString": f"?{query}" if query else ""}
        connect = login.connect
        if connect is not None:
            mqtt: dict[str, str] = {}
            if connect.username is not None:
                mqtt["username"] = connect.username
            if connect.password is not None:
                mqtt["password"] = base64.b64encode(connect.password).decode()
            if connect.client_id:
                mqtt["clientId"] = connect.client_id
            data["mqtt"] = mqtt
        event: dict[str, Any] = {
            "signatureVerified": self._key is not None,
            "protocols": list(login.protocols),
            "protocolData": data,
            "connectionMetadata": {"id": str(uuid.uuid4())},
        }
        return {"token": token, **event} if token else event

    def _read(self, said: Any) -> Verdict:
        """The function's answer, as strictly as IoT Core takes it."""
        if not isinstance(said, Mapping):
            raise Denied(f"{self.name}: its function returned {type(said).__name__}, not an object")
        if said.get("isAuthenticated") is not True:
            raise Denied(f"{self.name}: isAuthenticated is {said.get('isAuthenticated')!r}")
        principal = said.get("principalId")
        if not isinstance(principal, str) or not _PRINCIPAL.fullmatch(principal):
            raise Denied(f"{self.name}: principalId is {principal!r}, not 1 to 128 letters and digits")
        policies = self._policies(said.get("policyDocuments"))
        seconds = []
        for key in ("disconnectAfterInSeconds", "refreshAfterInSeconds"):
            value = said.get(key)
            if type(value) is not int or not LEAST_S <= value <= MOST_S:
                raise Denied(f"{self.name}: {key} is {value!r}, not a number from {LEAST_S} to {MOST_S}")
            seconds.append(value)
        authorise = PolicyAuthoriser({"": Certificate(policies=policies)})
        return Verdict(Entrant(name=principal, authorise=authorise), *seconds)

    def _policies(self, documents: Any) -> tuple[Policy, ...]:
        if not isinstance(documents, list) or len(documents) > MOST_POLICIES:
            raise Denied(f"{self.name}: policyDocuments is no list of at most {MOST_POLICIES} policies")
        policies = []
        for number, one in enumerate(documents, 1):
            text = one if isinstance(one, str) else json.dumps(one, separators=(",", ":"))
            if len(text) > MOST_POLICY_CHARACTERS:
                size = f"{len(text)} characters; {MOST_POLICY_CHARACTERS} are allowed"
                raise Denied(f"{self.name}: policy {number} has {size}")
            try:
                policies.append(Policy.parse(text, f"policy {number}"))
            except PolicyError as error:
                raise Denied(f"{self.name}: {error.where}: {error.what}") from None
        return tuple(policies)


def _public_key(spec: AuthorizerSpec) -> rsa.RSAPublicKey:
    try:
        key = serialization.load_pem_public_key(Path(spec.signing_key).read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read: {error.strerror}", where=spec.signing_key) from None
    except ValueError:
        raise UsageError("no public key (PEM)", where=spec.signing_key) from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < LEAST_KEY_BITS:
        raise UsageError(
            f"no RSA key of at least {LEAST_KEY_BITS} bits",
            where=spec.signing_key,
            cause="IoT Core takes no other keys for signed tokens",
            next_step="openssl genrsa -out key.pem 2048; openssl rsa -in key.pem -pubout -out FILE",
        )
    return key
