"""Where the parts of a small program come from: what a board's traceback needs to be read.

A board has no line numbers: they take 5 KB of flash and half of that of its memory. Which function a frame is
in says which lines it can be; what is called from there, or raised, says mostly which one.
"""

import ast
from collections import defaultdict
from dataclasses import dataclass, field, replace

from buoyfleet.boards.shrink.program import Program

_HOME = "home"
MODULE = "<module>"
LAMBDA = "<lambda>"


@dataclass(slots=True)
class Origin:
    """A function of the tree."""

    file: str
    """As in `shrink`'s sources, `buoy/link.py`."""
    name: str
    """`Link.step`, `make_transport.wrap`, `<module>`."""
    first: int
    last: int
    """Lines."""
    calls: dict[str, list[int]] = field(default_factory=dict)
    """Name of what is called → lines."""
    raises: dict[str, list[int]] = field(default_factory=dict)
    """Name of an exception → lines; "" where a caught one is passed on."""


@dataclass(slots=True)
class Symbols:
    """Of a whole program. Modules by what a traceback calls them, the name of their file."""

    functions: dict[str, dict[str, list[Origin]]] = field(default_factory=dict)
    """Module → name of a function there → where it comes from; several where functions share a name."""
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    """Module → short name → name in the tree."""

    def renamed(self, files: dict[str, str]) -> "Symbols":
        """With other names of files, e.g. as they are in the tree."""
        functions = {
            module: {
                name: [replace(one, file=files.get(one.file, one.file)) for one in origins]
                for name, origins in named.items()
            }
            for module, named in self.functions.items()
        }
        return Symbols(functions, self.names)


def mark_origins(program: Program) -> dict[str, Origin]:
    """Note in every function where it stands; call it before anything is changed.

    Returns:
        File → what its module does when it is loaded.
    """
    files = {program.paths[name]: tree for name, tree in program.trees.items()}
    return {file: _Marker(file).mark(tree, MODULE, 1) for file, tree in files.items()}


def keep_origin(new: ast.AST, old: ast.AST) -> None:
    """A node that stands for another one is in the same place of the tree."""
    if hasattr(old, _HOME):
        setattr(new, _HOME, getattr(old, _HOME))


def traced(path: str) -> str:
    """What a traceback calls a module: the name of its file, and `_` for all that are loaded for one call.

    A name of its own would stay in a board's table of names for each of them.
    """
    stem = path.rpartition("/")[2].removesuffix(".py")
    return "_" if stem[:1] == "_" and stem[1:].isdigit() else stem


def collect_symbols(program: Program, modules: dict[str, Origin]) -> Symbols:
    """Of the program as it has become.

    Args:
        program: all of it.
        modules: what `mark_origins` returned.
    """
    found = Symbols()
    for name, tree in program.trees.items():
        module = traced(program.paths[name])
        functions = defaultdict(list, found.functions.get(module, {}))
        files = {program.paths[name]}
        for node in ast.walk(tree):
            origin = getattr(node, _HOME, None)
            if origin is not None and origin.name != MODULE:
                called = node.name if isinstance(node, ast.FunctionDef) else LAMBDA
                functions[called].append(origin)
                files.add(origin.file)
        functions[MODULE] += [modules[file] for file in sorted(files) if file in modules]
        found.functions[module] = dict(functions)
        found.names.setdefault(module, {}).update(program.short.get(name, {}))
    return found


class _Marker:
    def __init__(self, file: str) -> None:
        self._file = file

    def mark(self, holder: ast.AST, name: str, first: int) -> Origin:
        """A function, a lambda or a module, and those inside."""
        body = getattr(holder, "body", None)
        ending = body[-1] if isinstance(body, list) and body else holder
        last = getattr(ending, "end_lineno", None) or first
        origin = Origin(self._file, name, first, last)
        setattr(holder, _HOME, origin)
        self._look(holder, origin, "" if name == MODULE else f"{name}.")
        return origin

    def _look(self, node: ast.AST, origin: Origin, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                self.mark(child, prefix + child.name, child.lineno)
            elif isinstance(child, ast.Lambda):
                self.mark(child, prefix + LAMBDA, child.lineno)
            elif isinstance(child, ast.ClassDef):
                self._look(child, origin, f"{prefix}{child.name}.")
            else:
                self._note(child, origin)
                self._look(child, origin, prefix)

    @staticmethod
    def _note(node: ast.AST, origin: Origin) -> None:
        if isinstance(node, ast.Call):
            origin.calls.setdefault(_name_of(node.func), []).append(node.lineno)
        elif isinstance(node, ast.Raise):
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            origin.raises.setdefault(_name_of(raised), []).append(node.lineno)


def _name_of(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
