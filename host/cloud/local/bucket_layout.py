"""Where objects lie in the bucket: Firehose's prefixes, and how to tell data from what failed.

    YYYY/MM/dd/HH/…                        without a prefix, as Firehose does it
    buoys/!{timestamp:yyyy-MM-dd}/…        Firehose's custom prefixes (guide, "Custom prefixes")
    failed/!{firehose:error-output-type}/  for records that could not be transformed

Times are UTC, of the oldest record's arrival. What Java's DateTimeFormatter knows beyond the letters below is
refused rather than written wrongly.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from host.cloud.s3_reader import FAILED_PREFIX
from host.model.errors import UsageError

ERROR_TYPE = "processing-failed"
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
        """What all objects with failed records begin with."""
        fixed = self.error_prefix.replace("!{firehose:error-output-type}", ERROR_TYPE)
        return fixed.split("!{", 1)[0] or FAILED_PREFIX

    def is_failed(self, key: str) -> bool:
        """Whether an object holds records that were not transformed."""
        return key.startswith(self.error_prefix_text)

    def is_data(self, key: str) -> bool:
        """Whether an object holds delivered records."""
        return not self.is_failed(key) and not key.startswith(self.rule_errors or "\0")


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
            return uuid.uuid4().hex[:11]
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
