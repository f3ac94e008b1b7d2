"""Which topics that begin with `$aws/` a client may use, and for what; the services behind take the requests.

AWS IoT Core developer guide, "Reserved topics".
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from buoyfleet.cloud.local.broker.account import BASIC_INGEST, ClientEvent, Reply
from buoyfleet.cloud.local.broker.authority import Principal
from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.things.jobs import request_job, request_stream
from buoyfleet.cloud.local.things.lifecycle import Lifecycle
from buoyfleet.cloud.local.things.shadow import Shadows

if TYPE_CHECKING:
    from buoyfleet.cloud.local.registry import Registry
    from buoyfleet.cloud.local.things.provisioning import Provisioning

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
_PROVISIONING = re.compile(
    r"\$aws/(?:certificates/create(?:-from-csr)?|provisioning-templates/[0-9A-Za-z_-]{1,36}/provision)/json"
)
_NOT_OFFERED: Final = (
    ("Device Defender", re.compile(_THING + r"defender/")),
    ("streams in CBOR", re.compile(_THING + r"streams/")),
    ("fleet provisioning in CBOR", re.compile(r"\$aws/(?:certificates|provisioning-templates)/.*/cbor")),
    ("IoT SiteWise", re.compile(r"\$aws/sitewise/")),
)
NOBODY: Final = Principal("")
NO_TEMPLATES: Final = "the twin has no template of fleet provisioning (`provisioning`, which needs `tls`)"
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
        self._provisioning: Provisioning | None = None
        self.answered: dict[str, int] = {}
        """Service that is not there → requests that were answered as by an account without any."""
        self._utc_s = utc_s

    def provision_with(
        self, registry: "Registry", config: TwinConfig, folder: Path, announce: Callable[[Reply, str], None]
    ) -> None:
        """Offer fleet provisioning by the templates of a configuration; `announce` publishes answers.

        Raises:
            UsageError: a template or its policy cannot be used.
        """
        from buoyfleet.cloud.local.things.provisioning import Provisioning

        log, specs = folder / "provisioning.log", config.twin.provisioning
        wall_s = config.lambda_wall_limit_s
        self._provisioning = Provisioning(registry, specs, log, wall_s, announce, self._utc_s)

    async def close(self) -> None:
        """Give up what is under way."""
        if self._provisioning is not None:
            await self._provisioning.close()

    def publish_problem(self, topic: str) -> str:
        """Why no client may publish to the topic; "": it may."""
        if any(one.fullmatch(topic) for one in (_SHADOW, _JOBS, _STREAM, _RULE)):
            return ""
        if _PROVISIONING.fullmatch(topic):
            return "" if self._provisioning is not None else NO_TEMPLATES
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

    def request(self, topic: str, payload: bytes, who: Principal = NOBODY) -> list[Reply]:
        """What the services publish because of a client's message; what takes time is published later."""
        if self._provisioning is not None and self._provisioning.request(topic, payload, who):
            return []
        found = _SHADOW.fullmatch(topic)
        if found is not None:
            return self.shadows.request(found["thing"], found["name"] or "", found["operation"], payload)
        found = _JOBS.fullmatch(topic)
        if found is not None:
            self._note("jobs")
            return request_job(found["thing"], found["rest"].split("/"), payload, int(self._utc_s()))
        found = _STREAM.fullmatch(topic)
        if found is not None:
            self._note("streams")
            return request_stream(found["thing"], found["stream"], payload)
        return []

    @property
    def notes(self) -> list[str]:
        """What an account might have answered otherwise, a sentence each."""
        return [
            f"{count} requests to {service}, answered as by an account without any: the twin has none"
            for service, count in self.answered.items()
        ]

    def _note(self, service: str) -> None:
        self.answered[service] = self.answered.get(service, 0) + 1

    def event(self, event: ClientEvent) -> Reply | None:
        """The message of a lifecycle event; None: there is none."""
        return self._lifecycle.message(event)
