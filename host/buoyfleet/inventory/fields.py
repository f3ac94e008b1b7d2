"""What a value of a fleet file can be: each field reads a node, says its JSON schema and its description.

One declaration per key serves the loader, the JSON schema and the reference page, so that they cannot differ.
`read` reports every mistake it finds and raises `Invalid` if there is no value to go on with.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from buoyfleet.inventory import values
from buoyfleet.inventory.problems import Reporter, did_you_mean, in_words
from buoyfleet.inventory.values import Mistake
from buoyfleet.inventory.yaml_nodes import Node, Scalar
from buoyfleet.inventory.yaml_nodes import Sequence as SequenceNode
from buoyfleet.model.fleet import SecretRef
from buoyfleet.model.thresholds import Threshold, ThresholdError, parse_threshold, threshold_pattern

Schema = dict[str, Any]


class Invalid(Exception):
    """There is no usable value; what is wrong has been reported."""


class Field(ABC):
    """What one value can be."""

    expected: str
    """What is allowed, as the end of "… is not": `a whole number from 1`."""

    @abstractmethod
    def read(self, node: Node, path: str, report: Reporter) -> Any:
        """The value.

        Raises:
            Invalid: after reporting what is wrong.
        """

    @abstractmethod
    def schema(self) -> Schema:
        """The JSON schema of what `read` accepts, as far as JSON schema can say it."""

    def write(self, value: Any) -> Any:
        """The value as a fleet file says it; `read` gives the same again."""
        return value

    def shown(self, value: Any) -> str:
        """The value as the reference says it."""
        return str(self.write(value))

    def resolve(self, value: Any, folder: Path) -> Any:  # noqa: ARG002
        """The value as a model has it; `folder` is that of the fleet file."""
        return value

    def refuse(self, node: Node, path: str, report: Reporter, message: str = "", hint: str = "") -> Invalid:
        """Report a value that does not fit."""
        if not message:
            if isinstance(node, Scalar) and node.value is None and not node.secret:
                message = f"has no value; write {self.expected}"
            else:
                message = f"{node.shown()} is not {self.expected}"
        report.add(node.line, path, message, hint, column=node.column)
        return Invalid()


class Word(Field):
    """One of a few words. `later` are words that other versions know."""

    def __init__(self, words: Sequence[str], what: str = "word", later: Sequence[str] = ()) -> None:
        self.words = tuple(words)
        self._what = what
        self._later = tuple(word for word in later if word not in words)
        self.expected = in_words([f"`{word}`" for word in words])

    def read(self, node: Node, path: str, report: Reporter) -> str:
        if not isinstance(node, Scalar) or node.value is None:
            raise self.refuse(node, path, report)
        if node.text in self.words and isinstance(node.value, str):
            return node.text
        raise self.refuse(node, path, report, *self.mistake(node))

    def mistake(self, node: Scalar) -> tuple[str, str]:
        """Message and hint for a word that is none of these."""
        allowed = in_words(self.words, "and")
        if node.text in self._later and not node.secret:
            return f"{self._what} '{node.text}' does not exist in this version; it has {allowed}", ""
        hint = "" if node.secret else did_you_mean(node.text, self.words)
        return f"unknown {self._what} {node.shown()}; one of {', '.join(self.words)}", hint

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.words)}


class Meaning(Word):
    """One of a few words, each of which stands for a value."""

    def __init__(self, meanings: dict[str, str], what: str) -> None:
        super().__init__(tuple(meanings), what)
        self._meanings = meanings

    def read(self, node: Node, path: str, report: Reporter) -> str:
        return self._meanings[super().read(node, path, report)]

    def write(self, value: str) -> str:
        return next(word for word, meant in self._meanings.items() if meant == value)


class Text(Field):
    """A text of a pattern; `wrong` may say more about one that does not match."""

    def __init__(self, expected: str, pattern: str, fix: Callable[[str], str] | None = None) -> None:
        self.expected = expected
        self.pattern = pattern
        self._fix = fix

    def read(self, node: Node, path: str, report: Reporter) -> str:
        if not isinstance(node, Scalar) or node.value is None:
            raise self.refuse(node, path, report)
        if node.secret:
            raise self.refuse(
                node, path, report, "a password does not belong here", "use `username` and `password`"
            )
        if "${" in node.text:
            message = f"{node.shown()}: only secrets are references"
            raise self.refuse(node, path, report, message, "write the text itself")
        if not isinstance(node.value, str):
            hint = (
                f"write it in quotes: `'{node.text}'`"
                if re.search(self.pattern, node.text) and len(node.text) < 60
                else ""
            )
            raise self.refuse(node, path, report, f"{node.text} is not a text; write {self.expected}", hint)
        if re.search(self.pattern, node.text) is None or "\n" in node.text:
            fixed = self._fix(node.text) if self._fix else ""
            good = fixed and fixed != node.text and re.search(self.pattern, fixed)
            raise self.refuse(node, path, report, "", f"did you mean `{fixed}`?" if good else "")
        return node.text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": self.pattern}


class FilePath(Text):
    """A path, which starts at the fleet file's folder."""

    def __init__(self) -> None:
        super().__init__("a path", r"\S")

    def resolve(self, value: str, folder: Path) -> str:
        return values.absolute_path(value, folder)


class Whole(Field):
    """A whole number within bounds."""

    def __init__(self, low: int, high: int, words: str = "") -> None:
        self._low, self._high = low, high
        self.expected = words or f"a whole number from {low} to {high}"

    def read(self, node: Node, path: str, report: Reporter) -> int:
        if not isinstance(node, Scalar):
            raise self.refuse(node, path, report)
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refuse(node, path, report, "", self._hint(node))
        if not self._low <= value <= self._high:
            size = "negative" if value < 0 <= self._low else "too small" if value < self._low else "too large"
            raise self.refuse(node, path, report, f"{node.text} is {size}; write {self.expected}")
        return value

    @staticmethod
    def _hint(node: Scalar) -> str:
        digits = re.sub(r"[_, ']", "", node.text)
        if re.fullmatch(r"[0-9]{1,18}(?:\.0+)?", digits) and not node.secret:
            return f"did you mean `{int(float(digits)) if '.' in digits else int(digits)}`?"
        return ""

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self._low, "maximum": self._high}


class Number(Field):
    """A number within bounds."""

    def __init__(self, low: float, high: float, expected: str) -> None:
        self._low, self._high = low, high
        self.expected = expected

    def read(self, node: Node, path: str, report: Reporter) -> float:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            hint = ""
            if isinstance(value, str) and re.fullmatch(r"-?[0-9]+,[0-9]+", value):
                hint = f"did you mean `{value.replace(',', '.')}`?"
            raise self.refuse(node, path, report, "", hint)
        if not self._low <= value <= self._high or not math.isfinite(value):
            raise self.refuse(node, path, report)
        return float(value)

    def shown(self, value: float) -> str:
        return f"{value:g}"

    def schema(self) -> Schema:
        return {"type": "number", "minimum": self._low, "maximum": self._high}


class Switch(Field):
    """`true` or `false`."""

    expected = "`true` or `false`"
    _TRUE = frozenset(("yes", "on", "y", "1"))
    _FALSE = frozenset(("no", "off", "n", "0"))

    def read(self, node: Node, path: str, report: Reporter) -> bool:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool):
            return value
        word = node.text.lower() if isinstance(node, Scalar) else ""
        near = "true" if word in self._TRUE else "false" if word in self._FALSE else ""
        raise self.refuse(node, path, report, "", f"did you mean `{near}`?" if near else "")

    def shown(self, value: bool) -> str:
        return "true" if value else "false"

    def schema(self) -> Schema:
        return {"type": "boolean"}


class IdPiece(NamedTuple):
    """A range of ids as written."""

    first: int
    last: int
    """Included."""
    line: int


class Ids(Field):
    """Ids as a number, a text of ranges, or a list of these; gives a list of (first, last, line)."""

    def __init__(self, highest: int, what: str = "id") -> None:
        self._highest = highest
        self._what = what
        self.expected = "`100`, `100-127`, `100-109,115` or a list of these"

    def read(self, node: Node, path: str, report: Reporter) -> list[IdPiece]:
        if isinstance(node, SequenceNode):
            if not node.items:
                raise self.refuse(node, path, report, f"an empty list names no {self._what}")
            pieces: list[IdPiece] = []
            failed = False
            for index, item in enumerate(node.items):
                try:
                    pieces += self._one(item, f"{path}[{index}]", report)
                except Invalid:
                    failed = True
            if failed:
                raise Invalid
            return pieces
        return self._one(node, path, report)

    def _one(self, node: Node, path: str, report: Reporter) -> list[IdPiece]:
        if (
            not isinstance(node, Scalar)
            or not isinstance(node.value, int | str)
            or isinstance(node.value, bool)
        ):
            raise self.refuse(node, path, report)
        try:
            ranges = values.parse_ids(node.text)
        except Mistake as mistake:
            message = "a secret is no id" if node.secret else mistake.message
            raise self.refuse(node, path, report, message, "" if node.secret else mistake.hint) from None
        for _, last in ranges:
            if last > self._highest:
                raise self.refuse(
                    node, path, report, f"{last} is too large; ids go from 0 to {self._highest}"
                )
        return [IdPiece(first, last, node.line) for first, last in ranges]

    def schema(self) -> Schema:
        one = [
            {"type": "integer", "minimum": 0, "maximum": self._highest},
            {"type": "string", "pattern": f"^{values.IDS}$"},
        ]
        return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}, "minItems": 1}]}


def secret_text(secret: SecretRef) -> str:
    """The reference as it is written."""
    return f"${{{secret.source}:{secret.name}}}"


class Secret(Field):
    """A reference to a secret; a secret in clear is refused without being shown."""

    expected = "`${env:NAME}` or `${file:NAME}`"
    _PATTERN = re.compile(r"\$\{(env|file):([A-Za-z_][A-Za-z0-9_.-]*)\}")

    def read(self, node: Node, path: str, report: Reporter) -> SecretRef:
        match = self._PATTERN.fullmatch(node.text) if isinstance(node, Scalar) else None
        if match is None:
            if isinstance(node, Scalar) and node.value is None and not node.quoted:
                raise self.refuse(node, path, report, f"has no value; write {self.expected}")
            message = f"a secret stands here in clear; write {self.expected}, a key of secrets.yaml"
            raise self.refuse(node, path, report, message, "change the secret if this file was ever shared")
        return SecretRef("env" if match[1] == "env" else "file", match[2])

    def write(self, value: SecretRef | None) -> str:
        return "" if value is None else secret_text(value)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{self._PATTERN.pattern}$"}


class ThresholdText(Field):
    """One threshold."""

    expected = "a threshold such as `timestream.missing == 0`"

    def read(self, node: Node, path: str, report: Reporter) -> tuple[Threshold, int]:
        if (
            not isinstance(node, Scalar)
            or not isinstance(node.value, str)
            or node.secret
            or len(node.text) > 200
        ):
            raise self.refuse(node, path, report)
        try:
            return parse_threshold(node.text), node.line
        except ThresholdError as error:
            hint = f"did you mean `{error.hint}`?" if error.hint else ""
            raise self.refuse(node, path, report, error.message, hint) from None

    def schema(self) -> Schema:
        return {"type": "string", "pattern": threshold_pattern()}
