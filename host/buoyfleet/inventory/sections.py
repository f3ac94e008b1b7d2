"""Mappings of a fleet file as dataclasses: one attribute per key, with what it can be and what it means.

    @dataclass
    class RunSection(Section):
        messages: int | None = entry(Whole(1, 10), "How many messages each board sends.")

`read_section` makes such an object from a node and reports unknown keys, wrong values and missing ones. An
attribute keeps its default if the file has no such key or a refused value; `has` tells the two apart.
"""

from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

from buoyfleet.inventory import fields as kinds
from buoyfleet.inventory.fields import Invalid, Schema
from buoyfleet.inventory.problems import Reporter, nearest
from buoyfleet.inventory.yaml_nodes import Mapping, Node, Scalar

S = TypeVar("S", bound="Section")


def entry(
    kind: kinds.Field,
    about: str,
    *,
    default: Any = None,
    default_factory: Callable[[], Any] | None = None,
    required: bool = False,
    also: tuple[str, ...] = (),
    shown: str = "",
    attribute: str = "",
) -> Any:
    """Declare a key.

    Args:
        kind: what the value can be.
        about: what it means, for the schema and the reference.
        default: the attribute's value where the key is absent.
        default_factory: the same, for values that must not be shared.
        required: the section is wrong without it.
        also: what people may write instead, for hints.
        shown: the default as text, where the reference should say it.
        attribute: of a model, see `buoyfleet.inventory.settings`.
    """
    metadata = {
        "kind": kind,
        "about": about,
        "required": required,
        "also": also,
        "shown": shown,
        "attribute": attribute,
    }
    if default_factory is not None:
        return field(default_factory=default_factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Section:
    """A mapping that was read."""

    node: Mapping | None = field(default=None, repr=False, compare=False, kw_only=True)
    path: str = field(default="", repr=False, compare=False, kw_only=True)

    def has(self, name: str) -> bool:
        """Whether the file has the key, be its value good or bad."""
        return self.node is not None and name in self.node.items

    def line(self, name: str = "") -> int:
        """The line of a key, or of the section itself where it has no such key."""
        if self.node is None:
            return 0
        return self.node.items[name][0].line if name in self.node.items else self.node.line

    def text(self, name: str) -> str:
        """A value as an error message quotes it."""
        return self.node.items[name][1].shown() if self.node is not None and name in self.node.items else ""

    def under(self, name: str) -> str:
        """The path of a key in this section."""
        return f"{self.path}.{name}" if self.path else name


def keys_of(section: type[Section]) -> Iterator[Field[Any]]:
    """The declared keys of a section, in the order of the class."""
    for one in fields(section):
        if "kind" in one.metadata:
            yield one


def field_of(section: type[Section], name: str) -> kinds.Field:
    """What the value of a declared key can be."""
    kind: kinds.Field = next(one for one in keys_of(section) if one.name == name).metadata["kind"]
    return kind


def read_section(section: type[S], node: Mapping, path: str, report: Reporter) -> S:
    """Read every key of a mapping; what is wrong is reported and the rest is still read."""
    known = {one.name: one for one in keys_of(section)}
    read: dict[str, Any] = {}
    meant: set[str] = set()
    for name, (key_node, value) in node.items.items():
        if name not in known:
            message, hint, near = _unknown(section, key_node, report)
            report.add(key_node.line, path, message, hint)
            meant.add(near)
            continue
        try:
            read[name] = known[name].metadata["kind"].read(value, f"{path}.{name}" if path else name, report)
        except Invalid:
            continue
    for name, one in known.items():
        if one.metadata["required"] and name not in node.items and name not in meant:
            kind: kinds.Field = one.metadata["kind"]
            report.add(node.line, path, f"the key `{name}` is missing; write {kind.expected}")
    return section(**read, node=node, path=path)


def _unknown(section: type[Section], key_node: Scalar, report: Reporter) -> tuple[str, str, str]:
    """Message, hint and the key that was probably meant, for one that does not exist here."""
    names = [one.name for one in keys_of(section)]
    what, of = getattr(section, "WHAT", "key"), getattr(section, "OF", "")
    message = f"unknown {what} {key_node.shown()}{of}; one of {', '.join(names)}"
    if key_node.secret:
        return message, "", ""
    word = key_node.text.strip().lower()
    for one in keys_of(section):
        if word in (*one.metadata["also"], one.name):
            return message, f"did you mean `{one.name}`?", one.name
    if word in report.elsewhere:
        return message, f"`{word}` belongs under {report.elsewhere[word]}", ""
    close = nearest(word, names)
    return message, f"did you mean `{close}`?" if close else "", close


class Nested(kinds.Field):
    """A mapping that is a section of its own; `check` may report more about one that was read."""

    def __init__(
        self,
        section: type[Section],
        expected: str = "a mapping",
        check: Callable[[Any, Reporter], None] | None = None,
    ) -> None:
        self.section = section
        self.expected = expected
        self._check = check

    def read(self, node: Node, path: str, report: Reporter) -> Section:
        if not isinstance(node, Mapping):
            raise self.refuse(node, path, report)
        section = read_section(self.section, node, path, report)
        if self._check is not None:
            self._check(section, report)
        return section

    def schema(self) -> Schema:
        return section_schema(self.section)


class Either(kinds.Field):
    """One field for scalars (a word), another for mappings."""

    def __init__(self, scalar: kinds.Field, mapping: kinds.Field) -> None:
        self.scalar = scalar
        self.mapping = mapping
        self.expected = f"{scalar.expected} or {mapping.expected}"

    def read(self, node: Node, path: str, report: Reporter) -> Any:
        if isinstance(node, Mapping):
            return self.mapping.read(node, path, report)
        if isinstance(node, Scalar) and node.value is not None:
            return self.scalar.read(node, path, report)
        raise self.refuse(node, path, report)

    def schema(self) -> Schema:
        return {"anyOf": [self.scalar.schema(), self.mapping.schema()]}


def section_schema(section: type[Section]) -> Schema:
    """The JSON schema of a section."""
    properties: Schema = {}
    required: list[str] = []
    for one in keys_of(section):
        meta = one.metadata
        about = meta["about"] + (f" Default: {meta['shown']}." if meta["shown"] else "")
        properties[one.name] = {"description": about, **meta["kind"].schema()}
        if meta["required"]:
            required.append(one.name)
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return {**schema, **getattr(section, "RULES", {})}
