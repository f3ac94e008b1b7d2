"""What the parts of one broker share."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from buoyfleet.cloud.local.broker.account import Account
from buoyfleet.cloud.local.broker.authority import Authorise, Entrant, Gate
from buoyfleet.cloud.local.broker.packets5 import Connect5
from buoyfleet.cloud.local.broker.records import Records
from buoyfleet.cloud.local.broker.retained import RetainedMessages
from buoyfleet.cloud.local.broker.routing import Router
from buoyfleet.model.limits import Limits
from buoyfleet.mqtt.codec import Connect

Sink = Callable[..., bool | None]
"""`(topic, payload, qos, retain, dup, client_id)`, once per accepted PUBLISH, before its PUBACK is sent.
With MQTT 5 also the properties that go on, encoded.

False: the message is as if it never came, neither counted nor acknowledged."""


@dataclass(slots=True)
class Context:
    """One broker's settings and state."""

    limits: Limits
    records: Records
    clock: Callable[[], float]
    """Seconds, monotonic."""
    sink: Sink
    authorise: Authorise | None
    router: Router
    retained: RetainedMessages
    account: Account | None
    """The services behind `$aws/…`; None: there are none."""

    def gate(
        self, who: Entrant, client_id: str, source_ip: str = "", connect: Connect | None = None
    ) -> Gate | None:
        """The decisions for a new connection; None: everybody may everything."""
        authorise = who.authorise or self.authorise
        if authorise is None:
            return None
        principal = dataclasses.replace(who.principal(client_id), source_ip=source_ip)
        if connect is not None:
            will = connect.will
            kept = connect.expiry_s > 0 if isinstance(connect, Connect5) else not connect.clean_session
            asked = {"PersistentConnect": kept, "LastWill": will is not None}
            principal = dataclasses.replace(
                principal,
                connect_attributes=tuple(name for name, used in asked.items() if used),
                last_will_topic="" if will is None else will.topic.decode(),
            )
        return Gate(authorise, principal)
