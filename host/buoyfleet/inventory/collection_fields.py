"""Fields of many values of one kind: lists, and mappings from names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from buoyfleet.inventory.fields import Field, Invalid, Schema, Word
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.yaml_nodes import Mapping, Node, Scalar
from buoyfleet.inventory.yaml_nodes import Sequence as SequenceNode


class Many(Field):
    """A list, or where `alone` is set one item without a list."""

    def __init__(self, item: Field, *, least: int = 1, alone: bool = False) -> None:
        self.item = item
        self._least = least
        self._alone = alone
        self.expected = f"a list, each item {item.expected}"

    def read(self, node: Node, path: str, report: Reporter) -> list[Any]:
        if not isinstance(node, SequenceNode):
            if self._alone and not (isinstance(node, Scalar) and node.value is None):
                return [self.item.read(node, path, report)]
            hint = "begin every item with `- `" if isinstance(node, Mapping) else ""
            raise self.refuse(node, path, report, "", hint)
        if len(node.items) < self._least:
            raise self.refuse(node, path, report, "the list is empty")
        read: list[Any] = []
        failed = False
        for index, item in enumerate(node.items):
            try:
                read.append(self.item.read(item, f"{path}[{index}]", report))
            except Invalid:
                failed = True
        if failed:
            raise Invalid
        return read

    def resolve(self, value: Any, folder: Path) -> Any:
        return tuple(self.item.resolve(one, folder) for one in value)

    def write(self, value: Any) -> Any:
        return [self.item.write(one) for one in value]

    def schema(self) -> Schema:
        many: Schema = {"type": "array", "items": self.item.schema()}
        if self._least:
            many["minItems"] = self._least
        return {"anyOf": [self.item.schema(), many]} if self._alone else many


class Keyed(Field):
    """A mapping from names to values of one kind; without `names` from any name."""

    def __init__(self, kind: Field, names: Sequence[str] = (), what: str = "name", *, least: int = 0) -> None:
        self._kind = kind
        self._names = tuple(names)
        self._what = what
        self._least = least
        known = f"{what}s ({', '.join(names)})" if names else f"{what}s"
        self.expected = f"a mapping with {known} as keys"

    def read(self, node: Node, path: str, report: Reporter) -> dict[str, Any]:
        if not isinstance(node, Mapping) or len(node.items) < self._least:
            raise self.refuse(node, path, report)
        read: dict[str, Any] = {}
        for name, (key_node, value) in node.items.items():
            if self._names and name not in self._names:
                report.add(key_node.line, path, *Word(self._names, self._what).mistake(key_node))
                continue
            try:
                read[name] = self._kind.read(value, f"{path}.{name}", report)
            except Invalid:
                continue
        return read

    def resolve(self, value: dict[str, Any], folder: Path) -> Any:
        return {name: self._kind.resolve(one, folder) for name, one in value.items()}

    def write(self, value: dict[str, Any]) -> dict[str, Any]:
        return {name: self._kind.write(one) for name, one in value.items()}

    def schema(self) -> Schema:
        schema: Schema = {"type": "object"}
        if self._names:
            schema["properties"] = {name: self._kind.schema() for name in self._names}
            schema["additionalProperties"] = False
        else:
            schema["additionalProperties"] = self._kind.schema()
        return {**schema, "minProperties": self._least} if self._least else schema
