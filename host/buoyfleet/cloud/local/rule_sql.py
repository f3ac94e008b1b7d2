"""Rule SQL as AWS IoT Core writes it, parsed into the tree of `rule_tree`.

A parser of its own, because the language is not SQL: `"…"` is a string, words like VALUE and END are names
where a name may stand, and JSON literals, `decode(…).member` and queries on arrays have no counterpart. What
is not in the AWS IoT SQL reference is refused with the place at which it stands.
"""

from buoyfleet.cloud.local.rule_functions import (
    CAST_KINDS,
    CAST_KINDS_2016,
    FUNCTIONS,
    NEEDS_ACCOUNT,
    SINCE_2016,
)
from buoyfleet.cloud.local.rule_tokens import RESERVED, Cursor, Token
from buoyfleet.cloud.local.rule_tree import (
    ArrayLiteral,
    Binary,
    Call,
    Case,
    Cast,
    Constant,
    Everything,
    Exists,
    Expression,
    Item,
    Member,
    Name,
    ObjectLiteral,
    Query,
    Select,
    Statement,
    Unary,
    Variable,
)
from buoyfleet.model.twin import SqlVersion
from buoyfleet.mqtt.topics import TopicError, check_filter

VERSIONS: tuple[SqlVersion, ...] = ("2015-10-08", "2016-03-23")
MAX_DEPTH = 60
"""Levels of nesting; far above what a rule needs, far below what Python's stack takes."""
MAX_OPERATORS = 400
"""Of a statement, for the same reason."""
MAX_VARIABLE_CHARACTERS = 64
"""AWS IoT SQL reference, SET clause."""

_COMPARISONS = frozenset({"=", "<>", "!=", "<", "<=", ">", ">="})


def parse_statement(sql: str, version: SqlVersion = "2016-03-23") -> Statement:
    """Parse one rule statement.

    Raises:
        RuleError: not a statement of this version of rule SQL; says where and what was expected.
    """
    return _Parser(sql, version).statement()


def parse_expression(text: str, version: SqlVersion = "2016-03-23") -> Expression:
    """Parse the expression of a substitution template (what stands between `${` and `}`).

    Raises:
        RuleError: as `parse_statement`.
    """
    return _Parser(text, version).alone()


class _Parser(Cursor):
    """Recursive descent; `_deeper` bounds the recursion."""

    def __init__(self, sql: str, version: SqlVersion) -> None:
        super().__init__(sql)
        self._modern = version == "2016-03-23"
        self._depth = 0
        self._operators = 0
        self._variables: dict[str, Expression] = {}

    # Whole texts

    def statement(self) -> Statement:
        if self.peek().word() not in ("select", "set"):
            self.fail("a rule begins with SELECT or SET")
        if self.take_word("set"):
            self._set()
        self.expect_word("select")
        select = self._select()
        if not self.take_word("from"):
            self.fail("expected FROM 'topic filter'")
        topic_filter = self._filter()
        where = self._expression() if self.take_word("where") else None
        self.finish()
        return Statement(tuple(self._variables.items()), select, topic_filter, where)

    def alone(self) -> Expression:
        expression = self._expression()
        self.finish()
        return expression

    # Clauses

    def _set(self) -> None:
        while True:
            token = self.advance()
            name = token.text[1:]
            if token.kind != "variable":
                self.fail("expected @name after SET", token)
            if len(name) > MAX_VARIABLE_CHARACTERS:
                self.fail(f"a variable has at most {MAX_VARIABLE_CHARACTERS} characters", token)
            if name in self._variables:
                self.fail(f"@{name} is set twice", token)
            self.expect("=")
            self._variables[name] = self._expression()
            if not self.take(","):
                return

    def _select(self) -> Select:
        if self._is_value_keyword():
            self.advance()
            return Select(self._everything() or self._expression(), False, ())
        star = False
        items: list[Item] = []
        while True:
            token = self.peek()
            if self._everything() is not None:
                if star:
                    self.fail("* stands twice", token)
                star = True
            else:
                items.append(self._item())
                if items[-1].path in [item.path for item in items[:-1]]:
                    self.fail(f"two columns are named {'.'.join(items[-1].path)!r}", token)
            if not self.take(","):
                return Select(None, star, tuple(items))

    def _is_value_keyword(self) -> bool:
        """VALUE is the keyword where an expression follows, and a name where it goes on or ends."""
        if self.peek().word() != "value":
            return False
        after = self.peek(1)
        if after.text == "*":
            return self.peek(2).word() == "from"
        if after.kind == "name":
            return after.word() not in ("from", "as", "and", "or", "in")
        return after.kind in ("string", "number", "variable") or after.text in ("(", "[", "{")

    def _item(self) -> Item:
        token = self.peek()
        expression = self._expression()
        if self.take_word("as"):
            path = [self.new_name()]
            while self.take("."):
                path.append(self.new_name())
            return Item(expression, tuple(path))
        if not isinstance(expression, Member | Name):
            self.fail("this column needs a name: write … AS name", token)
        return Item(expression, (expression.name,))

    def _filter(self) -> str:
        token = self.advance()
        if token.kind != "string" or token.quote != "'":
            self.fail("FROM takes a topic filter in single quotes", token)
        try:
            check_filter(token.text.encode())
        except (TopicError, UnicodeEncodeError) as error:
            self.fail(f"FROM {token.text!r} is no topic filter: {error}", token)
        return token.text

    def _query(self) -> Query:
        """What follows SELECT inside an expression."""
        self._needs_2016("a query inside a statement")
        select = self._select()
        self.expect_word("from")
        source = self._postfix()
        alias = self.new_name() if self.take_word("as") else ""
        where = self._expression() if self.take_word("where") else None
        return Query(select, source, alias, where)

    # Expressions, from the weakest operator to the strongest

    def _expression(self) -> Expression:
        self._deeper()
        left = self._conjunction()
        while self.take_word("or"):
            left = self._binary("OR", left, self._conjunction())
        self._depth -= 1
        return left

    def _conjunction(self) -> Expression:
        left = self._negation()
        while self.take_word("and"):
            left = self._binary("AND", left, self._negation())
        return left

    def _negation(self) -> Expression:
        if self.take_word("not"):
            self._deeper()
            operand = self._negation()
            self._depth -= 1
            return Unary("NOT", operand)
        return self._comparison()

    def _comparison(self) -> Expression:
        left = self._sum()
        while True:
            token = self.peek()
            if token.kind == "mark" and token.text in _COMPARISONS:
                self.advance()
                left = self._binary("<>" if token.text == "!=" else token.text, left, self._sum())
            elif token.word() == "in":
                self.advance()
                left = self._binary("IN", left, self._sum())
            else:
                return left

    def _sum(self) -> Expression:
        left = self._product()
        while self.peek().text in ("+", "-") and self.peek().kind == "mark":
            left = self._binary(self.advance().text, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._signed()
        while self.peek().text in ("*", "/", "%") and self.peek().kind == "mark":
            left = self._binary(self.advance().text, left, self._signed())
        return left

    def _signed(self) -> Expression:
        if self.take("-"):
            self._deeper()
            operand = self._signed()
            self._depth -= 1
            if isinstance(operand, Constant) and type(operand.value) in (int, float):
                return Constant(-operand.value)
            return Unary("-", operand)
        return self._postfix()

    def _postfix(self) -> Expression:
        expression = self._primary()
        while self.take("."):
            self._operator()
            expression = Member(expression, self.new_name())
        return expression

    def _primary(self) -> Expression:
        token = self.advance()
        if token.kind == "number":
            return Constant(int(token.text) if token.text.isdecimal() else float(token.text))
        if token.kind == "string":
            return Constant(token.text)
        if token.kind == "variable":
            return Variable(token.text[1:])
        if token.kind == "name":
            return self._word(token)
        if token.text == "(":
            inner = self._query() if self.take_word("select") else self._expression()
            self.expect(")")
            return inner
        if token.text == "[":
            return self._array()
        if token.text != "{":
            self.fail("expected an expression", token)
        return self._object()

    def _word(self, token: Token) -> Expression:
        word = token.word()
        if word in ("true", "false", "null"):
            return Constant({"true": True, "false": False, "null": None}[word])
        opens = self.peek().text == "(" and self.peek().kind == "mark"
        if word == "case" and not self._ends_an_operand(self.peek()):
            return self._case()
        if word in RESERVED:
            self.fail("expected an expression", token)
        if not opens:
            return Name(token.text)
        self.advance()
        if word == "cast":
            return self._cast()
        if word == "exists":
            self.expect_word("select")
            query = self._query()
            self.expect(")")
            return Exists(query)
        return self._call(word, token)

    @staticmethod
    def _ends_an_operand(token: Token) -> bool:
        """Whether an attribute that is named `case` could stand before this token."""
        if token.kind == "mark":
            return token.text not in ("(", "[", "{")
        return token.kind == "end" or token.word() in (
            "from",
            "as",
            "and",
            "or",
            "in",
            "where",
            "then",
            "end",
        )

    def _call(self, name: str, token: Token) -> Expression:
        arguments: list[Expression] = []
        if not self.take(")"):
            while True:
                arguments.append(self._everything() or self._expression())
                if not self.take(","):
                    break
            self.expect(")")
        if name in NEEDS_ACCOUNT:
            self.fail(f"function {name}() is not supported here: {NEEDS_ACCOUNT[name]}", token)
        if name not in FUNCTIONS:
            self.fail(f"function {token.text}() is not supported", token)
        if name in SINCE_2016:
            self._needs_2016(f"{name}()", token)
        return Call(name, tuple(arguments))

    def _everything(self) -> Everything | None:
        """`*` where it stands for the payload and does not multiply."""
        token = self.peek()
        if token.kind == "mark" and token.text == "*":
            after = self.peek(1)
            if after.text in (",", ")") or after.word() in ("from", "as"):
                self.advance()
                return Everything()
        return None

    def _cast(self) -> Expression:
        value = self._expression()
        self.expect_word("as")
        token = self.advance()
        kind = token.word()
        if kind not in CAST_KINDS:
            self.fail(f"cast() knows {', '.join(sorted(CAST_KINDS))}", token)
        if kind in CAST_KINDS_2016:
            self._needs_2016(f"cast(… as {token.text})", token)
        self.expect(")")
        return Cast(value, kind)

    def _case(self) -> Expression:
        if self.peek().word() == "when":
            self.fail("CASE takes a value before WHEN")
        subject = self._expression()
        branches: list[tuple[Expression, Expression]] = []
        while self.take_word("when"):
            wanted = self._expression()
            self.expect_word("then")
            branches.append((wanted, self._expression()))
        if not branches:
            self.fail("CASE needs at least one WHEN")
        otherwise = self._expression() if self.take_word("else") else None
        self.expect_word("end")
        return Case(subject, tuple(branches), otherwise)

    def _array(self) -> Expression:
        self._needs_2016("an array literal")
        items: list[Expression] = []
        if not self.take("]"):
            while True:
                items.append(self._expression())
                if not self.take(","):
                    break
            self.expect("]")
        return ArrayLiteral(tuple(items))

    def _object(self) -> Expression:
        self._needs_2016("an object literal")
        entries: list[tuple[str, Expression]] = []
        if not self.take("}"):
            while True:
                key = self.advance()
                if key.kind != "string":
                    self.fail("a key of an object stands in quotes", key)
                self.expect(":")
                entries.append((key.text, self._expression()))
                if not self.take(","):
                    break
            self.expect("}")
        return ObjectLiteral(tuple(entries))

    # Bounds

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} levels deep")

    def _operator(self) -> None:
        """A chain of operators becomes a tree that is as deep as the chain is long."""
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            self.fail(f"more than {MAX_OPERATORS} operators")

    def _binary(self, operator: str, left: Expression, right: Expression) -> Expression:
        self._operator()
        return Binary(operator, left, right)

    def _needs_2016(self, what: str, token: Token | None = None) -> None:
        if not self._modern:
            self.fail(f"{what} needs SQL version 2016-03-23", token)
