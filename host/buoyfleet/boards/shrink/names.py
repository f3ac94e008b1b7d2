"""Gives names that only the firmware itself uses short ones.

A name costs a board its text and a place in the table of names, once, however often it is used. So the same
few short names serve in every module and every function. Names that stand as a text anywhere are left alone,
for `getattr` and the like, unless they are only keys; so are arguments that are given by name anywhere.
"""

import ast
import itertools
import keyword
import string
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator

from buoyfleet.boards.shrink.outside import OUTSIDE
from buoyfleet.boards.shrink.program import Program, arguments, identifiers


def shorten_names(program: Program, kept: Collection[str]) -> None:
    """Functions, classes, methods and attributes that the program makes.

    Modules whose classes inherit from each other share objects, so they are one group, and so are those that
    hold functions of each other. Two names may become
    the same short one if no group uses both.

    Args:
        program: all of it.
        kept: names that somebody outside it uses.
    """
    groups = _related(program)
    taken = {name for tree in program.trees.values() for _, _, name in identifiers(tree)} | program.strings()
    made, foreign = _made(program)
    made -= _not_ours(program) | set(kept)
    users: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for module, tree in program.trees.items():
        for _, _, name in identifiers(tree):
            if name in made:
                users[name][groups[module]] += 1
    for name in foreign & made:
        # Which objects have it is not known: no other name may become the same anywhere.
        users[name].update(dict.fromkeys(groups.values(), 0))
    fresh = _short_names({*taken, *OUTSIDE})
    pool: list[tuple[str, set[str]]] = []  # short name → groups that have it
    called: dict[str, str] = {}
    # The most used first: it gets the shortest.
    for name, counts in sorted(users.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        entry = next((each for each in pool if each[1].isdisjoint(counts)), None)
        if entry is None:
            entry = (next(fresh), set())
            pool.append(entry)
        entry[1].update(counts)
        called[name] = entry[0]
    for module, tree in program.trees.items():
        short = program.short.setdefault(module, {})
        for node, field, name in list(identifiers(tree)):
            if name in called:
                setattr(node, field, called[name])
                short[called[name]] = name


def _made(program: Program) -> tuple[set[str], set[str]]:
    """Names that the program makes; and those that it sets on other objects than `self`."""
    tops: set[str] = set()
    attributes: set[str] = set()
    foreign: set[str] = set()
    asked: set[str] = set()
    for tree in program.trees.values():
        modules = _modules(program, tree)
        tops |= _bound(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                attributes |= _bound(node)
            elif isinstance(node, ast.FunctionDef):
                tops |= {inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)}
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                attributes.add(node.attr)
                if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                    foreign.add(node.attr)
            elif isinstance(node, ast.Attribute) and not (
                isinstance(node.value, ast.Name) and node.value.id in modules
            ):
                asked.add(node.attr)
    # What modules make and is asked of objects may be another thing, of somebody else: machine.UART.
    made = (tops - asked) | attributes
    return {name for name in made if len(name) > 1 and not name.startswith("__")}, foreign


def _bound(holder: ast.Module | ast.ClassDef) -> set[str]:
    """Names that the body of a module or a class binds."""
    found: set[str] = set()
    for statement in holder.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found.add(statement.name)
        else:
            found |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return found


def _modules(program: Program, tree: ast.Module) -> set[str]:
    """Names in a module that stand for other modules of the program."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if program.imported_module(node, alias)
    }


def _not_ours(program: Program) -> set[str]:
    """Names that are also something else: of others, of a module, a text, or a keyword of a call."""
    found = program.texts_beside_keys() | OUTSIDE
    for name, tree in program.trees.items():
        found |= {name, *name.split(".")}
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword):
                found.add(str(node.arg))
            elif isinstance(node, ast.Import) or (
                isinstance(node, ast.ImportFrom) and node.module not in program.trees
            ):
                found |= {text for alias in node.names for text in (alias.name, alias.asname or alias.name)}
    return found


def shorten_arguments(program: Program) -> None:
    """Arguments of functions, but `self`."""
    by_name = {
        node.arg
        for tree in program.trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg is not None
    }
    for tree in program.trees.values():
        _Arguments({*by_name, "self"}).visit(tree)


def _related(program: Program) -> dict[str, str]:
    """Module → one of the modules that it is related to by inheritance, the same for all of them."""
    head = {name: name for name in program.trees}

    def find(name: str) -> str:
        while head[name] != name:
            name = head[name]
        return name

    for name, tree in program.trees.items():
        origins = {
            alias.asname or alias.name: node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in program.trees
            for alias in node.names
        }
        for node in ast.walk(tree):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                if isinstance(base, ast.Name) and base.id in origins:
                    head[find(name)] = find(str(origins[base.id]))
    for name, origin in program.origins.items():
        head[find(name)] = find(origin)
    return {name: find(name) for name in program.trees}


def _short_names(taken: Collection[str]) -> Iterator[str]:
    """`a`, `b`, … `aa`, … that are not taken and no words of the language."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_letters, repeat=length):
            name = "".join(letters)
            if name not in taken and not keyword.iskeyword(name):
                yield name


class _Arguments(ast.NodeTransformer):
    """Renames the arguments of each function, and what inner functions see of them."""

    def __init__(self, kept: set[str]) -> None:
        self._kept = kept
        self._called: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        self._rename(node, node.body)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._rename(node, [node.body])
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        node.id = self._called.get(node.id, node.id)
        return node

    def _rename(self, function: ast.FunctionDef | ast.Lambda, body: list[ast.stmt] | list[ast.expr]) -> None:
        given = function.args
        given.defaults = [self.visit(each) for each in given.defaults]
        given.kw_defaults = [each and self.visit(each) for each in given.kw_defaults]
        outer = self._called
        own = arguments(function)
        inside = {name for each in body for _, _, name in identifiers(each)} | {each.arg for each in own}
        fresh = _short_names({*inside, *(outer.get(name, "") for name in inside)})
        self._called = {
            name: called for name, called in outer.items() if name not in {each.arg for each in own}
        }
        # Given by name only: whoever calls it is not always seen.
        positional = [*given.posonlyargs, *given.args, *([given.vararg] if given.vararg else [])]
        for each in positional:
            if each.arg not in self._kept:
                called = next(fresh)
                self._called[each.arg] = called
                each.arg = called
        for statement in body:
            self.visit(statement)
        self._called = outer
