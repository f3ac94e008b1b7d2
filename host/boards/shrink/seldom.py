"""Takes functions that seldom run out of the modules that stay in memory: a board loads them for each call.

The files of the tree mark them with `@seldom`, and `@once` those that run at the start only. Those of one
module and mark become a module of their own, `buoy/_7.py`, which ends with a tuple of its functions; where
one was called stands `reader(7, 2)(self, …)`. A function that several classes have under one name, or that is
not only called, leaves a short one in its place, which calls it.
"""

import ast
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from host.boards.shrink.outside import OUTSIDE
from host.boards.shrink.program import Program, ShrinkError, functions

MARKS = ("once", "seldom")
FOLDER = "buoy"
# The name of the tuple: one that MicroPython has anyway.
FUNCTIONS = "items"


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


@dataclass(slots=True)
class Moved:
    """Where a function is now."""

    group: int
    place: int
    method: bool


@dataclass(slots=True)
class _Group:
    number: int
    module: str
    functions: list[Marked] = field(default_factory=list)


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


def move_seldom(
    program: Program, marked: list[Marked], reader: tuple[str, str], resident: Collection[str]
) -> int:
    """Move the marked functions of modules that stay in memory.

    Args:
        program: all of it.
        marked: of `take_marks`; those that were left out since are passed over.
        reader: (module, function) that loads one: `function(group, place)`.
        resident: dotted names of the modules that stay in memory.

    Returns:
        How many modules they are; see `module_path`.

    Raises:
        ShrinkError: a function asks for its class.
    """
    groups: dict[tuple[str, str], _Group] = {}
    for each in marked:
        if each.module in resident and each.function in each.holder.body:
            key = (each.module, each.mark)
            if key not in groups:
                groups[key] = _Group(len(groups) + 1, each.module)
            groups[key].functions.append(each)
    direct = _called_only(program, [each for group in groups.values() for each in group.functions])
    places: dict[str, Moved] = {}
    loading: set[str] = set()
    for group in groups.values():
        for place, each in enumerate(group.functions):
            moved = Moved(group.number, place, isinstance(each.holder, ast.ClassDef))
            if each.function.name in direct:
                places[each.function.name] = moved
                each.holder.body.remove(each.function)
            else:
                stub = _stub(each.function, moved, reader[1])
                each.holder.body[each.holder.body.index(each.function)] = stub
                loading.add(each.module)
        name = f"{FOLDER}._{group.number}"
        program.trees[name] = _module(program, group)
        program.paths[name] = module_path(group.number)
        program.origins[name] = group.module
    for name, tree in program.trees.items():
        calls = _Calls(places, reader[1])
        calls.visit(tree)
        if (calls.count or name in loading) and name != reader[0]:
            tree.body.insert(0, ast.ImportFrom(reader[0], [ast.alias(reader[1])], 0))
    return len(groups)


def module_path(number: int) -> str:
    """Of a module of functions, counted from 1."""
    return f"{FOLDER}/_{number}.py"


def _called_only(program: Program, moved: list[Marked]) -> set[str]:
    """Names that stand for one moved function alone, and only where it is called."""
    made = Counter(
        node.name
        for tree in program.trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    )
    uses: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for tree in program.trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                uses[node.attr] += 1
            elif isinstance(node, ast.Name):
                uses[node.id] += 1
            elif isinstance(node, ast.alias):
                uses[node.name] += 1
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                calls[node.func.attr] += 1
    return (
        {
            each.function.name
            for each in moved
            if isinstance(each.holder, ast.ClassDef)
            if made[each.function.name] == 1
            if uses[each.function.name] == calls[each.function.name]
            and not each.function.name.startswith("__")
        }
        - program.strings()
        - OUTSIDE
    )


def _load(moved: Moved, reader: str) -> ast.Call:
    return ast.Call(ast.Name(reader, ast.Load()), [ast.Constant(moved.group), ast.Constant(moved.place)], [])


def _stub(function: ast.FunctionDef, moved: Moved, reader: str) -> ast.FunctionDef:
    """What stays where a function was; it takes the same, and gives it by position."""
    given = function.args
    if given.vararg or given.kwarg:
        raise ShrinkError(f"{function.name} takes any arguments, and is not only called")
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    call = ast.Call(_load(moved, reader), [ast.Name(each.arg, ast.Load()) for each in every], [])
    names = [ast.arg(each.arg) for each in every]
    last: ast.stmt = ast.Expr(call) if function.name == "__init__" else ast.Return(call)
    arguments = ast.arguments([], names, None, [], [], None, [*given.defaults])
    return ast.FunctionDef(function.name, arguments, [last], [], lineno=0)


def _module(program: Program, group: _Group) -> ast.Module:
    tree = program.trees[group.module]
    body: list[ast.stmt] = []
    names = []
    for number, each in enumerate(group.functions):
        function = each.function
        if isinstance(each.holder, ast.ClassDef):
            _Super(each.holder, function).visit(function)
        function.name = f"{function.name.strip('_')}_{number}"
        names.append(function.name)
        body.append(function)
    used = {node.id for each in body for node in ast.walk(each) if isinstance(node, ast.Name)}
    imports: list[ast.stmt] = []
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name.split(".")[0]) in used:
                    copied = ast.alias(alias.name, alias.asname)
                    imports.append(
                        ast.Import([copied])
                        if isinstance(statement, ast.Import)
                        else ast.ImportFrom(statement.module, [copied], 0)
                    )
        else:
            imports.extend(
                ast.ImportFrom(group.module, [ast.alias(name)], 0)
                for name in _bound(statement)
                if name in used
            )
    last = ast.Assign(
        [ast.Name(FUNCTIONS, ast.Store())],
        ast.Tuple([ast.Name(name, ast.Load()) for name in names], ast.Load()),
        lineno=0,
    )
    return ast.Module([*imports, *body, last], [])


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.If):
        return [name for each in (*statement.body, *statement.orelse) for name in _bound(each)]
    return [
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


class _Super(ast.NodeTransformer):
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


class _Calls(ast.NodeTransformer):
    """Calls of what was moved."""

    def __init__(self, places: dict[str, Moved], reader: str) -> None:
        self._places, self._reader = places, reader
        self.count = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in self._places:
            self.count += 1
            node.args.insert(0, node.func.value)
            node.func = _load(self._places[node.func.attr], self._reader)
        return node
