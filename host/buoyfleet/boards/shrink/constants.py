"""Puts the value of a constant where its name stood, in every module: on a board a name costs more."""

import ast
import operator
from collections import Counter
from collections.abc import Callable

from buoyfleet.boards.shrink.program import Program, arguments, without_empty_bodies

Number = int | float
Value = Number | str | bool | tuple[Number, ...]
# Shorter texts are names to MicroPython, which are there once however often they stand in a program.
LONGEST_NAME = 10
_OPERATORS: dict[type[ast.AST], Callable[..., Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
}


def inline_constants(program: Program) -> None:
    """In every module, and in those that import from it. Only `UPPER_CASE` names that are assigned once."""
    constants: dict[str, dict[str, Value]] = {name: {} for name in program.trees}
    used = Counter(
        node.id if isinstance(node, ast.Name) else node.attr
        for tree in program.trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    )
    found = -1
    # Constants may be made of those of another module: until there are no more.
    while found < (found := sum(map(len, constants.values()))):
        for name in program.trees:
            _collect(program, name, constants, used)
    for name, tree in program.trees.items():
        _Inline(program, name, constants).visit(tree)
        without_empty_bodies(tree)


def _collect(program: Program, name: str, constants: dict[str, dict[str, Value]], used: Counter[str]) -> None:
    tree = program.trees[name]
    known = {**constants[name], **_imported(program, name, constants)}
    stores = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    taken = {
        each.arg for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for each in arguments(node)
    }
    for target, value in _assignments(tree):
        if not target.isupper() or stores[target] != 1 or target in taken:
            continue
        try:
            evaluated = _evaluate(value, known)
        except ValueError:
            continue
        long = isinstance(evaluated, tuple) or (isinstance(evaluated, str) and len(evaluated) > LONGEST_NAME)
        # Where it is assigned, and one place more; a tuple as an argument's default too, which few are given.
        if not long or used[target] <= (4 if isinstance(evaluated, tuple) else 2):
            constants[name][target] = known[target] = evaluated


def _imported(program: Program, name: str, constants: dict[str, dict[str, Value]]) -> dict[str, Value]:
    """Constants that a module has from others, by the name it gives them."""
    return {
        alias.asname or alias.name: constants[node.module][alias.name]
        for node in ast.walk(program.trees[name])
        if isinstance(node, ast.ImportFrom) and node.module in constants
        for alias in node.names
        if alias.name in constants[node.module]
    }


def _assignments(tree: ast.Module) -> list[tuple[str, ast.expr]]:
    """(name, value) of what a module assigns at its top, `A, B = 1, 2` included."""
    pairs: list[tuple[ast.expr, ast.expr]] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs.extend(zip(target.elts, node.value.elts, strict=True))
            else:
                pairs.append((target, node.value))
    return [(target.id, value) for target, value in pairs if isinstance(target, ast.Name)]


def _evaluate(node: ast.expr, known: dict[str, Value]) -> Value:
    """Raises ValueError where it is no number, text or truth value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
        return node.value
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_number(node.operand, known))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_number(node.left, known), _number(node.right, known))
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and node.elts:
        return tuple(_number(each, known) for each in node.elts)
    raise ValueError


def _number(node: ast.expr, known: dict[str, Value]) -> int | float:
    value = _evaluate(node, known)
    if isinstance(value, str | tuple):
        raise ValueError
    return value


class _Inline(ast.NodeTransformer):
    def __init__(self, program: Program, name: str, constants: dict[str, dict[str, Value]]) -> None:
        self._constants, self._own = constants, constants[name]
        self._known = {**self._own, **_imported(program, name, constants)}
        self._modules: dict[str, str] = {}
        for node in ast.walk(program.trees[name]):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    module = program.imported_module(node, alias)
                    if module is not None:
                        self._modules[alias.asname or alias.name] = module

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Load) and node.id in self._known:
            return _literal(self._known[node.id])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:
            values = self._constants[self._modules[node.value.id]]
            if node.attr in values:
                return _literal(values[node.attr])
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        try:
            return _literal(_evaluate(node, {}))
        except ValueError:
            return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        target = node.targets[0]
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        if all(isinstance(each, ast.Name) and each.id in self._own for each in names):
            return None
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        gone = self._constants.get(node.module or "", {})
        node.names = [alias for alias in node.names if alias.name not in gone]
        return node if node.names else None


def _literal(value: Value) -> ast.expr:
    if isinstance(value, tuple):
        return ast.Tuple([_literal(each) for each in value], ast.Load())
    if not isinstance(value, str | bool) and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)
