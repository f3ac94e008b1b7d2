"""Error actions of rules: what IoT Core does with a message whose action failed.

The document is AWS's (IoT guide, "Error handling (error action)"): rule, topic, client, the payload as it
came and the failures. It goes into the bucket, an object each, or out again as a message.
"""

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.cloud.local.folders import ACTIONS_FOLDER
from buoyfleet.cloud.local.functions import LocalFunctions
from buoyfleet.cloud.local.record_book import RecordBook
from buoyfleet.cloud.local.s3 import Bucket
from buoyfleet.model.twin import ErrorAction, FunctionSpec

Republish = Callable[[str, bytes], bool]
"""(topic, payload) → whether the broker took it."""
MAX_WAITING = 10_000
"""Documents that wait to be written; what comes beyond is counted as failed, so that memory stays flat."""


@dataclass(frozen=True, slots=True)
class Failed:
    """One message of which actions failed."""

    rule: str
    topic: str
    client_id: str
    payload: bytes
    failures: tuple[tuple[str, str, str], ...]
    """(action such as `KinesisAction`, resource, error message), one for each action that failed."""

    def document(self) -> bytes:
        """As IoT Core hands it to an error action."""
        names = ("failedAction", "failedResource", "errorMessage")
        document = {
            "ruleName": self.rule,
            "topic": self.topic,
            "cloudwatchTraceId": str(uuid.uuid4()),
            "clientId": self.client_id,
            "base64OriginalPayload": base64.b64encode(self.payload).decode(),
            "failures": [dict(zip(names, one, strict=True)) for one in self.failures],
        }
        return json.dumps(document, separators=(",", ":")).encode()


class ErrorActions:
    """Carries out the error actions of all rules."""

    def __init__(self, bucket: Bucket, folder: Path, functions: tuple[FunctionSpec, ...] = ()) -> None:
        self._bucket = bucket
        self._waiting: list[tuple[str, bytes]] = []
        self.republish: Republish | None = None
        self.book = RecordBook(folder / ACTIONS_FOLDER)
        """Records of actions beside the stores."""
        self.functions = LocalFunctions(functions, folder)
        """What the action `lambda` and `aws_lambda()` run."""

    def run(self, action: ErrorAction, failed: Failed) -> bool:
        """Whether the action took it. Objects are written by `write`."""
        if action.s3:
            if len(self._waiting) >= MAX_WAITING:
                return False
            self._waiting.append((f"{action.s3}{failed.rule}-{uuid.uuid4()}.json", failed.document()))
            return True
        return self.republish is not None and self.republish(action.republish, failed.document())

    def __len__(self) -> int:
        return len(self._waiting) + len(self.book)

    def write(self) -> None:
        """Write what waits. May run in another thread, one call at a time.

        Raises:
            OSError: the bucket cannot be written; the rest is kept for the next try.
        """
        while self._waiting:
            self._bucket.put_plain(*self._waiting[0])
            del self._waiting[0]
        self.book.write()
