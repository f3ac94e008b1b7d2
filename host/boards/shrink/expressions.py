"""Puts what a short method returns in every place that calls it: that takes no more than the call."""

import ast
import copy
from collections.abc import Collection, Iterator

from host.boards.shrink.callees import (
    Callee,
    CannotFollowError,
    Renamed,
    Replaced,
    bind_arguments,
    callees_in,
    names_of,
    reach,
)
from host.boards.shrink.program import Program, arguments, without_empty_bodies
from host.boards.shrink.symbols import keep_inlined


def inline_expressions(program: Program, kept: Collection[str]) -> int:
    """Methods that only return a short expression, in every place that calls them, in any module."""
    count = 0
    while _inline_expression(program, kept):
        count += 1
    return count


def _inline_expression(program: Program, kept: Collection[str]) -> bool:
    methods, _ = names_of(program)
    for tree in program.trees.values():
        for callee in callees_in(tree):
            name, uses = callee.function.name, methods[callee.function.name] - 1
            if not callee.method or name in kept or not uses:
                continue
            expression = _short_expression(callee.function, uses)
            if expression is not None and _replace_all(program, callee, expression, uses):
                callee.holder.body.remove(callee.function)
                without_empty_bodies(tree)
                return True
    return False


_LARGEST = 8
"""Nodes of an expression that stands in several places: about what a call takes."""


def _short_expression(function: ast.FunctionDef, uses: int) -> ast.expr | None:
    """What a function returns, if that is all it does and no module's name is in it."""
    last = function.body[0]
    if len(function.body) != 1 or not isinstance(last, ast.Return) or last.value is None:
        return None
    expression = last.value
    nodes = list(ast.walk(expression))
    size = sum(not isinstance(node, ast.expr_context | ast.operator | ast.cmpop) for node in nodes)
    free = {node.id for node in nodes if isinstance(node, ast.Name)} - {
        each.arg for each in arguments(function)
    }
    scopes = (ast.ListComp, ast.SetComp, ast.DictComp, ast.Yield, ast.YieldFrom, ast.NamedExpr)
    if free or any(isinstance(node, scopes) for node in nodes):
        return None
    return expression if uses == 1 or size <= _LARGEST else None


def _replace_all(program: Program, callee: Callee, expression: ast.expr, uses: int) -> bool:
    calls: list[tuple[ast.FunctionDef, ast.Call, ast.expr]] = []
    for tree in program.trees.values():
        for caller in _outer_functions(tree):
            for node in ast.walk(caller):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                if node.func.attr != callee.function.name:
                    continue
                try:
                    values, binds = bind_arguments(callee, node)
                except CannotFollowError:
                    return False
                if caller is callee.function or len(binds) > 1:
                    return False
                for name, value in binds:
                    # Evaluated once and first, as it was for the call.
                    used = [
                        each
                        for each in ast.walk(expression)
                        if isinstance(each, ast.Name) and each.id == name
                    ]
                    if len(used) != 1 or reach(expression, used[0]) is not True:
                        return False
                    values[name] = value
                calls.append((caller, node, Renamed(values, {}).visit(copy.deepcopy(expression))))
    if len(calls) != uses:
        return False
    for caller, node, new in calls:
        Replaced(node, new).visit(caller)
    for caller in {id(caller): caller for caller, _, _ in calls}.values():
        keep_inlined(caller, callee.function)
    return True


def _outer_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in tree.body:
        for each in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(each, ast.FunctionDef):
                yield each
