"""Rule SQL as AWS IoT Core writes it, parsed into a small tree of its own.

sqlglot parses, but it accepts far more than a rule may hold: `SELECT VALUE do` becomes an alias, unknown
functions pass, `==` is taken for `=`. So its tree is walked against an allow-list, and what was understood is
written out again and compared with the statement, token by token. A statement that says more than was
understood is refused.
"""

from collections.abc import Iterator
from typing import Any

from host.cloud.local.rule_tree import (
    KEYWORDS,
    Binary,
    Call,
    Column,
    Constant,
    Expression,
    Group,
    Item,
    Statement,
    Token,
    Unary,
    statement_tokens,
)
from host.model.errors import UsageError
from host.model.twin import SqlVersion
from host.mqtt.topics import TopicError, check_filter

VERSIONS: tuple[SqlVersion, ...] = ("2015-10-08", "2016-03-23")

FUNCTIONS: dict[str, tuple[int, ...]] = {"topic": (0, 1), "timestamp": (0,), "newuuid": (0,)}
"""Allowed functions and the numbers of arguments they take."""

MAX_SQL_CHARACTERS = 8192
"""A bound on the statement, so that nothing absurd is parsed; far above what a rule of the system needs."""

_ALLOWED = (
    "*, columns (a.b), topic(), topic(n), timestamp(), newuuid(), literals, + - * / %, "
    "= <> < <= > >=, AND, OR, NOT, names given with AS"
)
_BINARY = {
    "Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "Mod": "%", "EQ": "=", "NEQ": "<>",
    "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">=", "And": "AND", "Or": "OR",
}  # fmt: skip


class RuleError(UsageError):
    """A rule's SQL or substitution template is not what the rules engine runs."""

    def __init__(self, what: str, sql: str) -> None:
        super().__init__(what, where=f"rule SQL {sql.strip()!r}", next_step=f"use only: {_ALLOWED}")


def parse_statement(sql: str) -> Statement:
    """Parse one rule statement.

    Raises:
        RuleError: not parsable, or holding anything outside the allow-list.
    """
    tree = _tree(sql)
    select = _Walker(sql).statement(tree)
    _compare(sql, statement_tokens(select))
    return select


def parse_expression(text: str) -> Expression:
    """Parse the expression of a substitution template (what stands between `${` and `}`).

    Raises:
        RuleError: as `parse_statement`.
    """
    statement = parse_statement(f"SELECT {text} AS x FROM 'x'")
    if statement.star or len(statement.items) != 1:
        raise RuleError("a substitution template holds exactly one expression", text)
    return statement.items[0].expression


def _tree(sql: str) -> Any:
    # sqlglot costs 0.1 s to import: only here.
    import sqlglot
    from sqlglot.errors import SqlglotError

    if len(sql) > MAX_SQL_CHARACTERS:
        raise RuleError(
            f"the statement has {len(sql)} characters; {MAX_SQL_CHARACTERS} are allowed", sql[:80]
        )
    if sql.split(None, 1)[:1] and sql.split(None, 1)[0].upper() != "SELECT":
        raise RuleError("a rule begins with SELECT", sql)
    try:
        trees = sqlglot.parse(sql, read="duckdb")
    except (SqlglotError, RecursionError, ValueError) as error:
        raise RuleError(f"not a rule statement: {str(error).splitlines()[0]}", sql) from None
    if len(trees) != 1 or trees[0] is None:
        raise RuleError(f"expected one statement, found {sum(tree is not None for tree in trees)}", sql)
    return trees[0]


class _Walker:
    """Turns sqlglot's tree into ours; everything that is not expected is refused."""

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def _refuse(self, what: str) -> RuleError:
        return RuleError(what, self._sql)

    def _parts(self, node: Any, allowed: tuple[str, ...]) -> None:
        for key, value in node.args.items():
            # sqlglot keeps empty lists, False and None for parts that were not written
            if key not in allowed and value:
                raise self._refuse(f"{_part_name(key)} is not supported")

    def statement(self, node: Any) -> Statement:
        if type(node).__name__ != "Select":
            raise self._refuse(f"a rule is a SELECT, not {_kind(node)}")
        self._parts(node, ("expressions", "from_", "where"))
        topic_filter = self._source(node.args.get("from_"))
        items: list[Item] = []
        star_at = -1
        for position, column in enumerate(node.expressions):
            if type(column).__name__ == "Star":
                self._parts(column, ())
                if star_at >= 0:
                    raise self._refuse("* stands twice")
                star_at = position
            else:
                items.append(self._item(column))
        names = [item.name for item in items]
        for name in names:
            if names.count(name) > 1:
                raise self._refuse(f"two columns are named {name!r}")
        where = node.args.get("where")
        condition = self.expression(where.this) if where is not None else None
        return Statement(star_at >= 0, tuple(items), topic_filter, condition, star_at)

    def _source(self, node: Any) -> str:
        if node is None:
            raise self._refuse("FROM 'topic filter' is missing")
        self._parts(node, ("this",))
        table = node.this
        if type(table).__name__ != "Table":
            raise self._refuse(f"FROM takes a topic filter in quotes, not {_kind(table)}")
        self._parts(table, ("this",))
        name = table.this
        # The token comparison tells 'x' from "x"; here only what was in quotes at all passes.
        if type(name).__name__ != "Identifier" or not name.args.get("quoted"):
            raise self._refuse(
                f"FROM takes a topic filter in single quotes, not {table.sql(dialect='duckdb')}"
            )
        try:
            check_filter(name.name.encode())
        except (TopicError, UnicodeEncodeError) as error:
            raise self._refuse(f"FROM {name.name!r} is no topic filter: {error}") from None
        return str(name.name)

    def _item(self, node: Any) -> Item:
        kind = type(node).__name__
        if kind == "Alias":
            alias = node.args["alias"]
            return Item(self.expression(node.this), alias.name, True, bool(alias.args.get("quoted")))
        expression = self.expression(node)
        if not isinstance(expression, Column):
            raise self._refuse(f"{node.sql(dialect='duckdb')} needs a name: write … AS name")
        return Item(expression, expression.path[-1], False)

    def expression(self, node: Any) -> Expression:
        kind = type(node).__name__
        if kind in _BINARY:
            return Binary(_BINARY[kind], self.expression(node.this), self.expression(node.expression))
        handler = getattr(self, f"_{kind.lower()}", None) if kind in _HANDLED else None
        if handler is None:
            raise self._refuse(f"{_kind(node)} is not supported: {node.sql(dialect='duckdb')}")
        result: Expression = handler(node)
        return result

    def _neg(self, node: Any) -> Expression:
        return Unary("-", self.expression(node.this))

    def _not(self, node: Any) -> Expression:
        return Unary("NOT", self.expression(node.this))

    def _paren(self, node: Any) -> Expression:
        return Group(self.expression(node.this))

    def _literal(self, node: Any) -> Expression:
        if node.is_string:
            return Constant(node.this, node.this)
        text = str(node.this)
        try:
            return Constant(int(text), text) if text.isdecimal() else Constant(float(text), text)
        except ValueError:
            raise self._refuse(f"{text!r} is no number of rule SQL") from None

    def _boolean(self, node: Any) -> Expression:
        return Constant(bool(node.this), "TRUE" if node.this else "FALSE")

    def _null(self, _node: Any) -> Expression:
        return Constant(None, "NULL")

    def _column(self, node: Any) -> Expression:
        parts = node.parts
        if any(type(part).__name__ != "Identifier" for part in parts):
            raise self._refuse(f"{node.sql(dialect='duckdb')} is not supported; * stands alone")
        return Column(
            tuple(part.name for part in parts), tuple(bool(part.args.get("quoted")) for part in parts)
        )

    def _dot(self, node: Any) -> Expression:
        head = self.expression(node.this)
        tail = node.expression
        if not isinstance(head, Column) or type(tail).__name__ != "Identifier":
            raise self._refuse(f"{node.sql(dialect='duckdb')} is no path of names")
        return Column((*head.path, tail.name), (*head.quoted, bool(tail.args.get("quoted"))))

    def _anonymous(self, node: Any) -> Expression:
        return self._call(str(node.this), node.expressions)

    def _timestamp(self, node: Any) -> Expression:
        return self._call("timestamp", [value for value in node.args.values() if value])

    def _call(self, name: str, arguments: list[Any]) -> Expression:
        if name not in FUNCTIONS:
            raise self._refuse(f"function {name}() is not supported; allowed are {', '.join(FUNCTIONS)}")
        if len(arguments) not in FUNCTIONS[name]:
            counts = " or ".join(str(count) for count in FUNCTIONS[name])
            raise self._refuse(f"{name}() takes {counts} arguments, not {len(arguments)}")
        if not arguments:
            return Call(name)
        index = self.expression(arguments[0])
        if not isinstance(index, Constant) or type(index.value) is not int or index.value < 1:
            raise self._refuse(f"{name}(n) takes the number of a topic level, from 1")
        return Call(name, index.value)


_HANDLED = frozenset(
    {"Neg", "Not", "Paren", "Literal", "Boolean", "Null", "Column", "Dot", "Anonymous", "Timestamp"}
)


def _kind(node: Any) -> str:
    return type(node).__name__.upper()


def _part_name(key: str) -> str:
    known = {"joins": "a join", "group": "GROUP BY", "order": "ORDER BY", "alias": "a name for FROM"}
    return known.get(key, key.rstrip("_").upper())


def _written_tokens(sql: str) -> Iterator[Token]:
    from sqlglot.dialects.duckdb import DuckDB

    for token in DuckDB().tokenize(sql):
        kind = token.token_type.name
        if token.comments:
            raise RuleError("comments are not supported", sql)
        if kind == "STRING":
            yield "string", token.text
        elif kind == "IDENTIFIER":
            yield "name", token.text
        elif kind == "NUMBER":
            yield "number", token.text
        elif token.text == "!=":
            yield "word", "<>"
        else:
            yield "word", token.text.upper() if token.text.upper() in KEYWORDS else token.text


def _compare(sql: str, understood: Iterator[Token]) -> None:
    written, meant = list(_written_tokens(sql)), list(understood)
    if written == meant:
        return
    at = next(
        (index for index, (a, b) in enumerate(zip(written, meant, strict=False)) if a != b),
        min(len(written), len(meant)),
    )
    found = written[at][1] if at < len(written) else "the end"
    raise RuleError(f"cannot be read as a rule from {found!r} on (word {at + 1})", sql)
