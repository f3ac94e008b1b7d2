"""The sessions of all clients, and the wills that wait: who keeps what, and for how long."""

from buoyfleet.cloud.local.broker.connection import Connection
from buoyfleet.cloud.local.broker.rates import SecondWindow
from buoyfleet.cloud.local.broker.records import Metric, Reason, Records
from buoyfleet.cloud.local.broker.routing import Router
from buoyfleet.cloud.local.broker.session import Session
from buoyfleet.model.limits import Limits
from buoyfleet.mqtt.codec import Will


class WaitingWill:
    """The will of a client that is gone, until its delay is over (MQTT 5, section 3.1.3.2.2)."""

    __slots__ = ("connection", "will")

    def __init__(self, connection: Connection, will: Will) -> None:
        self.connection = connection
        self.will = will


class Sessions:
    """Sessions by client id."""

    def __init__(
        self, limits: Limits, records: Records, router: Router, queueing: SecondWindow | None
    ) -> None:
        self._limits = limits
        self._records = records
        self._router = router
        self._queueing = queueing
        self._sessions: dict[str, Session] = {}
        self.wills: dict[str, WaitingWill] = {}
        """Wills that wait, by client id."""

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def waiting(self) -> int:
        """Messages that wait to be sent or acknowledged."""
        return sum(session.waiting + session.in_flight for session in self._sessions.values())

    def find(self, client_id: str) -> Session | None:
        """The session of a client."""
        return self._sessions.get(client_id)

    def open(self, client_id: str, clean_start: bool, expiry_s: float) -> tuple[Session, bool]:
        """The session to use, and whether it was there already."""
        known = self._sessions.get(client_id)
        if known is not None:
            if not clean_start:
                known.expiry_s = expiry_s
                return known, True
            self._router.forget(known)
        session = Session(client_id, expiry_s, self._limits, self._records, self._queueing)
        self._sessions[client_id] = session
        return session, False

    def close(self, session: Session, now_s: float) -> bool:
        """A client has gone; whether its session lives on."""
        session.suspend()
        if session.expiry_s > 0:
            session.give_back(now_s)
            return True
        self._router.forget(session)
        session.give_back(now_s)
        self._sessions.pop(session.client_id, None)
        return False

    def expire(self, session: Session) -> None:
        """A session's life is over."""
        for message in session.unacknowledged():
            self._records.refuse(
                Reason.DELIVERY_SESSION_EXPIRED,
                Metric.PUBLISH_OUT_CLIENT_ERROR,
                f"stored for a client that stayed away for {session.expiry_s:.0f} s",
                session.client_id,
                message.topic.decode(),
            )
        self._router.forget(session)
        self._sessions.pop(session.client_id, None)

    def clear(self) -> None:
        """Forget all of them."""
        for session in list(self._sessions.values()):
            self._router.forget(session)
        self._sessions.clear()
        self.wills.clear()
