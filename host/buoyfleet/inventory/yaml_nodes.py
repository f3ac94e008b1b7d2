"""YAML text to nodes that know their lines: bounded, safe, and with YAML 1.2's idea of what a word means.

PyYAML's composer resolves `off` and `no` to booleans (YAML 1.1), keeps the last of two equal keys without a
word and recurses as deep as the text wants. Editors follow YAML 1.2, where `off` is a text; so here the
parser's events are composed into nodes by these rules:

- plain scalars are null, booleans (`true`, `false`), integers, floats (decimal) or else text
- a key that stands twice is a mistake, and both lines are named
- anchors, aliases and `<<` work; the document they stand for is bounded (`MAX_NODES`), so is depth
- tags are refused
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from buoyfleet.inventory.problems import HIDDEN, Reporter, holds_secret, is_reference, is_secret_key

MAX_BYTES = 4 << 20
MAX_DEPTH = 40
MAX_NODES = 200_000

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?")

Plain = None | bool | int | float | str


@dataclass(slots=True)
class Scalar:
    """One value. `text` is as written, without quotes; lines count from 1, columns too."""

    text: str
    quoted: bool = False
    line: int = 0
    column: int = 0
    end: tuple[int, int] = (0, 0)
    """Line and column just behind it."""
    secret: bool = False

    @property
    def value(self) -> Plain:
        """What the text means."""
        if self.quoted:
            return self.text
        if self.text in _NULL:
            return None
        if self.text in _BOOLEAN:
            return _BOOLEAN[self.text]
        if _INTEGER.fullmatch(self.text):
            return int(self.text)
        if _FLOAT.fullmatch(self.text) and math.isfinite(number := float(self.text)):
            return number
        return self.text

    def shown(self) -> str:
        """The value as an error message quotes it: on one line, not without end, and never a secret."""
        if self.secret:
            return HIDDEN
        text = self.text if len(self.text) <= 60 else f"{self.text[:57]}…"
        text = "".join(char if char.isprintable() else "�" for char in text)
        return f"'{text}'" if isinstance(self.value, str) else text


@dataclass(slots=True)
class Sequence:
    """A list."""

    items: list["Node"]
    line: int = 0
    column: int = 0

    def shown(self) -> str:
        """What an error message calls it."""
        return "a list" if self.items else "an empty list"


@dataclass(slots=True)
class Mapping:
    """Keys and values, in the order of the text; merged keys come last."""

    items: dict[str, tuple[Scalar, "Node"]] = field(default_factory=dict)
    line: int = 0
    column: int = 0

    def shown(self) -> str:
        """What an error message calls it."""
        return "a mapping" if self.items else "an empty mapping"


Node = Scalar | Sequence | Mapping


def plain_data(node: Node) -> Any:
    """The node as a JSON parser would give it, for comparison with a schema."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain_data(item) for item in node.items]
    return {key: plain_data(value) for key, (_, value) in node.items.items()}


def compose(text: str, report: Reporter) -> Node | None:
    """The document's root; None where the text is no YAML or holds nothing (which is reported).

    Duplicate keys and tags are reported, and the rest of the document is still given.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is 20 times faster; wheels have it
    try:
        root = _Composer(yaml.parse(text, Loader=loader), report).document()
    except _TooMuch as error:
        report.add(error.line, "", error.message)
        return None
    except yaml.MarkedYAMLError as error:
        _report_syntax(error, report)
        return None
    except yaml.YAMLError as error:  # a character that YAML forbids: it has a position and no mark
        position = getattr(error, "position", 0)
        character = f"U+{ord(text[position]):04X}" if position < len(text) else "a character"
        line = len(re.findall("\r\n|[\n\r\x85\u2028\u2029]", text[:position])) + 1
        report.add(
            line, "", f"{character} is not allowed in YAML", "remove it, or save the file as UTF-8 text"
        )
        return None
    report.parsed = True
    if root is None:
        report.add(
            0, "", "the file is empty", "write at least `fleet`, `run` and `boards`; see `buoy schema`"
        )
    return root


class _TooMuch(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class _Composer:
    """Events to nodes, at most MAX_DEPTH deep. A node's weight counts what its aliases stand for."""

    def __init__(self, events: Iterator[yaml.Event], report: Reporter) -> None:
        self._events = events
        self._report = report
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._secret_depth = 0

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    line, _ = _place(event.start_mark)
                    raise _TooMuch(line, "a second document begins here (`---`); a fleet file holds one")
            elif isinstance(event, yaml.NodeEvent):
                root, _ = self._node(event, 0)
        if isinstance(root, Scalar) and root.value is None:
            return None
        return root

    def _node(self, event: yaml.Event, depth: int) -> tuple[Node, int]:
        line, _ = _place(event.start_mark)
        if depth > MAX_DEPTH:
            raise _TooMuch(line, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None  # not to be used before it is complete
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            self._report.add(
                line, "", f"the tag {HIDDEN if self._secret_depth else tag!r} is not supported", "remove it"
            )
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node, weight = self._scalar(event), 1
        elif isinstance(event, yaml.SequenceStartEvent):
            node, weight = self._sequence(event, depth)
        else:
            node, weight = self._mapping(event, depth)
        if weight > MAX_NODES:
            raise _TooMuch(line, f"aliases make this more than {MAX_NODES} values")
        if anchor is not None:
            self._anchors[anchor] = (node, weight)
        return node, weight

    def _alias(self, event: yaml.AliasEvent) -> tuple[Node, int]:
        line, _ = _place(event.start_mark)
        name = HIDDEN if self._secret_depth else event.anchor
        if event.anchor not in self._anchors:
            raise _TooMuch(line, f"the alias `*{name}` has no anchor `&{name}` above it")
        known = self._anchors[event.anchor]
        if known is None:
            raise _TooMuch(line, f"the alias `*{name}` stands inside itself")
        if self._secret_depth:
            self._hide(known[0])
        return known

    def _hide(self, node: Node) -> None:
        if isinstance(node, Scalar):
            if not is_reference(node.text):
                node.secret = True
                self._report.hide((node.line - 1, node.column - 1), (node.end[0] - 1, node.end[1] - 1))
        elif isinstance(node, Sequence):
            for item in node.items:
                self._hide(item)
        else:
            for key, value in node.items.values():
                self._hide(key)
                self._hide(value)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        line, column = _place(event.start_mark)
        quoted = event.style in ("'", '"', "|", ">")
        scalar = Scalar(event.value, quoted, line, column, _place(event.end_mark))
        if self._secret_depth or holds_secret(scalar.text):
            self._hide(scalar)
        return scalar

    def _sequence(self, event: yaml.Event, depth: int) -> tuple[Sequence, int]:
        sequence = Sequence([], *_place(event.start_mark))
        weight = 1
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            node, node_weight = self._node(item, depth + 1)
            sequence.items.append(node)
            weight += node_weight
        return sequence, weight

    def _mapping(self, event: yaml.Event, depth: int) -> tuple[Mapping, int]:
        mapping = Mapping({}, *_place(event.start_mark))
        merged: list[Node] = []
        weight = 1
        while not isinstance(item := next(self._events), yaml.MappingEndEvent):
            key, key_weight = self._node(item, depth + 1)
            secret = isinstance(key, Scalar) and is_secret_key(key.text)
            self._secret_depth += secret
            value_event = next(self._events)
            if secret and not is_reference(getattr(value_event, "value", "")):
                self._report.hide_rest(*_place(value_event.start_mark))
            value, value_weight = self._node(value_event, depth + 1)
            self._secret_depth -= secret
            weight += key_weight + value_weight
            if not isinstance(key, Scalar):
                self._report.add(key.line, "", f"{key.shown()} cannot be a key", "write a word as key")
            elif key.text == "<<" and not key.quoted:
                merged.append(value)
            elif key.text in mapping.items:
                first = mapping.items[key.text][0].line
                message = f"the key `{key.shown().strip(chr(39))}` stands twice; the first is on line {first}"
                self._report.add(key.line, "", message, "keep one of them")
            else:
                mapping.items[key.text] = (key, value)
        for value in merged:
            self._merge(mapping, value)
        return mapping, weight

    def _merge(self, mapping: Mapping, source: Node) -> None:
        sources = source.items if isinstance(source, Sequence) else [source]
        for one in sources:
            if not isinstance(one, Mapping):
                self._report.add(one.line, "", "`<<` takes mappings", "write e.g. `<<: *name`")
                continue
            for key, pair in one.items.items():
                mapping.items.setdefault(key, pair)


def _place(mark: Any) -> tuple[int, int]:
    """Line and column of a parser's mark, from 1. Events of a text always have marks; the types say maybe."""
    return mark.line + 1, mark.column + 1


def _report_syntax(error: yaml.MarkedYAMLError, report: Reporter) -> None:
    mark = error.problem_mark or error.context_mark
    line, column = _place(mark) if mark else (0, 0)
    tabs = [n for n in range(1, report.line_count + 1) if re.match(r" *\t", report.line_text(n))]
    # With a tab about, the parser's own complaint is a consequence; every such line has to be changed.
    for tab_line in tabs:
        report.add(
            tab_line, "", "a tab indents this line; YAML allows spaces only", "use two spaces per level"
        )
    if tabs:
        return
    if line > report.line_count or (line and not report.line_text(line).strip()):
        column = 0
    message = f"not YAML: {error.problem or error.context}" + (f" at column {column}" if column else "")
    if error.problem and error.context and error.context_mark:
        message += f", {error.context} that begins on line {error.context_mark.line + 1}"
    suspects = [line, line - 1, error.context_mark.line + 1 if error.context_mark else 0]
    hints = (_syntax_hint(report.line_text(suspect)) for suspect in suspects)
    hint = next(filter(None, hints), "compare the indentation with the lines around it")
    report.add(line, "", message, hint, column=column)


def _syntax_hint(text: str) -> str:
    """What is wrong with a line that is no YAML, as far as its look tells; empty if it doesn't."""
    if re.search(r"[{,\s][\w-]+:[^\s/]|^[\w-]+:[^\s/]|^\s*[\w-]+\s*$", text):
        return "a key is followed by a colon and a space"
    if text.count(": ") > 1 and "{" not in text:
        return "put a text that contains `: ` in quotes, and every key on its own line"
    if re.search(r":\s+[%@`]", text):
        return "put a text that begins with this character in quotes"
    if text.count('"') % 2 or text.count("'") % 2:
        return "a quote is not closed"
    return ""
