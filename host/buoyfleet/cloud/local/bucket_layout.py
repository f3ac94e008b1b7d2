"""Where objects lie in the bucket: Firehose's prefixes, and how to tell data from what failed.

    YYYY/MM/dd/HH/…                        without a prefix, as Firehose does it
    buoys/!{timestamp:yyyy-MM-dd}/…        Firehose's custom prefixes (guide, "Custom prefixes")
    failed/!{firehose:error-output-type}/  for records that could not be transformed

Times are UTC, of the oldest record's arrival. What Java's DateTimeFormatter knows beyond the letters below is
refused rather than written wrongly.
"""

import functools
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from buoyfleet.cloud.s3_reader import FAILED_PREFIX
from buoyfleet.model.errors import UsageError

ERROR_TYPE = "processing-failed"
RANDOM_CHARACTERS = 11
"""Of `!{firehose:random-string}` (Firehose guide, custom prefixes)."""
_HOUR = "!{timestamp:yyyy/MM/dd/HH}/"
_EXPRESSION = re.compile(r"!\{([a-z]+):([^}]*)\}")
_LETTERS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_LETTER = re.compile(r"yyyy|MM|dd|HH|mm|ss|'[^']*'|[^A-Za-z']+|.")


class PrefixError(UsageError):
    """A prefix with an expression that Firehose or the twin does not know."""

    def __init__(self, prefix: str, what: str) -> None:
        super().__init__(
            what,
            where=f"S3 prefix {prefix!r}",
            next_step="use !{timestamp:yyyy/MM/dd/HH}, !{firehose:error-output-type} or "
            "!{firehose:random-string}",
        )


@dataclass(frozen=True, slots=True)
class BucketLayout:
    """Prefixes of one delivery stream, and of the rules' error actions.

    Raises:
        PrefixError: an expression that is not known.
    """

    prefix: str = ""
    error_prefix: str = ""
    rule_errors: tuple[str, ...] = ()
    """Prefixes that are no business of the delivery stream."""

    def __post_init__(self) -> None:
        """Expand once, so that mistakes show before anything runs."""
        for prefix in (self.prefix, self.error_prefix):
            expand(prefix, 0)
        if self.prefix and "error-output-type" in self.prefix:
            raise PrefixError(self.prefix, "error-output-type belongs into the error prefix alone")

    def data_prefix(self, oldest_ns: int) -> str:
        """Of an object with delivered records."""
        return expand(self.prefix or _HOUR, oldest_ns)

    def failed_prefix(self, oldest_ns: int) -> str:
        """Of an object with records that could not be transformed."""
        return expand(self.error_prefix or f"{FAILED_PREFIX}{_HOUR}", oldest_ns)

    @property
    def error_prefix_text(self) -> str:
        """What objects with failed records begin with, as a person is told it."""
        fixed = self.error_prefix.replace("!{firehose:error-output-type}", ERROR_TYPE)
        return fixed or FAILED_PREFIX

    def is_failed(self, key: str) -> bool:
        """Whether an object holds records that were not transformed.

        By the whole prefix, expanded: one may lie inside the other, and then the longer one decides.
        """
        failed = _matched(self.error_prefix or f"{FAILED_PREFIX}{_HOUR}", key)
        return failed > _matched(self.prefix or _HOUR, key)

    def is_data(self, key: str) -> bool:
        """Whether an object holds delivered records."""
        if key.startswith(self.rule_errors or "\0") or self.is_failed(key):
            return False
        return _matched(self.prefix or _HOUR, key) >= 0


def _matched(prefix: str, key: str) -> int:
    """How many characters of the key are the prefix with its expressions filled in; -1: it does not fit."""
    match = re.match(_shape(prefix), key)
    return -1 if match is None else match.end()


@functools.lru_cache(64)
def _shape(prefix: str) -> str:
    """A regular expression for a prefix at any time."""
    shape, end = "", 0
    for match in _EXPRESSION.finditer(prefix):
        shape += re.escape(prefix[end : match.start()])
        end = match.end()
        if match[1] == "timestamp":
            for part in _LETTER.findall(match[2]):
                shape += rf"\d{{{len(part)}}}" if part in _LETTERS else re.escape(part.strip("'"))
        else:
            shape += ERROR_TYPE if match[2] == "error-output-type" else f"[0-9a-f]{{{RANDOM_CHARACTERS}}}"
    return shape + re.escape(prefix[end:])


def expand(prefix: str, at_ns: int) -> str:
    """A prefix with its expressions filled in.

    Raises:
        PrefixError: an expression that is not known.
    """
    moment = datetime.fromtimestamp(at_ns / 1e9, UTC)

    def value(match: re.Match[str]) -> str:
        space, name = match[1], match[2]
        if space == "timestamp":
            return _formatted(prefix, name, moment)
        if space == "firehose" and name == "error-output-type":
            return ERROR_TYPE
        if space == "firehose" and name == "random-string":
            return uuid.uuid4().hex[:RANDOM_CHARACTERS]
        raise PrefixError(prefix, f"{match[0]} is not known")

    expanded = _EXPRESSION.sub(value, prefix)
    if "!{" in expanded:
        raise PrefixError(prefix, "an expression opens with !{ and does not close")
    return expanded


def _formatted(prefix: str, pattern: str, moment: datetime) -> str:
    parts = []
    for part in _LETTER.findall(pattern):
        if part in _LETTERS:
            parts.append(moment.strftime(_LETTERS[part]))
        elif part.startswith("'"):
            parts.append(part[1:-1])
        elif part.isalpha():
            raise PrefixError(
                prefix, f"{part!r} of {pattern!r} is not known; known are {', '.join(_LETTERS)}"
            )
        else:
            parts.append(part)
    return "".join(parts)
