"""The tree of a rule statement: what rule SQL can say, and how it is written.

statement  = SELECT item {, item} FROM 'topic filter' [WHERE expression]
item       = * | column | expression AS name
expression = column | literal | function | (expression) | - + * / % | = <> != < <= > >= | AND OR NOT
column     = name {. name}          function = topic() topic(n) timestamp() newuuid()
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

KEYWORDS = frozenset({"SELECT", "AS", "FROM", "WHERE", "AND", "OR", "NOT", "TRUE", "FALSE", "NULL"})


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; `text` is how it was written."""

    value: Any
    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """An attribute of the payload, by its path."""

    path: tuple[str, ...]
    quoted: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function; `index` is the argument of `topic(n)`, from 1."""

    name: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """An expression in parentheses."""

    inner: "Expression"


@dataclass(frozen=True, slots=True)
class Unary:
    """`-` or `NOT`."""

    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator of two sides."""

    operator: str
    left: "Expression"
    right: "Expression"


Expression = Constant | Column | Call | Group | Unary | Binary


@dataclass(frozen=True, slots=True)
class Item:
    """One column of the result."""

    expression: Expression
    name: str
    """Its attribute in the result."""
    alias: bool
    """Whether the name was given with AS."""
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """A whole rule: `star` puts the payload's own attributes into the result, before the items."""

    star: bool
    items: tuple[Item, ...]
    topic_filter: str
    where: Expression | None
    star_at: int
    """Where among the items the star was written."""


Token = tuple[str, str]


def statement_tokens(statement: Statement) -> Iterator[Token]:
    """The statement as tokens, in the one way of writing that says exactly what was understood."""
    yield "word", "SELECT"
    columns: list[Item | None] = list(statement.items)
    if statement.star:
        columns.insert(statement.star_at, None)
    for position, item in enumerate(columns):
        if position:
            yield "word", ","
        if item is None:
            yield "word", "*"
            continue
        yield from _tokens(item.expression)
        if item.alias:
            yield "word", "AS"
            yield _name(item.name, item.quoted)
    yield "word", "FROM"
    yield "string", statement.topic_filter
    if statement.where is not None:
        yield "word", "WHERE"
        yield from _tokens(statement.where)


def _name(text: str, quoted: bool) -> Token:
    # An unquoted name that reads like a keyword counts as one on both sides of the comparison.
    return ("name", text) if quoted else ("word", text.upper() if text.upper() in KEYWORDS else text)


def _tokens(node: Expression) -> Iterator[Token]:
    if isinstance(node, Constant):
        if isinstance(node.value, str):
            yield "string", node.text
        else:
            yield "number" if type(node.value) in (int, float) else "word", node.text
    elif isinstance(node, Column):
        for position, (part, quoted) in enumerate(zip(node.path, node.quoted, strict=True)):
            if position:
                yield "word", "."
            yield _name(part, quoted)
    elif isinstance(node, Call):
        yield "word", node.name
        yield "word", "("
        if node.index is not None:
            yield "number", str(node.index)
        yield "word", ")"
    elif isinstance(node, Group):
        yield "word", "("
        yield from _tokens(node.inner)
        yield "word", ")"
    elif isinstance(node, Unary):
        yield "word", node.operator
        yield from _tokens(node.operand)
    else:
        yield from _tokens(node.left)
        yield "word", node.operator
        yield from _tokens(node.right)
