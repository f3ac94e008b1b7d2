"""Fleet provisioning: devices without a certificate of their own get one, and become things.

AWS IoT Core developer guide, "Device provisioning MQTT API" and "Pre-provisioning hooks". AWS publishes the
form of an error and few of its codes: `InvalidCertificateOwnershipToken`, `InvalidParameters` and
`AccessDenied` are seen in reports; the others here are chosen.
"""

import asyncio
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from buoyfleet.cloud.local.broker.account import Reply
from buoyfleet.cloud.local.broker.authority import Principal
from buoyfleet.cloud.local.broker.policy import Policy, PolicyError
from buoyfleet.cloud.local.lambda_runtime import LambdaRuntime
from buoyfleet.cloud.local.registry import Registry
from buoyfleet.cloud.local.things.provisioning_template import Provisioned, Template, TemplateError
from buoyfleet.model.twin import ProvisioningSpec

TOKEN_S: Final = 3600.0
"""Life of a `certificateOwnershipToken`, and of a certificate that nobody provisions."""
HOOK_S: Final = 5.0
"""A pre-provisioning hook must answer within this time."""
_CREATE = re.compile(r"\$aws/certificates/(?P<what>create|create-from-csr)/json")
_REGISTER = re.compile(r"\$aws/provisioning-templates/(?P<template>[0-9A-Za-z_-]{1,36})/provision/json")
Announce = Callable[[Reply, str], None]


class Rejected(Exception):
    """A request that is refused: status, code and words of the answer."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class _Pending:
    """A certificate that waits to be provisioned."""

    certificate_id: str
    pem: str
    until_s: float


class Provisioning:
    """The service behind `$aws/certificates/…` and `$aws/provisioning-templates/…`."""

    def __init__(
        self,
        registry: Registry,
        specs: tuple[ProvisioningSpec, ...],
        log: Path,
        wall_limit_s: float,
        announce: Announce,
        utc_s: Callable[[], float] = time.time,
    ) -> None:
        """Read the templates.

        Args:
            registry: where certificates and things are made.
            specs: the templates of the account.
            log: what hooks print.
            wall_limit_s: protection against a hook that hangs.
            announce: publishes an answer to the client that asked.
            utc_s: seconds since 1970.

        Raises:
            UsageError: a template or its policy cannot be used.
        """
        self._registry = registry
        self._templates = {one.name: Template(one.name, one.template) for one in specs}
        self._policies = {one.name: registry.policy_of(one.policy) for one in specs}
        self._hooks = {
            one.name: LambdaRuntime(
                Path(one.hook), log, wall_limit_s=wall_limit_s, memory_mb=128, timeout_s=HOOK_S
            )
            for one in specs
            if one.hook
        }
        self._announce = announce
        self._utc_s = utc_s
        self._pending: dict[str, _Pending] = {}
        """By ownership token, oldest first."""
        self._tasks: set[asyncio.Task[None]] = set()
        if specs:
            registry.make_claim(tuple(self._templates))

    def request(self, topic: str, payload: bytes, who: Principal) -> bool:
        """Begin to answer a request; False: the topic is none of a request."""
        if not (_CREATE.fullmatch(topic) or _REGISTER.fullmatch(topic)):
            return False
        task = asyncio.get_running_loop().create_task(self._answer(topic, payload, who))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Give up what is under way, end the hooks."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for hook in self._hooks.values():
            await hook.close()

    async def _answer(self, topic: str, payload: bytes, who: Principal) -> None:
        self._forget()
        try:
            created = _CREATE.fullmatch(topic)
            register = _REGISTER.fullmatch(topic)
            if created is not None:
                said = await self._create(payload, created["what"] == "create-from-csr")
            else:
                said = await self._register(payload, register["template"] if register else "", who)
            ending = "accepted"
        except Rejected as error:
            said = {"statusCode": error.status, "errorCode": error.code, "errorMessage": str(error)}
            ending = "rejected"
        body = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
        self._announce(Reply(f"{topic}/{ending}", body, direct=True), who.client_id)

    # CreateKeysAndCertificate, CreateCertificateFromCsr

    async def _create(self, payload: bytes, from_request: bool) -> dict[str, Any]:
        request = ""
        if from_request:
            request = str(_object(payload).get("certificateSigningRequest", ""))
        elif payload.strip():
            _object(payload)
        try:
            # An RSA key takes its time.
            made = await asyncio.to_thread(self._registry.issue_pending, request)
        except ValueError as error:
            raise Rejected(400, "InvalidCertificateSigningRequest", str(error)) from None
        token = secrets.token_urlsafe(384)
        until_s = self._utc_s() + TOKEN_S
        self._pending[token] = _Pending(made.certificate_id, made.pem, until_s)
        said = {"certificateId": made.certificate_id, "certificatePem": made.pem}
        if made.key:
            said["privateKey"] = made.key
        return {**said, "certificateOwnershipToken": token}

    def _forget(self) -> None:
        """Delete certificates that nobody has provisioned in time."""
        now_s = self._utc_s()
        while self._pending:
            token, pending = next(iter(self._pending.items()))
            if now_s < pending.until_s:
                return
            del self._pending[token]
            self._registry.delete(pending.certificate_id)

    # RegisterThing

    async def _register(self, payload: bytes, name: str, who: Principal) -> dict[str, Any]:
        asked = _object(payload)
        token, parameters = asked.get("certificateOwnershipToken"), asked.get("parameters", {})
        if not token:
            raise Rejected(
                400, "InvalidCertificateOwnershipToken", "Certificate ownership token cannot be empty."
            )
        if not isinstance(parameters, Mapping) or not all(
            isinstance(one, str) for one in parameters.values()
        ):
            raise Rejected(400, "InvalidParameters", "parameters must be strings")
        template = self._templates.get(name)
        if template is None:
            raise Rejected(404, "ResourceNotFound", f"Provisioning template {name} does not exist")
        pending = self._pending.get(token) if isinstance(token, str) else None
        if pending is None:
            raise Rejected(400, "InvalidCertificateOwnershipToken", "Invalid certificate ownership token")
        values = {**parameters, **await self._asked_hook(template, pending, parameters, who)}
        try:
            made = template.apply(values, pending.certificate_id)
            policies = [self._policies[name] for _ in made.policy_names]
            policies += [Policy.parse(text, "PolicyDocument") for text in made.policy_documents]
            self._provision(made, pending.certificate_id, tuple(policies))
        except (TemplateError, PolicyError) as error:
            raise Rejected(400, "InvalidParameters", str(error)) from None
        self._pending.pop(str(token), None)
        said: dict[str, Any] = {"deviceConfiguration": dict(made.device_configuration)}
        return {**said, "thingName": made.thing} if made.thing else said

    async def _asked_hook(
        self, template: Template, pending: _Pending, parameters: Mapping[str, str], who: Principal
    ) -> Mapping[str, str]:
        """The parameters that the hook overrides."""
        hook = self._hooks.get(template.name)
        if hook is None:
            return {}
        event = {
            "claimCertificateId": who.certificate_id,
            "certificateId": pending.certificate_id,
            "certificatePem": pending.pem,
            "templateArn": f"{self._registry.arn}:provisioningtemplate/{template.name}",
            "clientId": who.client_id,
            "parameters": dict(parameters),
        }
        answer = await hook.invoke(json.dumps(event).encode())
        said = answer.result
        if answer.error_type or not isinstance(said, Mapping) or said.get("allowProvisioning") is not True:
            raise Rejected(403, "AccessDenied", "Access Denied")
        overrides = said.get("parameterOverrides") or {}
        return (
            {str(key): str(value) for key, value in overrides.items()}
            if isinstance(overrides, Mapping)
            else {}
        )

    def _provision(self, made: Provisioned, certificate_id: str, policies: tuple[Policy, ...]) -> None:
        known = self._registry.thing(made.thing) if made.thing else None
        attributes, type_name = dict(made.attributes), made.type_name
        if known is not None:
            if "FAIL" in made.overrides.values():
                raise Rejected(409, "ResourceConflicts", f"Thing {made.thing} exists already")
            rule = made.overrides.get("AttributePayload", "DO_NOTHING")
            if rule == "MERGE":
                attributes = {**known.attributes, **attributes}
            elif rule == "DO_NOTHING":
                attributes = dict(known.attributes)
            if made.overrides.get("ThingTypeName", "DO_NOTHING") == "DO_NOTHING":
                type_name = known.type_name
        self._registry.provision(certificate_id, made.thing, type_name, attributes, policies, made.active)


def _object(payload: bytes) -> dict[str, Any]:
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        raise Rejected(400, "InvalidJson", "The request is no JSON") from None
    if not isinstance(found, dict):
        raise Rejected(400, "InvalidJson", "The request is no JSON object")
    return found
