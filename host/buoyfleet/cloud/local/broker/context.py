"""What the parts of one broker share."""

from collections.abc import Callable
from dataclasses import dataclass

from buoyfleet.cloud.local.broker.account import Account
from buoyfleet.cloud.local.broker.authority import Authorise, Gate, Principal
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

    def gate(self, principal: Principal) -> Gate | None:
        """The decisions for a new connection; None: everybody may everything."""
        return None if self.authorise is None else Gate(self.authorise, principal)
