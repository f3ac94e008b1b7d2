"""Functions that could stand where they are called: what they take, bind and return."""

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from host.boards.shrink.program import Program, arguments

# What has a scope of its own, or runs later, or asks where it stands.
_OWN_SCOPE = (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp, ast.AsyncFunctionDef)


class CannotFollowError(Exception):
    """The function stays where it is."""


@dataclass(slots=True)
class Callee:
    holder: ast.Module | ast.ClassDef
    function: ast.FunctionDef
    method: bool


def names_of(program: Program) -> tuple[Counter[str], Counter[str]]:
    """How often each name stands for a method, and for a function: where it is made and where it is used."""
    methods: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for tree in program.trees.values():
        in_class: set[ast.stmt] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                methods[node.attr] += 1
            elif isinstance(node, ast.FunctionDef):
                methods[node.name] += 1
                names[node.name] += node not in in_class
            elif isinstance(node, ast.Name):
                names[node.id] += 1
            elif isinstance(node, ast.arg):
                names[node.arg] += 1
            elif isinstance(node, ast.alias):
                names.update((node.name, node.asname or ""))
            elif isinstance(node, ast.ClassDef):
                names[node.name] += 1
                in_class.update(node.body)
                # What the body of a class binds is an attribute.
                methods.update(_class_names(node))
    return methods, names


def _class_names(holder: ast.ClassDef) -> Iterator[str]:
    for statement in holder.body:
        if not isinstance(statement, ast.FunctionDef):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id


def callees_in(tree: ast.Module) -> Iterator[Callee]:
    holders: list[ast.Module | ast.ClassDef] = [
        tree,
        *(node for node in tree.body if isinstance(node, ast.ClassDef)),
    ]
    for holder in holders:
        for node in holder.body:
            if isinstance(node, ast.FunctionDef) and _is_plain(node):
                yield Callee(holder, node, isinstance(holder, ast.ClassDef))


def _is_plain(function: ast.FunctionDef) -> bool:
    given = function.args
    inner = [node for each in function.body for node in ast.walk(each)]
    return (
        not function.decorator_list
        and not function.name.startswith("__")
        and not (given.vararg or given.kwarg)
        and all(
            each is None or isinstance(each, ast.Constant) for each in (*given.defaults, *given.kw_defaults)
        )
        and not any(isinstance(node, _OWN_SCOPE) for node in inner)
        and not any(isinstance(node, ast.Name) and node.id == "super" for node in inner)
    )


def reach(node: ast.expr, wanted: ast.expr) -> bool | None:
    """True: `wanted` is the first part that is more than a name or constant; None: no part is; else False."""
    if node is wanted:
        return True
    if isinstance(node, ast.Name | ast.Constant):
        return None
    parts: list[ast.expr]
    only_first = False
    if isinstance(node, ast.Tuple | ast.List):
        parts = node.elts
        return next((found for each in parts if (found := reach(each, wanted)) is not None), None)
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Compare):
        parts = [node.left, node.comparators[0]]
    elif isinstance(node, ast.UnaryOp):
        parts = [node.operand]
    elif isinstance(node, ast.Attribute | ast.YieldFrom):
        parts = [node.value]
    elif isinstance(node, ast.Subscript):
        parts = [node.value, node.slice]
    elif isinstance(node, ast.BoolOp):
        parts, only_first = node.values, True
    elif isinstance(node, ast.IfExp):
        parts, only_first = [node.test], True
    elif isinstance(node, ast.Call):
        parts = [node.func, *node.args, *(each.value for each in node.keywords)]
    else:
        return False
    for part in parts[:1] if only_first else parts:
        found = reach(part, wanted)
        if found is not None:
            return found
    return False


def bind_arguments(callee: Callee, call: ast.Call) -> tuple[dict[str, ast.expr], list[tuple[str, ast.expr]]]:
    """Argument → what stands in its place; and (argument, value) of those that need a variable, in order."""
    given = callee.function.args
    positional = [each.arg for each in (*given.posonlyargs, *given.args)]
    passed: list[tuple[str, ast.expr]] = []
    values = list(call.args)
    if callee.method and isinstance(call.func, ast.Attribute):
        values.insert(0, call.func.value)
    if any(isinstance(each, ast.Starred) for each in values) or len(values) > len(positional):
        raise CannotFollowError
    passed += zip(positional, values, strict=False)
    for keyword in call.keywords:
        if keyword.arg is None:
            raise CannotFollowError
        passed.append((keyword.arg, keyword.value))
    defaults: dict[str, ast.expr] = dict(
        zip(positional[len(positional) - len(given.defaults) :], given.defaults, strict=True)
    )
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        if default is not None:
            defaults[argument.arg] = default
    names = [name for name, _ in passed]
    passed += [(name, value) for name, value in defaults.items() if name not in names]
    if sorted(name for name, _ in passed) != sorted(each.arg for each in arguments(callee.function)):
        raise CannotFollowError
    stored = stored_names(callee.function)
    simple: dict[str, ast.expr] = {
        name: value
        for name, value in passed
        if isinstance(value, ast.Name | ast.Constant) and name not in stored
    }
    return simple, [(name, value) for name, value in passed if name not in simple]


def stored_names(function: ast.FunctionDef) -> set[str]:
    """Names that the body of a function binds."""
    found: set[str] = set()
    for statement in function.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                found.add(node.id)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                found.add(node.name)
            elif isinstance(node, ast.alias):
                found.add(node.asname or node.name.split(".")[0])
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                found |= {each.arg for each in arguments(node)}
    return found


class Renamed(ast.NodeTransformer):
    """Arguments and variables of a function, as its caller has them."""

    def __init__(self, values: dict[str, ast.expr], fresh: dict[str, str]) -> None:
        self._values, self._fresh = values, fresh

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._values:
            return copy.deepcopy(self._values[node.id])
        node.id = self._fresh.get(node.id, node.id)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        if node.name:
            node.name = self._fresh.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> ast.AST:
        local = node.asname or node.name.split(".")[0]
        called = self._fresh.get(local, local)
        if called != local:
            node.asname = called
        return node


class Replaced(ast.NodeTransformer):
    def __init__(self, old: ast.expr, new: ast.expr) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else super().generic_visit(node)
