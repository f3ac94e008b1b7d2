"""Calls of functions that were moved."""

import ast
from dataclasses import dataclass

from buoyfleet.boards.shrink.program import ShrinkError


@dataclass(slots=True)
class Moved:
    """Where a function is now."""

    group: int
    place: int
    method: bool


def load_call(moved: Moved, reader: str) -> ast.Call:
    return ast.Call(ast.Name(reader, ast.Load()), [ast.Constant(moved.group), ast.Constant(moved.place)], [])


class OfBase(ast.NodeTransformer):
    """`super().f(…)` of a method that is no method any more."""

    def __init__(self, holder: ast.ClassDef, function: ast.FunctionDef) -> None:
        self._holder, self._function = holder, function

    def visit_Call(self, node: ast.Call) -> ast.AST:
        func = node.func
        if (
            isinstance(func, ast.Attribute)
            and isinstance(func.value, ast.Call)
            and isinstance(func.value.func, ast.Name)
            and func.value.func.id == "super"
        ):
            base = self._holder.bases[0]
            if len(self._holder.bases) != 1 or not isinstance(base, ast.Name):
                raise ShrinkError(
                    f"{self._holder.name}.{self._function.name}: which class is meant by super()?"
                )
            func.value = ast.Name(base.id, ast.Load())
            node.args.insert(0, ast.Name(self._function.args.args[0].arg, ast.Load()))
        return self.generic_visit(node)


class Inside(ast.NodeTransformer):
    """Calls among the functions of one module."""

    def __init__(self, called: dict[str, tuple[str, bool]]) -> None:
        self._called = called

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in self._called:
            called, method = self._called[node.func.attr]
            if method:
                node.args.insert(0, node.func.value)
            node.func = ast.Name(called, ast.Load())
        elif isinstance(node.func, ast.Name) and node.func.id in self._called:
            node.func = ast.Name(self._called[node.func.id][0], ast.Load())
        return node


class Calls(ast.NodeTransformer):
    """Calls of what was moved."""

    def __init__(self, places: dict[str, Moved], gone: set[str], reader: str) -> None:
        self._places, self._gone, self._reader = places, gone, reader
        self._making = ""
        self.count = 0

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        node.names = [alias for alias in node.names if alias.name not in self._gone]
        return node if node.names else None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        first = node.body[0]
        before = self._making
        if (
            isinstance(first, ast.Assign)
            and isinstance(first.value, ast.Call)
            and isinstance(first.value.func, ast.Name)
            and node.name.startswith("init_")
        ):
            self._making = first.value.func.id
        self.generic_visit(node)
        self._making = before
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        func = node.func
        if isinstance(func, ast.Name) and func.id in self._places and func.id != self._making:
            self.count += 1
            node.func = load_call(self._places[func.id], self._reader)
        elif isinstance(func, ast.Attribute) and func.attr in self._places:
            self.count += 1
            if self._places[func.attr].method:
                node.args.insert(0, func.value)
            node.func = load_call(self._places[func.attr], self._reader)
        return node
