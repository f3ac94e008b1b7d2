"""Rule SQL as tokens, and a cursor over them that says what it expected and found."""

import re
from dataclasses import dataclass
from typing import NoReturn

from buoyfleet.model.errors import UsageError

MAX_SQL_CHARACTERS = 256 * 1024
"""Of a rule's SQL in IoT Core: 256 KB (AWS IoT Core quotas, rules engine)."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<string>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<name>[^\W\d]\w*)
      | (?P<variable>@\w+)
      | (?P<mark><>|!=|<=|>=|[=<>+\-*/%()\[\]{},.:])""",
    re.VERBOSE,
)
END = "the end"
RESERVED = frozenset({"select", "from", "where", "and", "or", "not", "as", "true", "false", "null"})
"""Words that cannot name an attribute; all others are keywords only where one is expected."""


class RuleError(UsageError):
    """A rule's SQL or substitution template is not what the rules engine runs."""

    def __init__(self, what: str, sql: str) -> None:
        shown = sql.strip() if len(sql) <= 400 else sql.strip()[:400] + "…"
        super().__init__(
            what,
            where=f"rule SQL {shown!r}",
            next_step="correct the statement; `buoy docs twin` lists rule SQL",
        )


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement."""

    kind: str
    text: str
    """As written; of a string what is in the quotes."""
    at: int
    quote: str = ""

    def word(self) -> str:
        """In lower case, if it is a name; else empty."""
        return self.text.lower() if self.kind == "name" else ""


class Cursor:
    """Goes through the tokens of a text.

    Raises:
        RuleError: too long, or a character that rule SQL does not have.
    """

    def __init__(self, sql: str) -> None:
        self._sql = sql
        if len(sql) > MAX_SQL_CHARACTERS:
            raise RuleError(
                f"the statement has {len(sql):,} characters; {MAX_SQL_CHARACTERS:,} are allowed", sql
            )
        self._tokens = self._split()
        self._next = 0

    def _split(self) -> list[Token]:
        tokens: list[Token] = []
        at = 0
        while at < len(self._sql):
            match = _TOKEN.match(self._sql, at)
            if match is None:
                bad = self._sql[at]
                what = f"the string that begins with {bad}" if bad in "'\"" else repr(bad)
                reason = "does not end" if bad in "'\"" else "is not part of rule SQL"
                raise RuleError(f"{what} at character {at + 1} {reason}", self._sql)
            kind = str(match.lastgroup)
            text = match.group()
            if kind == "string":
                quote = text[0]
                tokens.append(Token(kind, text[1:-1].replace(quote * 2, quote), at, quote))
            elif kind != "space":
                tokens.append(Token(kind, text, at))
            at = match.end()
        tokens.append(Token("end", END, at))
        return tokens

    def peek(self, ahead: int = 0) -> Token:
        """The token that comes, or one behind it."""
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def advance(self) -> Token:
        """Take the token that comes."""
        token = self.peek()
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def take(self, mark: str) -> bool:
        """Take this mark if it comes."""
        token = self.peek()
        if token.kind == "mark" and token.text == mark:
            self.advance()
            return True
        return False

    def take_word(self, word: str) -> bool:
        """Take this word if it comes."""
        if self.peek().word() == word:
            self.advance()
            return True
        return False

    def expect(self, mark: str) -> None:
        """Take this mark or fail."""
        if not self.take(mark):
            self.fail(f"expected {mark}")

    def expect_word(self, word: str) -> None:
        """Take this word or fail."""
        if not self.take_word(word):
            self.fail(f"expected {word.upper()}")

    def new_name(self) -> str:
        """Take a name or fail; words that are keywords elsewhere may name something."""
        token = self.advance()
        if token.kind != "name":
            self.fail("expected a name", token)
        return token.text

    def finish(self) -> None:
        """Fail if something is left."""
        if self.peek().kind != "end":
            self.fail("the statement goes on where it should end")

    def fail(self, what: str, token: Token | None = None) -> NoReturn:
        """Refuse the text, at a token or at the one that comes."""
        token = token or self.peek()
        found = END if token.kind == "end" else repr(token.text)
        raise RuleError(f"{what}; found {found} at character {token.at + 1}", self._sql)
