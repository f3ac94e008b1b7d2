"""Takes out what a board never reads: texts for people and checkers, `__slots__`, branches of CPython."""

import ast
from collections import Counter
from collections.abc import Iterator

from buoyfleet.boards.shrink.outside import OUTSIDE
from buoyfleet.boards.shrink.program import Program, without_empty_bodies

# What these names are on a board.
KNOWN = {"TYPE_CHECKING": False, "MICROPYTHON": True}
# MicroPython takes no notice of them.
_NO_NOTICE = ("__slots__", "__all__")


def strip_program(program: Program) -> None:
    """Take it out of every module."""
    for tree in program.trees.values():
        _Strip().visit(tree)
        without_empty_bodies(tree)


def strip_source(text: str) -> str:
    """A file that a board has as source, without comments and texts for people."""
    tree = _Strip().visit(ast.parse(text))
    without_empty_bodies(tree)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def strip_unused_imports(program: Program) -> None:
    """Names that a module imports and neither uses nor hands on."""
    wanted = {
        (node.module, alias.name)
        for tree in program.trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for name, tree in program.trees.items():
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        used |= {symbol for module, symbol in wanted if module == name and symbol is not None}
        _Unused(program, used).visit(tree)
        without_empty_bodies(tree)


class _Strip(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        target = node.targets[0]
        if isinstance(target, ast.Name) and (target.id in _NO_NOTICE or target.id in KNOWN):
            return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return self.visit_Assign(ast.Assign([node.target], node.value, lineno=node.lineno))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if isinstance(node.ctx, ast.Load) and node.id in KNOWN:
            return ast.Constant(KNOWN[node.id])
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        test, turned = node.test, False
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, turned = test.operand, True
        self.generic_visit(node)
        if not (isinstance(test, ast.Name) and test.id in KNOWN):
            return node
        return [*(node.body if KNOWN[test.id] is not turned else node.orelse)]


class _Unused(ast.NodeTransformer):
    def __init__(self, program: Program, used: set[str]) -> None:
        self._program, self._used = program, used

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        node.names = [
            alias for alias in node.names if (alias.asname or alias.name.split(".")[0]) in self._used
        ]
        return node if node.names else None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        node.names = [alias for alias in node.names if (alias.asname or alias.name) in self._used]
        return node if node.names else None


def strip_unused_names(program: Program, kept: set[str]) -> None:
    """Functions, classes and constants at the top of modules, and methods, that nothing in the program names.

    Args:
        program: all of it.
        kept: names that somebody outside it uses.
    """
    while True:
        named = Counter(name for tree in program.trees.values() for name in _uses(tree))
        named.update(kept | program.strings())
        unused = [
            (holder, node)
            for holder in _holders(program)
            for node in holder.body
            if (made := _made(node)) and not any(named[name] for name in made)
            if isinstance(holder, ast.Module) or _is_method(node)
        ]
        if not unused:
            break
        for holder, node in unused:
            holder.body.remove(node)
    for tree in program.trees.values():
        without_empty_bodies(tree)


def _holders(program: Program) -> Iterator[ast.Module | ast.ClassDef]:
    for tree in program.trees.values():
        yield tree
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _is_method(node: ast.stmt) -> bool:
    """One that nobody outside can ask for."""
    return isinstance(node, ast.FunctionDef) and not node.name.startswith("__") and node.name not in OUTSIDE


def _uses(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def _made(node: ast.stmt) -> list[str]:
    """Names that a statement makes and that are all it does; none if it may do more."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list:
        return [node.name]
    if isinstance(node, ast.Assign) and not any(isinstance(each, ast.Call) for each in ast.walk(node.value)):
        return [each.id for each in node.targets if isinstance(each, ast.Name)]
    return []
