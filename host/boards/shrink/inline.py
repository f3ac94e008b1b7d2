"""Puts functions that are called in one place there: on a board each takes some 55 bytes beside its code.

A function is put in its caller's place only where that can be followed: both are in one module after the
bundles were joined, the name stands in the program at its definition and at the call and nowhere else, and
nothing that may have an effect is evaluated before the call in its statement. Arguments that are names or
constants stand where they are used; others are kept in a variable, as are the function's own variables, under
names that the caller does not have.
"""

import ast
import builtins
import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from host.boards.shrink.callees import (
    Callee,
    CannotFollowError,
    Renamed,
    Replaced,
    bind_arguments,
    callees_in,
    names_of,
    reach,
    stored_names,
)
from host.boards.shrink.expressions import inline_expressions
from host.boards.shrink.outside import OUTSIDE
from host.boards.shrink.program import Program, arguments, identifiers, without_empty_bodies
from host.boards.shrink.symbols import keep_inlined

_Asked = ast.Call | ast.YieldFrom


@dataclass(slots=True)
class _Place:
    """A statement with a call, and the functions that it is in, the innermost last."""

    block: list[ast.stmt]
    statement: ast.stmt
    callers: list[ast.FunctionDef]
    call: ast.Call


def inline_functions(program: Program, kept: Collection[str]) -> int:
    """Functions and methods that are called once, by another function of their module.

    Args:
        program: all of it, its bundles joined.
        kept: names that somebody outside it uses.

    Returns:
        How many are gone.
    """
    kept = {*kept, *OUTSIDE, *dir(builtins), *program.strings()}
    count = inline_expressions(program, kept)
    methods, names = names_of(program)
    for tree in program.trees.values():
        callees = {
            each.function.name: each
            for each in callees_in(tree)
            if each.function.name not in kept and _is_called_once(each, methods, names)
        }
        while found := _next(tree, callees):
            callee, place = found
            del callees[callee.function.name]
            with suppress(CannotFollowError):
                _inline(callee, place)
                callee.holder.body.remove(callee.function)
                keep_inlined(place.callers[0], callee.function)
                count += 1
        without_empty_bodies(tree)
    return count


def _is_called_once(callee: Callee, methods: Counter[str], names: Counter[str]) -> bool:
    """Whether its name stands where it is made, and in one place more."""
    name = callee.function.name
    return methods[name] == 2 if callee.method else methods[name] == 1 and names[name] == 2


def _next(tree: ast.Module, callees: dict[str, Callee]) -> tuple[Callee, _Place] | None:
    for place in _places(tree.body, []):
        callee = callees.get(_name(place.call.func))
        if (
            callee is not None
            and callee.method is isinstance(place.call.func, ast.Attribute)
            and callee.function not in place.callers
        ):
            return callee, place
    return None


def _name(func: ast.expr) -> str:
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""


def _places(block: list[ast.stmt], callers: list[ast.FunctionDef]) -> Iterator[_Place]:
    for statement in block:
        if callers:
            for node in _expressions(statement):
                if isinstance(node, ast.Call):
                    yield _Place(block, statement, callers, node)
        inner = [*callers, statement] if isinstance(statement, ast.FunctionDef) else callers
        for field in ("body", "orelse", "finalbody"):
            yield from _places(getattr(statement, field, []), inner)
        for handler in getattr(statement, "handlers", []):
            yield from _places(handler.body, inner)


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Every node of a statement's own expressions."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            yield from ast.walk(child)


def _inline(callee: Callee, place: _Place) -> None:
    function = callee.function
    whole = _asked(place)
    before = _bound(function)
    outer = {name for each in place.callers for _, _, name in identifiers(each)}
    bound_outside = {name for each in place.callers for name in _bound(each)}
    free = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)} - before
    if free & bound_outside:
        raise CannotFollowError
    if _is_generator(function) is not isinstance(whole, ast.YieldFrom):
        raise CannotFollowError
    values, binds = bind_arguments(callee, place.call)
    body = copy.deepcopy(function.body)
    taken = outer | {name for each in body for _, _, name in identifiers(each)}
    fresh = {name: _fresh(name, taken) for name in sorted(before - set(values))}
    renamed = [Renamed(values, fresh).visit(statement) for statement in body]
    opening: list[ast.stmt] = [
        ast.Assign([ast.Name(fresh[name], ast.Store())], value, lineno=0) for name, value in binds
    ]
    at = place.block.index(place.statement)
    statement = place.statement
    if isinstance(statement, ast.Return) and statement.value is whole:
        # All its returns are the caller's.
        if not isinstance(renamed[-1], ast.Return | ast.Raise):
            renamed.append(ast.Return(None))
        place.block[at : at + 1] = [*opening, *renamed]
        return
    if isinstance(statement, ast.Expr) and statement.value is whole:
        done = _without_returns(renamed, _dropped)
        place.block[at : at + 1] = [*opening, *done] or [ast.Pass()]
        return
    result: ast.expr
    if isinstance(renamed[-1], ast.Return) and not any(_returns(each) for each in renamed[:-1]):
        result = renamed.pop().value or ast.Constant(None)
        done = renamed
    else:
        name = _fresh("result", taken | set(fresh.values()))
        result = ast.Name(name, ast.Load())
        done = _without_returns(
            renamed, lambda value: [ast.Assign([ast.Name(name, ast.Store())], value, lineno=0)]
        )
    Replaced(whole, result).visit(statement)
    place.block[at:at] = [*opening, *done]


def _asked(place: _Place) -> _Asked:
    """The call, or the `yield from` around it.

    Raises:
        CannotFollowError: something that may have an effect, or may be changed, is evaluated before it.
    """
    statement, call = place.statement, place.call
    whole: _Asked = call
    for node in _expressions(statement):
        if isinstance(node, ast.YieldFrom) and node.value is call:
            whole = node
    first: ast.expr | None = None
    by_name = isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name)
    if isinstance(statement, ast.Expr | ast.Assign | ast.Return | ast.AugAssign):
        first = statement.value if by_name or not isinstance(statement, ast.AugAssign) else None
    elif isinstance(statement, ast.If):
        first = statement.test
    elif isinstance(statement, ast.For):
        first = statement.iter
    if first is None or reach(first, whole) is not True:
        raise CannotFollowError
    return whole


def _bound(function: ast.FunctionDef) -> set[str]:
    return stored_names(function) | {each.arg for each in arguments(function)}


def _is_generator(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))


def _fresh(name: str, taken: set[str]) -> str:
    fresh, number = name, 2
    while fresh in taken:
        fresh, number = f"{name}_{number}", number + 1
    taken.add(fresh)
    return fresh


def _returns(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Return) for each in ast.walk(node))


def _dropped(value: ast.expr) -> list[ast.stmt]:
    return [] if isinstance(value, ast.Name | ast.Constant) else [ast.Expr(value)]


def _without_returns(block: list[ast.stmt], deliver: Callable[[ast.expr], list[ast.stmt]]) -> list[ast.stmt]:
    """The same with one end: what follows an `if` that returns stands in its `else`.

    Raises:
        CannotFollowError: a loop, `try` or `with` returns, or an `if` that returns on some of its ways only.
    """
    for number, statement in enumerate(block):
        if isinstance(statement, ast.Return):
            return [*block[:number], *deliver(statement.value or ast.Constant(None))]
        if not _returns(statement):
            continue
        if not isinstance(statement, ast.If):
            raise CannotFollowError
        rest = block[number + 1 :]
        if _leaves(statement.body):
            then, other = statement.body, [*statement.orelse, *rest]
        elif _leaves(statement.orelse):
            then, other = [*statement.body, *rest], statement.orelse
        elif not rest:
            then, other = statement.body, statement.orelse
        else:
            raise CannotFollowError
        statement.body = _without_returns(then, deliver) or [ast.Pass()]
        statement.orelse = _without_returns(other, deliver)
        return block[: number + 1]
    if block and isinstance(block[-1], ast.Raise):
        return block
    return [*block, *deliver(ast.Constant(None))]


def _leaves(block: list[ast.stmt]) -> bool:
    """Whether what follows is never reached."""
    if not block:
        return False
    last = block[-1]
    if isinstance(last, ast.If):
        return _leaves(last.body) and _leaves(last.orelse)
    return isinstance(last, ast.Return | ast.Raise)
