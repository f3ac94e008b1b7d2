"""The functions that seldom run, by their marks, and which of them can be called without leaving anything."""

import ast
from collections import Counter
from dataclasses import dataclass

from buoyfleet.boards.shrink.outside import OUTSIDE
from buoyfleet.boards.shrink.program import Program, ShrinkError, functions

MARKS = ("once", "seldom")


@dataclass(slots=True)
class Marked:
    """A function, and where it stands.

    Args:
        mark: one of `MARKS`.
        module: dotted name.
        holder: its class, or the module.
    """

    mark: str
    module: str
    holder: ast.ClassDef | ast.Module
    function: ast.FunctionDef
    called: str = ""
    """Where it was moved to."""


def take_marks(program: Program) -> list[Marked]:
    """The marked functions; the marks are gone from the program.

    Raises:
        ShrinkError: a mark stands at something that cannot be moved.
    """
    found = []
    for name, tree in program.trees.items():
        holders: list[ast.ClassDef | ast.Module] = [
            tree,
            *(node for node in tree.body if isinstance(node, ast.ClassDef)),
        ]
        for holder in holders:
            for node in holder.body:
                if isinstance(node, ast.FunctionDef) and (mark := _mark(node)):
                    if len(node.decorator_list) > 1:
                        raise ShrinkError(f"{name}: {node.name} cannot be moved")
                    node.decorator_list = []
                    found.append(Marked(mark, name, holder, node))
        for inner in functions(tree):
            if _mark(inner):
                raise ShrinkError(f"{name}: {inner.name} is inside another function")
    return found


def _mark(node: ast.FunctionDef) -> str | None:
    for each in node.decorator_list:
        if isinstance(each, ast.Name) and each.id in MARKS:
            return each.id
    return None


def called_only(program: Program, moved: list[Marked]) -> set[str]:
    """Names that stand for one moved function alone, and only where it is called."""
    made: Counter[str] = Counter()
    methods: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for tree in program.trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                made[node.name] += 1
            elif isinstance(node, ast.Attribute):
                methods[node.attr] += 1
            elif isinstance(node, ast.Name | ast.arg):
                names[node.id if isinstance(node, ast.Name) else node.arg] += 1
            if isinstance(node, ast.Call):
                # A method is asked of an object, a function by its name alone.
                if isinstance(node.func, ast.Attribute):
                    methods[node.func.attr] -= 1
                elif isinstance(node.func, ast.Name):
                    names[node.func.id] -= 1
            elif isinstance(node, ast.alias) and node.asname:
                names[node.name] += 1
    found = set()
    for each in moved:
        name = each.function.name
        only = made[name] == 1 and not name.startswith("__")
        if only and not methods[name] and not names[name]:
            found.add(name)
    return found - program.strings() - OUTSIDE


def made_by_name(program: Program, moved: list[Marked]) -> set[str]:
    """Classes with a moved `__init__` that are only ever called: a function makes the object instead."""
    wanted = {
        each.holder.name
        for each in moved
        if isinstance(each.holder, ast.ClassDef)
        and each.function.name == "__init__"
        and not each.holder.bases
    }
    others: Counter[str] = Counter()
    for tree in program.trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                others[node.name] += 1
            elif isinstance(node, ast.Name):
                others[node.id] += 1
            elif isinstance(node, ast.Attribute):
                others[node.attr] += 1
            if isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name):
                    others[node.func.id] -= 1
                elif isinstance(node.func, ast.Attribute):
                    others[node.func.attr] -= 1
    # Its own definition is the only one.
    return {name for name in wanted if others[name] == 1} - program.strings() - OUTSIDE
