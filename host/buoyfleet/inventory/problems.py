"""Collecting every mistake of a fleet file, with its line, and never a secret."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from buoyfleet.model.errors import Problem

# Keys whose value is a secret, however they are written or misspelt.
_SECRET_NAME = r"(?:pass|pas+w|pwd|psw|pss|wor[dt]$|secret|token|psk|credential|api.?key|private.?key)"
_SECRET_KEY = re.compile(_SECRET_NAME, re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{(?:env|file):[A-Za-z_][A-Za-z0-9_.-]*\}")
# What may be a secret inside a text: the word after such a key, or an address with a password in it. Bounded,
# so that no text makes the search slow.
_SECRET_TEXT = re.compile(
    rf"(?:{_SECRET_NAME}|wor[dt]\b)[^:=\s]{{0,40}}\s{{0,20}}[:=]\s{{0,20}}(\S{{1,200}})"
    r"|(://[^/\s@:]{0,200}:[^\s@]{0,200}@)",
    re.IGNORECASE,
)
# YAML 1.1's line breaks: what the parser counts as lines.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
HIDDEN = "•••"
_MAX_SOURCE = 160


def is_secret_key(key: str) -> bool:
    """Whether a value under this key, or under one it may be a misspelling of, must not be shown."""
    return _SECRET_KEY.search(key) is not None


def holds_secret(text: str) -> bool:
    """Whether a text has a secret inside: a key and its value, or an address with a password."""
    return any(not is_reference((match[1] or match[2]).strip("'\"")) for match in _SECRET_TEXT.finditer(text))


def is_reference(text: str) -> bool:
    """Whether a text is `${env:NAME}` or `${file:NAME}`, which may be shown."""
    return _REFERENCE.fullmatch(text) is not None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The choice nearest to a word, as a hint; empty if none is near."""
    close = nearest(word, choices)
    return f"did you mean `{close}`?" if close else ""


def nearest(word: str, choices: Iterable[str]) -> str:
    """The choice nearest to a word; empty if none is near."""
    candidates = list(choices)
    plain = word.strip().lower().replace("-", "_").replace(" ", "_")
    for candidate in candidates:
        if candidate.lower().replace("-", "_") == plain:
            return candidate
    close = difflib.get_close_matches(plain, candidates, n=1, cutoff=0.6)
    return close[0] if close else ""


def in_words(items: Sequence[str], last: str = "or") -> str:
    """`a, b or c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


class Reporter:
    """Collects the problems of one file."""

    def __init__(self, file: str, text: str = "", elsewhere: dict[str, str] | None = None) -> None:
        self.file = file
        self.elsewhere = elsewhere or {}
        """Keys that exist somewhere → where, for a key in the wrong place."""
        self.problems: list[Problem] = []
        self._known: set[Problem] = set()
        self._lines = _BREAK.split(text) if text else []
        # line → [(start, end)], 0-based columns of values that must not be shown
        self._hidden: dict[int, list[tuple[int, int | None]]] = {}
        self._any_secret = holds_secret(text)
        self.parsed = False
        """Whether the text is known to be YAML, so that `hide` has been called for every secret."""

    def hide(self, first: tuple[int, int], last: tuple[int, int]) -> None:
        """Never show the text between two places (line from 0, column from 0; the last is excluded)."""
        for line in range(first[0], last[0] + 1):
            start = first[1] if line == first[0] else 0
            end = last[1] if line == last[0] else None
            self._hidden.setdefault(line, []).append((start, end))

    def hide_rest(self, line: int, column: int) -> None:
        """Never show the rest of a line (both from 1)."""
        self._hidden.setdefault(line - 1, []).append((column - 1, None))

    def add(self, line: int, path: str, message: str, hint: str = "", *, column: int = 0) -> None:
        """Note a mistake at a line (from 1; 0: no line is known)."""
        problem = Problem(self.file, line, path, message, hint, column=column)
        if problem not in self._known:
            self._known.add(problem)
            self.problems.append(problem)

    def source_line(self, line: int) -> str:
        """The text of a line without secrets; empty where there is none."""
        if not 0 < line <= len(self._lines):
            return ""
        text = self._lines[line - 1]
        if not self.parsed:
            # Nobody knows yet where values begin and end.
            return "" if self._any_secret else _on_one_line(text)
        for start, end in sorted(self._hidden.get(line - 1, ()), key=lambda span: span[0], reverse=True):
            text = text[:start] + HIDDEN + (text[end:] if end is not None else "")
        return _on_one_line(text)

    def line_text(self, line: int) -> str:
        """The text of a line as it is, to judge it; never to be shown."""
        return self._lines[line - 1] if 0 < line <= len(self._lines) else ""

    @property
    def line_count(self) -> int:
        """Lines of the file."""
        return len(self._lines)

    def finished(self) -> list[Problem]:
        """All problems in the order of the file, with their source lines."""
        # Only now, when all has been read, is it known what must not be shown.
        return [
            replace(problem, source_line=self.source_line(problem.line))
            for problem in sorted(self.problems, key=lambda problem: (problem.line, problem.column))
        ]


def _on_one_line(text: str) -> str:
    """A line as it can be printed: no control characters, not without end."""
    text = text if len(text) <= _MAX_SOURCE else text[:_MAX_SOURCE] + "…"
    return "".join(char if char.isprintable() else " " if char == "\t" else "�" for char in text)
