"""Takes functions that seldom run out of the modules that stay in memory: a board loads them for each call.

The files of the tree mark them with `@seldom`, and `@once` those that run at the start only. Those of one
module and mark become a module of their own, `buoy/_7.py`, which ends with a tuple of its functions; where
one was called stands `reader(7, 2)(self, …)`. A function that several classes have under one name, or that is
not only called, leaves a short one in its place, which calls it.
"""

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from buoyfleet.boards.shrink.calls import Calls, Inside, Moved, OfBase, load_call
from buoyfleet.boards.shrink.marks import Marked, called_only, made_by_name
from buoyfleet.boards.shrink.program import Program, ShrinkError, without_empty_bodies
from buoyfleet.boards.shrink.symbols import keep_origin

FOLDER = "buoy"
# The name of the tuple: one that MicroPython has anyway.
FUNCTIONS = "items"


@dataclass(slots=True)
class _Group:
    number: int
    module: str
    functions: list[Marked] = field(default_factory=list)
    others: list[ast.FunctionDef] = field(default_factory=list)
    """Moved out of the same module into other groups."""


class _Uses:
    """What statements use, walked through once each: none of them changes while functions are moved."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[ast.stmt, set[str], set[str], set[tuple[str | None, str]]]] = {}

    def names(self, statements: Iterable[ast.stmt]) -> set[str]:
        """Plain names."""
        return {name for each in statements for name in self._of(each)[1]}

    def attributes(self, statements: Iterable[ast.stmt]) -> set[str]:
        """Names after a dot."""
        return {name for each in statements for name in self._of(each)[2]}

    def imported(self, statements: Iterable[ast.stmt], module: str) -> set[str]:
        """Names that are imported from a module."""
        return {name for each in statements for source, name in self._of(each)[3] if source == module}

    def _of(self, statement: ast.stmt) -> tuple[ast.stmt, set[str], set[str], set[tuple[str | None, str]]]:
        found = self._found.get(id(statement))
        if found is None:
            names: set[str] = set()
            attributes: set[str] = set()
            imported: set[tuple[str | None, str]] = set()
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    names.add(node.id)
                elif isinstance(node, ast.Attribute):
                    attributes.add(node.attr)
                elif isinstance(node, ast.ImportFrom):
                    imported.update((node.module, alias.name) for alias in node.names)
            # With the statement itself: its number stays its own for as long as it is kept.
            found = self._found[id(statement)] = (statement, names, attributes, imported)
        return found


def move_seldom(
    program: Program, marked: list[Marked], reader: tuple[str, str], resident: Collection[str]
) -> int:
    """Move the marked functions of modules that stay in memory.

    Args:
        program: all of it.
        marked: of `marks.take_marks`; those that were left out since are passed over.
        reader: (module, function) that loads one: `function(group, place)`.
        resident: dotted names of the modules that stay in memory.

    Returns:
        How many modules they are; see `module_path`.

    Raises:
        ShrinkError: a function asks for its class.
    """
    everything = [each for each in marked if each.module in resident and each.function in each.holder.body]
    direct = called_only(program, everything)
    groups = _grouped(everything)
    makers = made_by_name(program, everything)
    places: dict[str, Moved] = {}
    loading: set[str] = set()
    for group in groups:
        for place, each in enumerate(group.functions):
            moved = Moved(group.number, place, isinstance(each.holder, ast.ClassDef))
            maker = each.holder.name if isinstance(each.holder, ast.ClassDef) else ""
            if each.function.name == "__init__" and maker in makers:
                places[maker] = Moved(group.number, place, False)
                each.holder.body.remove(each.function)
                _make(maker, each.function)
            elif each.function.name in direct:
                places[each.function.name] = moved
                each.holder.body.remove(each.function)
            else:
                stub = _stub(each.function, moved, reader[1])
                each.holder.body[each.holder.body.index(each.function)] = stub
                loading.add(each.module)
        _call_each_other(group, direct)
    uses = _Uses()
    for group in groups:
        group.others = [
            each.function
            for other in groups
            if other is not group and other.module == group.module
            for each in other.functions
        ]
        name = f"{FOLDER}._{group.number}"
        program.trees[name] = _module(program, group, _helpers(program, group, uses))
        program.paths[name] = module_path(group.number)
        program.origins[name] = group.module
    for name, tree in program.trees.items():
        calls = Calls(places, set(places) - makers, reader[1])
        calls.visit(tree)
        without_empty_bodies(tree)
        if (calls.count or name in loading) and name != reader[0]:
            tree.body.insert(0, ast.ImportFrom(reader[0], [ast.alias(reader[1])], 0))
    return len(groups)


def _grouped(marked: list[Marked]) -> list[_Group]:
    """Those of one module and mark are loaded together: each group costs a board a name."""
    groups: dict[tuple[str, str], _Group] = {}
    for each in marked:
        group = groups.setdefault((each.module, each.mark), _Group(len(groups) + 1, each.module))
        group.functions.append(each)
    return [*groups.values()]


def module_path(number: int) -> str:
    """Of a module of functions, counted from 1."""
    return f"{FOLDER}/_{number}.py"


def _make(name: str, function: ast.FunctionDef) -> None:
    """Turn an `__init__` into a function that returns the object."""
    own = function.args.args.pop(0).arg
    made = ast.Assign([ast.Name(own, ast.Store())], ast.Call(ast.Name(name, ast.Load()), [], []), lineno=0)
    function.body = [made, *function.body, ast.Return(ast.Name(own, ast.Load()))]


def _call_each_other(group: _Group, direct: set[str]) -> None:
    """Functions of one module need nobody to load them."""
    for number, each in enumerate(group.functions):
        if isinstance(each.holder, ast.ClassDef) and each.function.args.args:
            OfBase(each.holder, each.function).visit(each.function)
        each.called = f"{each.function.name.strip('_')}_{number}"
    called = {
        each.function.name: (each.called, isinstance(each.holder, ast.ClassDef))
        for each in group.functions
        if each.function.name in direct
    }
    for each in group.functions:
        Inside(called).visit(each.function)
        each.function.name = each.called


def _helpers(program: Program, group: _Group, uses: _Uses) -> list[ast.stmt]:
    """Functions and constants of the module that only these functions use; they are taken out of it."""
    tree = program.trees[group.module]
    asked: set[str] = set()
    for other in program.trees.values():
        asked |= uses.attributes(other.body) | uses.imported(other.body, group.module)
    found: list[ast.stmt] = []
    inside = [each.function for each in group.functions]
    while True:
        used = uses.names((*inside, *found))
        for statement in tree.body:
            name = _helper(statement)
            if not name or name in asked or name not in used:
                continue
            others = (*(each for each in tree.body if each is not statement), *group.others)
            if name not in uses.names(others):
                tree.body.remove(statement)
                found.append(statement)
                break
        else:
            break
    return found[::-1]


def _helper(statement: ast.stmt) -> str:
    """The name that a statement makes, if it can stand anywhere."""
    if isinstance(statement, ast.FunctionDef) and not statement.decorator_list:
        return statement.name
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        fixed = not any(isinstance(node, ast.Call) for node in ast.walk(statement.value))
        if isinstance(target, ast.Name) and target.id.isupper() and fixed:
            return target.id
    return ""


def _stub(function: ast.FunctionDef, moved: Moved, reader: str) -> ast.FunctionDef:
    """What stays where a function was; it takes the same, and gives it by position."""
    given = function.args
    if given.vararg or given.kwarg:
        raise ShrinkError(f"{function.name} takes any arguments, and is not only called")
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    call = ast.Call(load_call(moved, reader), [ast.Name(each.arg, ast.Load()) for each in every], [])
    names = [ast.arg(each.arg) for each in every]
    last: ast.stmt = ast.Expr(call) if function.name == "__init__" else ast.Return(call)
    arguments = ast.arguments([], names, None, [], [], None, [*given.defaults])
    stub = ast.FunctionDef(function.name, arguments, [last], [], lineno=0)
    keep_origin(stub, function)
    return stub


def _module(program: Program, group: _Group, helpers: list[ast.stmt]) -> ast.Module:
    tree = program.trees[group.module]
    names = [each.called for each in group.functions]
    body = [*helpers, *(each.function for each in group.functions)]
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
