"""All modules of the firmware as syntax trees."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field


class ShrinkError(ValueError):
    """The program does something that cannot be followed."""


@dataclass(slots=True)
class Program:
    """Dotted name of each module → its tree, and → its path."""

    trees: dict[str, ast.Module]
    paths: dict[str, str]
    origins: dict[str, str] = field(default_factory=dict)
    """Dotted name of a module with functions of another one → that one: both use the same objects."""
    short: dict[str, dict[str, str]] = field(default_factory=dict)
    """Dotted name of a module → short name → the name it stands for."""

    @classmethod
    def parse(cls, sources: dict[str, str]) -> "Program":
        """Of path → text.

        Raises:
            ShrinkError: `global`, `nonlocal` or `import *`: names would not be where they seem to be.
        """
        program = cls({}, {})
        for path, text in sources.items():
            name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            program.paths[name] = path
            tree = program.trees[name] = ast.parse(text, path)
            for node in ast.walk(tree):
                if isinstance(node, ast.Global | ast.Nonlocal) or (
                    isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
                ):
                    raise ShrinkError(f"{path}:{node.lineno}: {ast.unparse(node)} cannot be followed")
        return program

    def texts(self) -> dict[str, str]:
        """Path → text."""
        return {
            self.paths[name]: ast.unparse(ast.fix_missing_locations(tree)) + "\n"
            for name, tree in self.trees.items()
        }

    def strings(self) -> set[str]:
        """Every text in the program: what `getattr` and `hasattr` may ask for."""
        return {
            node.value
            for tree in self.trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }

    def texts_beside_keys(self) -> set[str]:
        """Texts that stand anywhere but as a key: of a dictionary that is written out, in brackets, in `get`.

        Only these can reach `getattr` and the like.
        """
        keys: set[int] = set()
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.Dict):
                    keys |= set(map(id, node.keys))
                elif isinstance(node, ast.Subscript):
                    keys.add(id(node.slice))
                elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                    if node.func.attr in _TAKE_KEYS:
                        keys.add(id(node.args[0]))
                elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
                    keys.add(id(node.left))
        return {
            node.value
            for tree in self.trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in keys
        }

    def imported_module(self, node: ast.ImportFrom, alias: ast.alias) -> str | None:
        """Dotted name of the module that `from package import alias` brings, if it is one of ours."""
        name = f"{node.module}.{alias.name}"
        return name if name in self.trees else None


def identifiers(tree: ast.AST) -> Iterator[tuple[ast.AST, str, str]]:
    """(node, its field, identifier) of everything that is named in a tree, keywords of calls included."""
    for node in ast.walk(tree):
        for each in _FIELDS.get(type(node), ()):
            text = getattr(node, each)
            if isinstance(text, str):
                yield node, each, text


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Every function of a tree."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def arguments(function: ast.FunctionDef | ast.Lambda) -> list[ast.arg]:
    """All that a function takes."""
    given = function.args
    rest = [each for each in (given.vararg, given.kwarg) if each is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]


def without_empty_bodies(tree: ast.AST) -> None:
    """A body that lost all its statements gets a `pass`."""
    for node in ast.walk(tree):
        if isinstance(node, _WITH_BODY) and not node.body:
            node.body = [ast.Pass()]


_TAKE_KEYS = ("get", "pop", "setdefault")
_WITH_BODY = (
    ast.FunctionDef,
    ast.ClassDef,
    ast.If,
    ast.For,
    ast.While,
    ast.With,
    ast.Try,
    ast.ExceptHandler,
)
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Name: ("id",),
    ast.Attribute: ("attr",),
    ast.FunctionDef: ("name",),
    ast.ClassDef: ("name",),
    ast.arg: ("arg",),
    ast.keyword: ("arg",),
    ast.alias: ("name", "asname"),
    ast.ExceptHandler: ("name",),
}
