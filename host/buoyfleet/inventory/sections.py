"""Mappings of a fleet file as dataclasses: one attribute per key, with what it can be and what it means.

    @dataclass
    class RunSection(Section):
        messages: int | None = entry(Whole(1, 10), "How many messages each board sends.")

`read_section` makes such an object from a node and reports unknown keys, wrong values and missing ones. An
attribute keeps its default if the file has no such key or a refused value; `has` tells the two apart.

What is one attribute of a model is declared once, as a `setting`: default, JSON schema, reference, the way to
the model (`model_values`) and back to a fleet file (`document_of`) follow from it.

    @dataclass
    class TwinSection(Section, model=TwinSpec):
        lambda_timeout: float = setting(duration_field("1 ms", "15 min"), "…")  # TwinSpec.lambda_timeout_s

What is no such pair (boards of a fault, say) is an `entry` and has code of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from buoyfleet.inventory import fields as kinds
from buoyfleet.inventory.fields import Invalid, Schema
from buoyfleet.inventory.problems import Reporter, nearest
from buoyfleet.inventory.yaml_nodes import Mapping, Node, Scalar

S = TypeVar("S", bound="Section")

# A model names the unit, a fleet file writes it: `lambda_timeout: 5 s` is `lambda_timeout_s`.
_UNITS = ("", "_s", "_ms", "_h", "_mb", "_kb", "_usd")


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
    usual: Any = None,
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
        attribute: of the section's model, where the key is a setting.
        usual: the model's default of it.
    """
    metadata = {
        "kind": kind,
        "about": about,
        "required": required,
        "also": also,
        "shown": shown,
        "attribute": attribute,
        "usual": usual,
    }
    if default_factory is not None:
        return field(default_factory=default_factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class _Setting:
    """A key before its section is made."""

    kind: kinds.Field
    about: str
    attribute: str
    also: tuple[str, ...]
    shown: str

    def entry(self, name: str, model: type[Any], layered: bool) -> Any:
        defaults = {one.name: _default(one) for one in fields(model)}
        attribute = self.attribute or next(name + unit for unit in _UNITS if name + unit in defaults)
        usual = defaults[attribute]
        required = usual is MISSING and not layered
        plain = isinstance(usual, str | int | float) and not layered
        shown = self.shown
        if not shown and usual not in (MISSING, None) and self.kind.write(usual) not in ("", None, []):
            shown = f"`{self.kind.shown(usual)}`"
        return entry(
            self.kind,
            self.about,
            default=usual if plain else None,
            required=required,
            also=self.also,
            shown=shown,
            attribute=attribute,
            usual=usual,
        )


def _default(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


def setting(
    kind: kinds.Field, about: str, *, attribute: str = "", also: tuple[str, ...] = (), shown: str = ""
) -> Any:
    """Declare a key of which the value is an attribute of the section's model.

    Args:
        kind: what the value can be; it gives and takes the value in the model's unit.
        about: what it means.
        attribute: of the model; by default it has the key's name, with a unit behind it or none. One without
            a default makes the key required.
        also: what people may write instead, for hints.
        shown: the default in words, where it is no value (`that of the boards`).
    """
    return _Setting(kind, about, attribute, also, shown)


@dataclass
class Section:
    """A mapping that was read."""

    MODEL: ClassVar[type[Any] | None] = None
    """Dataclass that has the settings as attributes."""

    def __init_subclass__(
        cls, *, model: type[Any] | None = None, layered: bool = False, **keywords: Any
    ) -> None:
        """`layered`: what a file does not say stays None, as something below it says it."""
        super().__init_subclass__(**keywords)
        cls.MODEL = model or cls.MODEL
        for name, one in list(vars(cls).items()):
            if isinstance(one, _Setting):
                if cls.MODEL is None:
                    raise TypeError(f"{cls.__name__} has settings and no model")
                setattr(cls, name, one.entry(name, cls.MODEL, layered))

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

    def model_values(self, folder: Path) -> dict[str, Any]:
        """The attributes of the model that this section sets. Paths start at `folder`."""
        values: dict[str, Any] = {}
        for one in keys_of(type(self)):
            kind, attribute, value = one.metadata["kind"], one.metadata["attribute"], getattr(self, one.name)
            if isinstance(kind, Part):
                values.update({} if value is None else value.model_values(folder))
            elif attribute and value is not None:
                values[attribute] = kind.resolve(value, folder)
            elif attribute and one.metadata["required"]:
                values[attribute] = None  # which has been reported
        return values

    @classmethod
    def document_of(cls, model: Any) -> dict[str, Any]:
        """A model's settings in the form of a fleet file; nothing is left to a default but what is empty."""
        document: dict[str, Any] = {}
        for one in keys_of(cls):
            kind, attribute = one.metadata["kind"], one.metadata["attribute"]
            if isinstance(kind, Part):
                document[one.name] = kind.section.document_of(model)
            elif attribute:
                value = getattr(model, attribute)
                text = None if value is None else kind.write(value)
                if text is not None and (text not in ("", []) or value != one.metadata["usual"]):
                    document[one.name] = text
        return document


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

    def resolve(self, value: Any, folder: Path) -> Any:
        return value if value.MODEL is None else value.MODEL(**value.model_values(folder))

    def write(self, value: Any) -> Any:
        return self.section.document_of(value)

    def schema(self) -> Schema:
        return section_schema(self.section)


class Part(Nested):
    """A mapping of settings that are attributes of the same model as those around it."""


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
