"""A function that is called in one place is put there, and the program does what it did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.boards.shrink import Plan, shrink
from host.boards.tracebacks import BEGIN, Tracebacks, write_symbols

HEAD = """
class Link:
    def __init__(self):
        self.told = []
        self.count = 3

    def note(self, text):
        self.told.append(text)
        return len(self.told)

"""
TAIL = """

def run(given):
    link = Link()
    return link.work(given), link.told, link.count
"""
# Name of what is gone → methods of Link.
GONE = {
    "_tail": """
    def work(self, given):
        if given:
            return self._tail(given + 1)
        return -1

    def _tail(self, number):
        if number > 2:
            return self.note("many")
        number += 1
        self.note("few")
""",
    "_statement": """
    def work(self, given):
        number = 7
        self._statement(self.note("first"), given)
        return number

    def _statement(self, place, given=2):
        number = place * 2
        if number > given:
            self.note(number)
            return
        self.note((number, given))
""",
    "_value": """
    def work(self, given):
        wait = 5
        wait = min(wait, self._value(given) - 1)
        return wait

    def _value(self, wait):
        if wait == 1:
            return self.note("one")
        elif wait == 2:
            wait = 20
        else:
            return 3
        return wait
""",
    "_condition": """
    def work(self, given):
        if given == 1:
            return 1
        elif self._condition(given):
            return 2
        return 3

    def _condition(self, given):
        total = 0
        for number in range(given):
            total += number
        return total > 2
""",
    "_steps": """
    def work(self, given):
        return list(self.parts(given))

    def parts(self, given):
        self.note("parts")
        yield 0
        last = yield from self._steps(given)
        yield last
        self.note("parts")

    def _steps(self, given):
        for number in range(given):
            yield number
        return -1
""",
    "_short": """
    def work(self, given):
        numbers = [number for number in range(given) if self._short() > number]
        while self._short():
            self.count -= 1
        return numbers

    def _short(self):
        return self.count
""",
}
# Name of what stays → methods of Link.
STAYS = {
    "_after": """
    def work(self, given):
        return self.count + self._after(given)

    def _after(self, given):
        self.count = given
        return 1
""",
    "_loop": """
    def work(self, given):
        found = self._loop(given)
        return found

    def _loop(self, given):
        for number in range(given):
            if number == 1:
                return self.note("one")
        return None
""",
    "_handed": """
    def work(self, given):
        return list(map(self._handed, range(given)))

    def _handed(self, number):
        self.note(number)
        return number
""",
    "_again": """
    def work(self, given):
        return 0 if given == 0 else self.note("x") + given

    def _again(self, given):
        if given:
            self._again(given - 1)
""",
    "_maybe": """
    def work(self, given):
        return given > 1 and self._maybe(given)

    def _maybe(self, given):
        self.note(given)
        return given
""",
    "_global": """
    def work(self, given):
        Link = 5
        self._global(given)
        return Link

    def _global(self, given):
        self.other = Link()
        self.note(given)
""",
}


def results(text: str, given: int) -> object:
    scope: dict[str, object] = {}
    exec(text, scope)
    return scope["run"](given)  # type: ignore[operator]


@pytest.mark.parametrize("name", GONE)
@given(number=st.integers(0, 5))
def test_what_is_called_once_stands_where_it_is_called(name, number):
    program = HEAD + GONE[name] + TAIL
    small = shrink({"a.py": program}, Plan((), ("run", *GONE, "note"))).sources["a.py"]
    assert name in small  # kept, since somebody else asks for it
    small = shrink({"a.py": program}, Plan((), ("run", "work", "note", "parts"))).sources["a.py"]
    assert small.count("def ") == program.count("def ") - 1
    assert results(small, number) == results(program, number)


@pytest.mark.parametrize("name", STAYS)
def test_what_cannot_be_followed_stays(name):
    program = HEAD + STAYS[name] + TAIL
    small = shrink({"a.py": program}, Plan((), ("run", "work", "note"))).sources["a.py"]
    assert small.count("def ") == program.count("def ")
    for number in range(4):
        assert results(small, number) == results(program, number)


def test_a_traceback_names_the_function_that_has_no_frame_of_its_own(tmp_path):
    program = HEAD + GONE["_tail"] + TAIL
    lines = program.splitlines()
    small = shrink({"a.py": program}, Plan((), ("run", "work", "note")))
    write_symbols(tmp_path, "1.0.0+x", small.symbols)
    reader = Tracebacks(tmp_path, "1.0.0+x")
    for line in (BEGIN, *(f'  File "a", line 1, in {name}' for name in ("run", "work", "note"))):
        assert reader.feed(line) == []
    shown = reader.feed("AttributeError: x")[1:-2]
    assert [text.rpartition(" in ")[2] for text in shown] == ["run", "Link.work", "Link._tail", "Link.note"]
    called = lines.index("            return self._tail(given + 1)") + 1
    assert f"line {called}," in shown[1]
    noted = [number for number, text in enumerate(lines, 1) if "self.note(" in text]
    assert f"line {noted[0]} or {noted[1]}," in shown[2]
