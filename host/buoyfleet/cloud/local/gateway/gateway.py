"""Who is calling, and what answers: the part of the device gateway that a first client of HTTPS loads."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from buoyfleet.cloud.local.broker import Broker
from buoyfleet.cloud.local.broker.authority import NOBODY, Entrant, Gate
from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.policy import Certificate, Policy, PolicyAuthoriser
from buoyfleet.cloud.local.broker.records import DisconnectReason, Metric, Reason
from buoyfleet.cloud.local.broker.tls import Peer
from buoyfleet.cloud.local.gateway import signature
from buoyfleet.cloud.local.gateway.authorizer import NAME, Authorizer, Denied, Login, Verdict
from buoyfleet.cloud.local.gateway.data_api import DataApi
from buoyfleet.cloud.local.gateway.keys import AccessKeys
from buoyfleet.cloud.local.gateway.request import HttpAnswer, HttpRequest, Refusal
from buoyfleet.cloud.local.things import Services

WEBSOCKET_S: Final = 86_400.0
"""A connection of WebSocket lives a day at most (AWS General Reference, "WebSocket connection duration")."""
HTTP: Final = ("tls", "http")
WEBSOCKET: Final = ("tls", "http", "mqtt")
MQTT: Final = ("tls", "mqtt")
"""`protocols` of an authorizer's event."""


class Gateway:
    """The credentials of one account, and what they open."""

    def __init__(
        self,
        broker: Broker,
        services: Services,
        keys: AccessKeys,
        access_policy: Policy | None,
        authorizers: list[Authorizer],
        certificates: bool,
    ) -> None:
        """`certificates`: the twin has TLS, and nobody may anything without credentials."""
        self.broker = broker
        self._keys = keys
        self._authorizers = {one.spec.name: one for one in authorizers}
        self._default = next((one for one in authorizers if one.spec.default), None)
        self._certificates = certificates
        self._access = (
            _everything
            if access_policy is None
            else PolicyAuthoriser({"": Certificate(policies=(access_policy,))})
        )
        self._api = DataApi(broker.data, services, broker.data.announce)
        self.later: Callable[[float, Callable[[], None]], object] = asyncio.get_running_loop().call_later
        """Calls a function after some seconds."""
        self._tasks: set[asyncio.Task[None]] = set()

    # HTTPS

    async def answer(self, request: HttpRequest, peer: Peer) -> HttpAnswer:
        """Answer a request.

        Raises:
            Refusal: AWS would refuse it.
        """
        custom = False
        if peer.certificate_id and not signature.is_signed(request):
            entrant = Entrant(peer.certificate_id)
        else:
            entrant, custom = await self._entrant(request, peer, HTTP)
        if custom and not request.path.startswith("/topics/"):
            words = "a custom authorizer opens nothing over HTTPS but publishing"
            raise Refusal(403, "Forbidden", words)
        return self._api.answer(request, self.broker.data.gate(entrant))

    async def _entrant(
        self, request: HttpRequest, peer: Peer, protocols: tuple[str, ...]
    ) -> tuple[Entrant, bool]:
        """Whose request it is without a certificate, and whether an authorizer said so."""
        if signature.is_signed(request):
            return self.signed(request), False
        login = Login(peer.server_name, http=request, protocols=protocols)
        authorizer = self.authorizer(login)
        if authorizer is not None:
            try:
                return (await authorizer.decide(login)).entrant, True
            except Denied as error:
                raise Refusal(403, "Forbidden", str(error)) from None
        if not self._certificates:
            return NOBODY, False
        words = "neither signed (Signature Version 4) nor for a custom authorizer, and without a certificate"
        raise Refusal(403, "Forbidden", words)

    def signed(self, request: HttpRequest) -> Entrant:
        """Who signed a request.

        Raises:
            Refusal: nobody that the twin knows.
        """
        key = signature.check(request, self._keys, time.time())
        return Entrant(name=key.principal, authorise=self._access)

    # MQTT

    def named(self, name: str) -> Authorizer:
        """An authorizer by its name.

        Raises:
            Refusal: there is none of this name.
        """
        found = self._authorizers.get(name)
        if found is None:
            known = ", ".join(self._authorizers) or "none"
            raise Refusal(403, "Forbidden", f"no authorizer {name!r}; the twin has: {known}")
        return found

    def authorizer(self, login: Login) -> Authorizer | None:
        """The authorizer that decides: the one that the client names, else the default one.

        Raises:
            Refusal: it names one that is not there.
        """
        name = login.credential(NAME)
        return self.named(name) if name else self._default

    @property
    def has_authorizers(self) -> bool:
        """Whether a client may log in with CONNECT."""
        return bool(self._authorizers)

    @property
    def open(self) -> bool:
        """Whether a client needs no credentials."""
        return not self._certificates

    def keep(self, connection: Connection, verdict: Verdict, authorizer: Authorizer, login: Login) -> None:
        """End a connection, and ask anew, when its authorizer says so."""

        def end() -> None:
            connection.end(DisconnectReason.CUSTOMAUTH_TTL_EXPIRATION)

        self.later(verdict.disconnect_after_s, end)
        self.later(verdict.refresh_after_s, lambda: self._again(connection, authorizer, login))

    def end_websocket(self, connection: Connection) -> None:
        """End a connection of WebSocket when its day is over."""
        self.later(WEBSOCKET_S, lambda: connection.end(DisconnectReason.WEBSOCKET_TTL_EXPIRATION))

    async def _refresh(self, connection: Connection, authorizer: Authorizer, login: Login) -> None:
        try:
            verdict = await authorizer.decide(login)
        except Denied as error:
            connection.refuse(
                Reason.NOT_AUTHORISED, None, f"asked anew: {error}", DisconnectReason.AUTH_ERROR
            )
            return
        if connection.ending or verdict.entrant.authorise is None:
            return
        gate = Gate(verdict.entrant.authorise, verdict.entrant.principal(connection.client_id))
        connection.gate = gate
        if connection.session is not None:
            connection.session.gate = gate
        self.later(verdict.refresh_after_s, lambda: self._again(connection, authorizer, login))

    def _again(self, connection: Connection, authorizer: Authorizer, login: Login) -> None:
        if not connection.ending:
            task = asyncio.get_running_loop().create_task(self._refresh(connection, authorizer, login))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # Life

    def refused(self, refusal: Refusal, what: str) -> None:
        """Record why somebody got no further."""
        if refusal.noted:
            return
        words, records = f"{what}: {refusal.detail}", self.broker.records
        if refusal.status in (401, 403):
            records.refuse(Reason.NOT_AUTHENTICATED, Metric.CONNECTION_AUTHN_ERROR, words, "")
        else:
            records.refuse(Reason.REQUEST_REFUSED, None, words, "")

    def failed(self, error: BaseException) -> None:
        """Record a defect of ours: the client sees a closed connection, and others go on."""
        words = f"the twin failed: {type(error).__name__}: {error}"
        self.broker.records.refuse(Reason.SINK_FAILED, Metric.PUBLISH_IN_SERVER_ERROR, words, "")

    async def close(self) -> None:
        """End what runs for it."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for authorizer in self._authorizers.values():
            await authorizer.close()


def _everything(_action: str, _resource: str, _principal: object) -> bool:
    return True
