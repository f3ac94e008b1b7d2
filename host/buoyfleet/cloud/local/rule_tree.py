"""The tree of a rule statement: what rule SQL can say.

statement  = [SET variable {, variable}] SELECT items FROM 'topic filter' [WHERE expression]
variable   = @name = expression
items      = VALUE expression | item {, item}
item       = * | name {. name} | expression AS name {. name}
query      = SELECT items FROM expression [AS name] [WHERE expression]
expression = literal | name | @name | function(…) | expression . name | (expression) | (query)
           | [expression, …] | {'key': expression, …} | CAST(expression AS type) | EXISTS(query)
           | CASE expression WHEN expression THEN expression … [ELSE expression] END
           | - NOT | + - * / % | = <> != < <= > >= IN | AND OR
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text, TRUE, FALSE or NULL."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """An attribute of the payload, or of the element of a query."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """What SET gave a name, without the @."""

    name: str


@dataclass(frozen=True, slots=True)
class Everything:
    """`*` as an argument: the whole payload."""


@dataclass(frozen=True, slots=True)
class Member:
    """An attribute of an object."""

    of: "Expression"
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function, its name in lower case."""

    name: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """`CAST(value AS kind)`, the kind in lower case."""

    value: "Expression"
    kind: str


@dataclass(frozen=True, slots=True)
class ArrayLiteral:
    """`[…]`."""

    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class ObjectLiteral:
    """`{'key': …}`."""

    entries: tuple[tuple[str, "Expression"], ...]


@dataclass(frozen=True, slots=True)
class Case:
    """`CASE subject WHEN … THEN … ELSE … END`."""

    subject: "Expression"
    branches: tuple[tuple["Expression", "Expression"], ...]
    otherwise: "Expression | None"


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


@dataclass(frozen=True, slots=True)
class Item:
    """One column of the result."""

    expression: "Expression"
    path: tuple[str, ...]
    """Its attribute in the result: a name, or names of nested objects."""


@dataclass(frozen=True, slots=True)
class Select:
    """What a SELECT gives: the value alone, or an object of the payload's own attributes and the items."""

    value: "Expression | None"
    star: bool
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT from an object, or from each element of an array."""

    select: Select
    source: "Expression"
    alias: str
    """Another name of the element; empty: none."""
    where: "Expression | None"


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether a query finds something."""

    query: Query


Expression = (
    Constant
    | Name
    | Variable
    | Everything
    | Member
    | Call
    | Cast
    | ArrayLiteral
    | ObjectLiteral
    | Case
    | Unary
    | Binary
    | Query
    | Exists
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A whole rule."""

    variables: tuple[tuple[str, Expression], ...]
    """(name without the @, expression), in the order of SET."""
    select: Select
    topic_filter: str
    where: Expression | None
