"""Takes long texts for people out of modules that are always in memory: a board reads them to tell them."""

import ast
from collections.abc import Collection
from dataclasses import dataclass, field

from buoyfleet.boards.shrink.program import Program, ShrinkError, identifiers

# What a text object costs a board beside its letters is more than the call that reads it.
SHORTEST = 14


@dataclass(slots=True)
class Texts:
    """What was taken out: lines of UTF-8, each text once."""

    data: bytes = b""
    places: dict[str, int] = field(default_factory=dict)

    def place(self, text: str) -> int:
        """Bytes before the line of a text."""
        if text not in self.places:
            self.places[text] = len(self.data)
            self.data += text.replace("\n", "\\n").encode() + b"\n"
        return self.places[text]


def take_texts_out(program: Program, reader: tuple[str, str], modules: Collection[str]) -> Texts:
    """Put a call in the place of every text of several words in the functions of some modules.

    Args:
        program: all of it.
        reader: (module, function) that reads a text: `text(place)`, `text(place, given)` for `text % given`.
        modules: dotted names of those whose texts are taken out.

    Raises:
        ShrinkError: a module has another use for the function's name.
    """
    texts = Texts()
    module, function = reader
    for name in sorted(modules):
        tree = program.trees[name]
        if name != module and any(text == function for _, _, text in identifiers(tree)):
            raise ShrinkError(f"{name}: {function} is another name there")
        changed = _Functions(texts, function)
        changed.visit(tree)
        if changed.count and name != module:
            tree.body.insert(0, ast.ImportFrom(module, [ast.alias(function)], 0))
    return texts


def _is_for_people(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and len(node.value) >= SHORTEST
        and " " in node.value.strip()
        # Nothing that stands for itself in a file or a protocol.
        and not node.value.lstrip().startswith(("{", "#", "@"))
    )


class _Functions(ast.NodeTransformer):
    """Bodies of functions alone: what stands elsewhere is made at import, in every start."""

    def __init__(self, texts: Texts, function: str) -> None:
        self._texts, self._function = texts, function
        self._inside = False
        self.count = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        before, self._inside = self._inside, True
        node.body = [self.visit(statement) for statement in node.body]
        self._inside = before
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if self._inside and isinstance(node.op, ast.Mod) and _is_for_people(node.left):
            return self._call(node.left, self.visit(node.right))
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return self._call(node) if self._inside and _is_for_people(node) else node

    def _call(self, node: ast.expr, *given: ast.expr) -> ast.Call:
        self.count += 1
        place = ast.Constant(self._texts.place(ast.literal_eval(node)))
        return ast.Call(ast.Name(self._function, ast.Load()), [place, *given], [])
