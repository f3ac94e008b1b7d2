"""Who imports whom, read from the source of every file."""

import ast
from dataclasses import dataclass
from pathlib import Path

OURS = frozenset({"buoyfleet", "sensors", "buoy", "tests", "tools", "benchmarks"})


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement of one file."""

    importer: str
    """Dotted module name, e.g. `buoyfleet.runs.engine`."""
    imported: str
    """Dotted name of one of our modules."""
    line: int
    at_load: bool
    """Executed when the importer is loaded: neither inside a function nor for types only."""


def module_name(file: Path, root: Path) -> str:
    """The name a file is imported by; files of firmware/ and host/ are found from there."""
    relative = file.relative_to(root).with_suffix("")
    parts = relative.parts[1:] if relative.parts[0] in ("firmware", "host") else relative.parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def our_files(root: Path) -> list[Path]:
    """Every Python file of host, sensors and firmware."""
    return sorted(f for name in ("host", "sensors", "firmware") for f in (root / name).rglob("*.py"))


def imports_of(file: Path, root: Path) -> list[Import]:
    """All imports of modules of ours in one file, relative ones resolved."""
    visitor = _Visitor(module_name(file, root), file.name == "__init__.py")
    visitor.visit(ast.parse(file.read_text(), str(file)))
    return [found for found in visitor.found if found.imported.split(".")[0] in OURS]


class _Visitor(ast.NodeVisitor):
    def __init__(self, module: str, is_package: bool) -> None:
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        self.late = 0
        self.found: list[Import] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._later(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._later(node)

    def visit_If(self, node: ast.If) -> None:
        name = node.test.id if isinstance(node.test, ast.Name) else getattr(node.test, "attr", "")
        if name == "TYPE_CHECKING":
            self._later(node)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            above = self.package.split(".")
            above = above[: len(above) - node.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        for alias in node.names:
            self._add(f"{base}.{alias.name}", node.lineno)

    def _later(self, node: ast.AST) -> None:
        self.late += 1
        self.generic_visit(node)
        self.late -= 1

    def _add(self, name: str, line: int) -> None:
        self.found.append(Import(self.module, name, line, self.late == 0))


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """One circle per strongly connected set of modules, as the modules of the set (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def connect(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                connect(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            members = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(members) > 1 or node in edges.get(node, ()):
                found.append(sorted(members))

    for node in sorted(edges):
        if node not in index:
            connect(node)
    return found
