"""Retained messages of the fleet's boards: kept in mind before a run, put back as they were after it.

A retained configuration that a run left behind would reach a buoy months later. The state of before is also
in the run's folder, so that it can be put back by hand after a crash.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path

from buoyfleet.cloud.aws.account import Account, AwsError

FILE = "retained-before.json"
MAX_PAGES = 100
"""Of 200 topics each: an account with more retained messages is not looked through for a test."""


class RetainedMessages:
    """The retained messages below a topic prefix, of some buoys."""

    def __init__(self, account: Account, prefix: str, buoys: frozenset[int], file: Path) -> None:
        self._account = account
        self._prefix = prefix
        self._buoys = buoys
        self._file = file
        self._before: dict[str, bytes] | None = None

    def remember(self) -> None:
        """Read what is there.

        Raises:
            AwsError: not allowed, no answer.
            OSError: the file cannot be written.
        """
        before = {topic: self._payload(topic) for topic in self._topics()}
        document = {topic: base64.b64encode(payload).decode() for topic, payload in before.items()}
        self._file.write_text(json.dumps(document, indent=1))
        self._before = before

    def restore(self, problem: Callable[[str], None]) -> int:
        """Clear what is new and put back what is gone or different; returns how many topics that were.

        What fails is told to `problem` with the topic; the rest is still done. Safe to call twice.
        """
        before, self._before = self._before, None
        if before is None:
            return 0
        changed = 0
        try:
            now = {topic: self._payload(topic) for topic in self._topics()}
        except AwsError as error:
            problem(f"retained messages could not be looked at after the run: {error.what}; see {self._file}")
            return 0
        for topic in sorted(before.keys() | now.keys()):
            if before.get(topic) == now.get(topic):
                continue
            try:
                # An empty retained message clears the topic (MQTT 3.1.1, section 3.3.1.3).
                self._account.call(
                    "iot-data",
                    "publish",
                    on=topic,
                    topic=topic,
                    qos=1,
                    retain=True,
                    payload=before.get(topic, b""),
                )
                changed += 1
            except AwsError as error:
                problem(f"the retained message on {topic} was not put back: {error.what}; see {self._file}")
        return changed

    def _topics(self) -> list[str]:
        topics = []
        pages = self._account.pages(
            "iot-data", "list_retained_messages", token=("nextToken", "nextToken"), maxResults=200
        )
        for number, page in enumerate(pages):
            if number == MAX_PAGES:
                raise AwsError(f"the account has more than {MAX_PAGES * 200:,} retained messages")
            topics += [one["topic"] for one in page.get("retainedTopics", [])]
        return [topic for topic in topics if self._is_ours(topic)]

    def _is_ours(self, topic: str) -> bool:
        if not topic.startswith(f"{self._prefix}/"):
            return False
        buoy = topic.removeprefix(f"{self._prefix}/").partition("/")[0]
        return buoy.isdecimal() and int(buoy) in self._buoys

    def _payload(self, topic: str) -> bytes:
        answer = self._account.call("iot-data", "get_retained_message", on=topic, topic=topic)
        payload = answer.get("payload", b"")
        return payload if isinstance(payload, bytes) else payload.read()
