"""What the parts of one broker share."""

from collections.abc import Callable
from dataclasses import dataclass

from buoyfleet.cloud.local.broker.account import Account
from buoyfleet.cloud.local.broker.authority import Authorise, Entrant, Gate
from buoyfleet.cloud.local.broker.records import Records
from buoyfleet.cloud.local.broker.retained import RetainedMessages
from buoyfleet.cloud.local.broker.routing import Router
from buoyfleet.model.limits import Limits

Sink = Callable[[str, bytes, int, bool, bool, str], bool | None]
"""`(topic, payload, qos, retain, dup, client_id)`, once per accepted PUBLISH, before its PUBACK is sent.

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

    def gate(self, who: Entrant, client_id: str) -> Gate | None:
        """The decisions for a new connection; None: everybody may everything."""
        authorise = who.authorise or self.authorise
        return None if authorise is None else Gate(authorise, who.principal(client_id))
