"""Joins modules that are always loaded together: each takes 200 bytes of a board beside what is in it."""

import ast
import builtins
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from buoyfleet.boards.shrink.program import Program, ShrinkError, arguments, functions, without_empty_bodies


@dataclass(slots=True)
class _Part:
    """One module of a bundle, and what its names are called there."""

    name: str
    tree: ast.Module
    called: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    """Name in this module → dotted name of the part that it stands for, as `from package import part`."""


def join(program: Program, name: str, parts: Sequence[str]) -> None:
    """Make one module of several.

    Names that two of them have are told apart, and whoever imports from one of them imports from the bundle.

    Args:
        name: dotted name of the module they become, one of `parts`.
        parts: dotted names; none imports a later one at its top.

    Raises:
        ShrinkError: an unknown module, a circle, or a name that cannot be told apart.
    """
    _check(program, name, parts)
    members = {part: _Part(part, program.trees[part]) for part in parts}
    taken: dict[str, str] = {}
    for member in members.values():
        _name_all(member, members, taken)
    body: list[ast.stmt] = []
    imported: set[str] = set()
    for member in members.values():
        _PartNames(member, members).visit(member.tree)
        for statement in member.tree.body:
            text = ast.unparse(statement) if isinstance(statement, ast.Import | ast.ImportFrom) else ""
            if not text or text not in imported:
                imported.add(text)
                body.append(statement)
    for part in parts:
        del program.trees[part]
    for other, tree in program.trees.items():
        _OtherNames(other, tree, name, members).visit(tree)
        without_empty_bodies(tree)
    joined = ast.Module(body=body, type_ignores=[])
    without_empty_bodies(joined)
    program.trees[name] = joined
    for other, origin in program.origins.items():
        if origin in members:
            program.origins[other] = name
    for part in parts:
        if part != name:
            del program.paths[part]


def _check(program: Program, name: str, parts: Sequence[str]) -> None:
    missing = [part for part in parts if part not in program.trees]
    if missing or name not in parts:
        raise ShrinkError(f"no modules {missing} to join" if missing else f"{name} is not among its parts")
    before: set[str] = set()
    for part in parts:
        for node in program.trees[part].body:
            if isinstance(node, ast.ImportFrom) and node.module in parts and node.module not in before:
                raise ShrinkError(f"{part} imports {node.module}, which comes after it in the bundle")
        before.add(part)


def _name_all(member: _Part, members: dict[str, _Part], taken: dict[str, str]) -> None:
    """Decide what every name at the top of a module is called in the bundle."""
    for node, alias in _imports(member.tree):
        local = alias.asname or alias.name
        if isinstance(node, ast.Import):
            continue
        if node.module in members:
            called = members[node.module].called.get(alias.name, alias.name)
            if local != called:
                member.called[local] = called
        elif f"{node.module}.{alias.name}" in members:
            member.modules[local] = f"{node.module}.{alias.name}"
    for name, origin in _top_names(member.tree, members):
        mine = origin or f"{member.name}.{name}"
        called, number = name, 2
        while taken.get(called, mine) != mine or hasattr(builtins, called):
            called, number = f"{name}_{number}", number + 1
        taken[called] = mine
        member.called[name] = called
    bound = _bound_inside(member.tree)
    for name, called in member.called.items():
        if name != called and name in bound:
            raise ShrinkError(f"{member.name}: {name} is a name at the top of two modules, and a local one")


def _imports(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, ast.alias]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield node, alias


def _top_names(tree: ast.Module, members: dict[str, _Part]) -> Iterator[tuple[str, str]]:
    """(name, where it comes from; "" if it is made here) of what is bound at the top of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, ""
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], f"import {alias.name}"
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origin = f"{node.module}.{alias.name}"
                if node.module not in members and origin not in members:
                    yield alias.asname or alias.name, origin
        else:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner.id, ""


def _bound_inside(tree: ast.Module) -> set[str]:
    """Names bound in functions and classes."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            bound |= {each.arg for each in arguments(node)}
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    bound.add(inner.id)
                elif inner is not node and isinstance(inner, ast.FunctionDef | ast.ClassDef):
                    bound.add(inner.name)
    return bound


class _PartNames(ast.NodeTransformer):
    """Names in a part, as the bundle has them."""

    def __init__(self, member: _Part, members: dict[str, _Part]) -> None:
        self._member, self._members = member, members
        self._top = set(map(id, member.tree.body))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._member.modules:
            raise ShrinkError(f"{self._member.name}: {node.id} is a module that is used as a value")
        node.id = self._member.called.get(node.id, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in self._member.modules:
            part = self._members[self._member.modules[node.value.id]]
            return ast.Name(part.called[node.attr], node.ctx)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if id(node) in self._top:
            node.name = self._member.called[node.name]
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if id(node) in self._top:
            node.name = self._member.called[node.name]
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return self._renamed(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        if node.module in self._members:
            return None
        node.names = [each for each in node.names if f"{node.module}.{each.name}" not in self._members]
        return self._renamed(node) if node.names else None

    def _renamed(self, node: ast.Import | ast.ImportFrom) -> ast.AST:
        if id(node) in self._top:
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                called = self._member.called[local]
                if called != local:
                    alias.asname = called
        return node


class _OtherNames(ast.NodeTransformer):
    """What a module outside the bundle imports from one of its parts comes from the bundle."""

    def __init__(self, name: str, tree: ast.Module, bundle: str, members: dict[str, _Part]) -> None:
        self._name, self._bundle, self._members = name, bundle, members
        self._modules: dict[str, str] = {}
        self._used: dict[str, set[str]] = {}
        for statement, alias in _imports(tree):
            package = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
            part = package + alias.name
            if part in members:
                self._modules[alias.asname or alias.name] = part
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {each.arg for function in functions(tree) for each in arguments(function)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = node.value.id
                if module in self._modules:
                    if node.attr in names:
                        raise ShrinkError(f"{name}: {module}.{node.attr}: {node.attr} is another name there")
                    self._used.setdefault(module, set()).add(node.attr)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:
            return ast.Name(node.attr, node.ctx)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._modules:
            raise ShrinkError(f"{self._name}: {node.id} is a module that is used as a value")
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.AST] | None:
        if node.module in self._members:
            self._from(self._members[node.module], node.names)
            node.module = self._bundle
            return node
        added: list[ast.AST] = []
        for alias in node.names:
            module = alias.asname or alias.name
            if module in self._modules:
                wanted = [ast.alias(each) for each in sorted(self._used.get(module, ()))]
                self._from(self._members[self._modules[module]], wanted)
                if wanted:
                    added.append(ast.ImportFrom(self._bundle, wanted, 0))
        node.names = [each for each in node.names if (each.asname or each.name) not in self._modules]
        return [node, *added] if node.names else added

    def _from(self, part: _Part, names: list[ast.alias]) -> None:
        for alias in names:
            if alias.name not in part.called:
                raise ShrinkError(f"{self._name}: {part.name} has no {alias.name}")
            called = part.called[alias.name]
            if called != alias.name:
                alias.asname = alias.asname or alias.name
                alias.name = called
