"""Log lines of the Lambda function that explain a failure: timeouts, memory, errors. Bounded in pages."""

import re
from dataclasses import dataclass, field

from buoyfleet.cloud.aws.account import Account, AwsError

MAX_EVENTS = 1000
"""Of each pattern; what is beyond is only counted as `more`."""
_PATTERNS = {
    "timeout": '"Task timed out after"',
    "out-of-memory": '"Runtime.OutOfMemory"',
    "function-error": '"[ERROR]"',
}
_LINE = re.compile(r"(Task timed out after [\d.]+ seconds|Runtime\.OutOfMemory[^\n]*|\[ERROR\][^\n]*)")


@dataclass(slots=True)
class LogLines:
    """What the logs say."""

    counts: dict[str, int] = field(default_factory=dict)
    """Reason → lines."""
    quotes: dict[str, str] = field(default_factory=dict)
    """Reason → the first line, without time and request id."""
    problem: str = ""
    """Why there is nothing to be had."""


def read_log(account: Account, function: str, since_ms: int, until_ms: int) -> LogLines:
    """Look for failures of a function in CloudWatch Logs.

    A log group that does not exist, or that may not be read, is a `problem` and not an error: metrics and the
    failed records tell most of it.
    """
    group = f"/aws/lambda/{function}"
    lines = LogLines()
    for reason, pattern in _PATTERNS.items():
        try:
            found = _search(account, group, pattern, since_ms, until_ms)
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                lines.problem = (
                    f"there is no log group {group}: the function has not run yet, or may not write"
                )
            else:
                lines.problem = str(error)
            return lines
        if found:
            lines.counts[reason] = len(found)
            match = _LINE.search(found[0])
            lines.quotes[reason] = (match[1] if match else found[0]).strip()[:300]
    return lines


def _search(account: Account, group: str, pattern: str, since_ms: int, until_ms: int) -> list[str]:
    found: list[str] = []
    for page in account.pages(
        "logs",
        "filter_log_events",
        on=group,
        token=("nextToken", "nextToken"),
        logGroupName=group,
        filterPattern=pattern,
        startTime=since_ms,
        endTime=until_ms,
        limit=MAX_EVENTS,
    ):
        found += [event["message"] for event in page.get("events", [])]
        if len(found) >= MAX_EVENTS:
            break
    return found
