"""Which topics that begin with `$aws/` a client may use, and for what; the services behind take the requests.

AWS IoT Core developer guide, "Reserved topics".
"""

import re
import time
from collections.abc import Callable
from typing import Final

from buoyfleet.cloud.local.broker.account import BASIC_INGEST, ClientEvent, Reply
from buoyfleet.cloud.local.things.jobs import request_job, request_stream
from buoyfleet.cloud.local.things.lifecycle import Lifecycle
from buoyfleet.cloud.local.things.shadow import Shadows

_THING: Final = r"\$aws/things/(?P<thing>[a-zA-Z0-9:_-]{1,128})/"
_SHADOW = re.compile(
    _THING + r"shadow/(?:name/(?P<name>[$a-zA-Z0-9:_-]{1,64})/)?(?P<operation>get|update|delete)"
)
_JOBS = re.compile(_THING + r"jobs/(?P<rest>get|start-next|[$a-zA-Z0-9_-]{1,64}/(?:get|update))")
_STREAM = re.compile(_THING + r"streams/(?P<stream>[a-zA-Z0-9_-]{1,128})/(?:get|describe)/json")
_RULE = re.compile(r"\$aws/rules/[a-zA-Z0-9_]{1,128}/.+", re.DOTALL)
_READ_ONLY = re.compile(
    r"\$aws/(?:events/.*|things/[^/]+/(?:shadow|jobs|streams|tunnels|defender)/.*"
    r"|(?:certificates|provisioning-templates)/.*/(?:accepted|rejected))",
    re.DOTALL,
)
_NOT_OFFERED: Final = (
    ("Device Defender", re.compile(_THING + r"defender/")),
    ("streams in CBOR", re.compile(_THING + r"streams/")),
    ("fleet provisioning", re.compile(r"\$aws/(?:certificates|provisioning-templates)/")),
    ("IoT SiteWise", re.compile(r"\$aws/sitewise/")),
)
_SUBSCRIBED: Final = ("things", "events", "certificates", "provisioning-templates", "sitewise")
"""Second levels of topics that clients may subscribe to."""


class Services:
    """The account's services (`broker.account.Account`)."""

    def __init__(
        self, wants: Callable[[str], bool] | None = None, utc_s: Callable[[], float] = time.time
    ) -> None:
        """`wants`: whether a rule selects from a topic; `utc_s`: seconds since 1970."""
        self.wants = wants or (lambda _topic: False)
        self.shadows = Shadows(utc_s)
        self._lifecycle = Lifecycle(utc_s)
        self._utc_s = utc_s

    def publish_problem(self, topic: str) -> str:
        """Why no client may publish to the topic; "": it may."""
        if any(one.fullmatch(topic) for one in (_SHADOW, _JOBS, _STREAM, _RULE)):
            return ""
        if _READ_ONLY.fullmatch(topic) and not topic.startswith("$aws/things"):
            return "clients may only subscribe to it"
        for service, pattern in _NOT_OFFERED:
            if pattern.match(topic):
                return f"the twin does not offer {service}"
        if _READ_ONLY.fullmatch(topic):
            return "no request, or one that clients may only subscribe to"
        return "no topic that AWS IoT Core has"

    def subscribe_problem(self, topic_filter: str) -> str:
        """Why no client may subscribe to the filter; "": it may."""
        levels = topic_filter.split("/")
        if len(levels) > 2 and levels[1] in _SUBSCRIBED:
            return ""
        if topic_filter.startswith(BASIC_INGEST):
            return "nobody may subscribe to the topics of Basic Ingest"
        return "no topic that AWS IoT Core has; its second level must be a service's name"

    def request(self, topic: str, payload: bytes) -> list[Reply]:
        """What the services publish because of a client's message."""
        found = _SHADOW.fullmatch(topic)
        if found is not None:
            return self.shadows.request(found["thing"], found["name"] or "", found["operation"], payload)
        found = _JOBS.fullmatch(topic)
        if found is not None:
            return request_job(found["thing"], found["rest"].split("/"), payload, int(self._utc_s()))
        found = _STREAM.fullmatch(topic)
        if found is not None:
            return request_stream(found["thing"], found["stream"], payload)
        return []

    def event(self, event: ClientEvent) -> Reply | None:
        """The message of a lifecycle event; None: there is none."""
        return self._lifecycle.message(event)
