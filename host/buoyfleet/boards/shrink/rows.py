"""Puts the answers of the table of sensors where its functions are called: a board does without the table.

`column("unit")` becomes the dictionary that it gives, `driver_class(key)` the imports that it would make, so
that everything else here can follow them.
"""

import ast
from collections.abc import Callable
from typing import Any

from buoyfleet.boards.shrink.program import Program, ShrinkError
from sensors import rows

TABLE = "sensors.rows"
_CLASS = "driver_class"


def answer_rows(program: Program) -> None:
    """In every module that asks the table.

    Raises:
        ShrinkError: a call whose arguments are not written out.
    """
    for name, tree in program.trees.items():
        asked = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == TABLE
            for alias in node.names
        }
        if asked:
            _Answers(name, asked).visit(tree)


class _Answers(ast.NodeTransformer):
    def __init__(self, module: str, asked: set[str]) -> None:
        self._module = module
        self._asked = asked

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == TABLE else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if _CLASS in self._asked and any(
            isinstance(each, ast.Name) and each.id == _CLASS for each in ast.walk(node)
        ):
            # The argument of the function is the key.
            node.body = _imports(node.args.args[0].arg)
            return node
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id in self._asked):
            return node
        try:
            given = [ast.literal_eval(argument) for argument in node.args]
        except ValueError:
            raise ShrinkError(
                f"{self._module}:{node.lineno}: {ast.unparse(node)} has arguments that are not written out"
            ) from None
        function: Callable[..., Any] = getattr(rows, node.func.id)
        return ast.parse(repr(function(*given)), mode="eval").body


def _imports(key: str) -> list[ast.stmt]:
    """`if key == "do": from sensors.do import Do; return Do` for each sensor; the last needs no question."""
    *first, last = rows.keys()
    lines = [f"if {key} == {one!r}:\n    {_import(one)}\n    return {one.capitalize()}" for one in first]
    return ast.parse("\n".join([*lines, _import(last), f"return {last.capitalize()}"]), "rows").body


def _import(key: str) -> str:
    return f"from sensors.{key} import {key.capitalize()}"
