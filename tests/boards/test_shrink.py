"""The firmware made small does what it did, and names that others know stay."""

import ast
import re
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buoyfleet.boards import firmware_files
from buoyfleet.boards.shrink import Bundle, Plan, shrink
from buoyfleet.boards.shrink.outside import OUTSIDE
from buoyfleet.boards.shrink.program import ShrinkError
from buoyfleet.boards.shrink.strip import strip_source
from buoyfleet.model.places import FILES, KEPT

OF_THE_SIMULATION = {"FAMILIES", "FRESH_US", "PINS", "TYPE_CHECKING", "WIRED"}
UMQTT = KEPT / "umqtt" / "umqtt"

# Modules of a small program: everything that the firmware does with names, in few lines.
PROGRAM = {
    "app/__init__.py": '"""A package."""\n',
    "app/marks.py": """
FIRST, SECOND = 1, 2
BOTH = FIRST | SECOND
NEGATIVE = -3
SHARE = 1 / 4
NAME = "kept short"
UNUSED = ("nobody", "asks")
_PRIVATE = 5


def marked(flags):
    return flags & BOTH == BOTH and _PRIVATE
""",
    "app/base.py": """
from app import marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def helper(value):
    return value * marks.SECOND


class Base:
    __slots__ = ("_own", "shown")
    key = "base"

    def __init__(self, own: "Any", *rest, factor=1) -> None:
        self._own: "int" = own
        self.shown = helper(own) * factor + len(rest)

    def _hook(self, text):
        return text

    def told(self, text):
        return self._hook(text) + " by %s" % self.key

    def never_asked(self):
        return 1
""",
    "app/part.py": """
from app import marks
from app.base import Base, helper as double


def _local(value):
    return double(value) + marks.NEGATIVE


class Part(Base):
    key = "part"

    def __init__(self, own, scale=2):
        super().__init__(own, 1, 2, factor=scale)
        self._mine = _local(own)

    def _hook(self, text):
        inner = lambda text, extra=marks.FIRST: text * extra
        return inner(text) + str(self._mine)

    def all_of(self, values):
        def each(value):
            return value + self._own

        return [each(value) for value in values if marks.marked(value) is not None]


def helper_2():
    return "not that one"
""",
    "app/main.py": """
import machine
from app.marks import NAME, SHARE


def _refused(reason):
    raise ValueError("the value %r is refused by us" % (reason,))


def run(told):
    from app import part

    made = part.Part(4, scale=3)
    told(made.shown)
    told(made.told("text"))
    told(made.all_of([1, 2, 3]))
    told(getattr(made, "shown"))
    told(machine.UART(7).any())
    told("%s %s" % (NAME, SHARE))
    try:
        _refused(made.key)
    except ValueError as error:
        told(str(error))
    told("a long text for people is told")
""",
    "app/late.py": '''
def read(place, given=None):
    """Stands for a file on flash."""
    import texts

    line = texts.DATA[place:].split(b"\\n")[0].decode()
    return line if given is None else line % given
''',
}
JOINED = Bundle("app.base", ("app.marks", "app.base", "app.part"))
PLAN = Plan((JOINED,), ("run",), ("app.late", "read"), ("app.main", "app.base"))


class Machine:
    """A module of somebody else."""

    class UART:
        def __init__(self, number):
            self.number = number

        def any(self):
            return self.number


def run(sources: dict[str, str], texts: bytes = b"") -> list[object]:
    """What the program tells."""
    program = {"machine": Machine, "texts": types.SimpleNamespace(DATA=texts)}
    before = dict(sys.modules)
    sys.modules.update(program)
    try:
        for path, text in sources.items():
            name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            module = types.ModuleType(name)
            module.__dict__["__path__"] = []
            sys.modules[name] = module
            program[name] = (module, compile(text, path, "exec"))
        loader = Loader({name: pair for name, pair in program.items() if isinstance(pair, tuple)})
        told: list[object] = []
        loader.load("app.main").run(told.append)
        return told
    finally:
        sys.modules.clear()
        sys.modules.update(before)


class Loader:
    """Runs modules in the order in which they import each other."""

    def __init__(self, modules):
        self._modules, self._done = modules, set()
        self._import = __import__

    def load(self, name):
        module, code = self._modules[name]
        if name not in self._done:
            self._done.add(name)
            scope = dict(vars(__import__("builtins")))
            scope["__import__"] = self._find
            module.__dict__["__builtins__"] = scope
            exec(code, module.__dict__)
        return module

    def _find(self, name, scope=None, local=None, wanted=(), level=0):
        for full in (name, *(f"{name}.{each}" for each in wanted or ())):
            if full in self._modules:
                loaded = self.load(full)
                if full != name:
                    setattr(sys.modules[name], full.rsplit(".", 1)[1], loaded)
        return sys.modules[name] if name in self._modules else self._import(name, scope, local, wanted, level)


@pytest.fixture(scope="module")
def small():
    return shrink(PROGRAM, PLAN)


def test_a_program_does_the_same_when_it_is_small(small):
    told = run(PROGRAM)
    assert told[0] == 26
    assert run(small.sources, small.texts) == told


def test_modules_of_a_bundle_become_one(small):
    assert set(small.sources) == {"app/__init__.py", "app/base.py", "app/main.py", "app/late.py"}


def test_names_of_our_own_are_gone_and_those_of_others_stay(small):
    text = "\n".join(small.sources.values())
    for gone in (
        "BOTH",
        "NEGATIVE",
        "SHARE",
        "_own",
        "_mine",
        "_hook",
        "_refused",
        "all_of",
        "marked",
        "Part",
    ):
        assert not re.search(rf"\b{gone}\b", text), gone
    for kept in ("UART", "any", "run", "shown", "factor", "scale"):
        assert re.search(rf"\b{kept}\b", text), kept


def test_what_nobody_names_is_left_out(small):
    text = "\n".join(small.sources.values())
    for gone in ("nobody", "never_asked", "not that one", "__slots__", "TYPE_CHECKING", "A package"):
        assert gone not in text, gone


def test_long_texts_of_the_named_modules_stand_in_the_file_of_texts(small):
    assert sorted(small.texts.splitlines()) == [
        b"a long text for people is told",
        b"the value %r is refused by us",
    ]
    assert "for people" not in small.sources["app/main.py"]


def test_what_others_import_from_a_bundle_with_an_alias_is_one_statement_with_that_name():
    program = {
        "app/main.py": """
import sys


def first():
    return sys.maxsize > 0


def second(value):
    return value + 1


def run(told):
    from app.other import both

    told(both())
""",
        "app/other.py": """
from app.main import first
import sys
from app.main import second


def both():
    return first(), second(2), bool(sys.path)
""",
    }
    small = shrink(program, Plan((Bundle("app.main", ("app.main",), alias="a"),), ("run",)))
    other = small.sources["app/other.py"].splitlines()
    assert [line for line in other if "import" in line] == ["from a import b, c", "import sys"]
    assert run(small.sources) == run(program) == [(True, 3, True)]


@pytest.mark.parametrize(
    ("alias", "text", "said"),
    [
        ("os", "import sys\n", "os is another module"),
        ("app.other", "import sys\n", "app.other is another module"),
        ("a", "import sys as system\n", "does not import sys alone"),
    ],
)
def test_an_alias_that_cannot_be_given_is_refused(alias, text, said):
    program = {"app/main.py": text + "print(sys)\n", "app/other.py": "VALUE = 1\n"}
    with pytest.raises(ShrinkError, match=said):
        shrink(program, Plan((Bundle("app.main", ("app.main",), alias=alias),)))


def test_a_file_that_stays_source_has_neither_comments_nor_texts_for_people():
    made = strip_source('"""For people."""\n\n# why\nfor n in range(2):  # twice\n    """No more."""\n')
    assert made == "for n in range(2):\n    pass\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f():\n    global x\n", "cannot be followed"),
        ("from app.marks import *\n", "cannot be followed"),
        ("from app import marks\n\nprint(marks)\n", "used as a value"),
        ("from app import marks\n\ndef f(SECOND):\n    return marks.SECOND_ONE\n", "has no SECOND_ONE"),
        ("def f(read):\n    return read('a text of several words')\n", "another name"),
    ],
)
def test_what_cannot_be_followed_is_refused(text, said):
    with pytest.raises((ShrinkError, KeyError), match=said):
        shrink({**PROGRAM, "app/more.py": text}, Plan((JOINED,), ("run", "f"), PLAN.reader, ("app.more",)))


def test_a_bundle_that_imports_what_comes_later_is_refused():
    with pytest.raises(ShrinkError, match="comes after it"):
        shrink(PROGRAM, Plan((Bundle("app.base", ("app.part", "app.base", "app.marks")),)))


def test_two_names_at_the_top_of_joined_modules_are_told_apart():
    sources = {
        "a/__init__.py": "",
        "a/one.py": "def same():\n    return 1\n\n\ndef first():\n    return same()\n",
        "a/two.py": "def same():\n    return 2\n\n\ndef second():\n    return same()\n",
        "a/top.py": "from a.one import first, same\nfrom a.two import second\n\n\ndef run():\n"
        "    return first(), second(), same()\n",
    }
    made = shrink(sources, Plan((Bundle("a.one", ("a.one", "a.two", "a.top")),), ("run",)))
    scope: dict[str, object] = {}
    exec(made.sources["a/one.py"], scope)
    assert scope["run"]() == (1, 2, 1)


NUMBERS = st.integers(-(2**40), 2**40)


@given(NUMBERS, NUMBERS, st.sampled_from(["+", "-", "*", "|", "&"]))
def test_constants_have_the_value_of_their_expression(one, other, sign):
    text = f"ONE = {one}\nALL = ONE {sign} ({other})\n\n\ndef run():\n    return ALL\n"
    made = shrink({"a.py": text}, Plan((), ("run",))).sources["a.py"]
    assert "ALL" not in made
    scope: dict[str, object] = {}
    exec(made, scope)
    assert scope["run"]() == eval(f"{one} {sign} ({other})")


@pytest.mark.soak
def test_every_text_of_the_firmware_is_where_its_modules_look_for_it(monkeypatch, tmp_path):
    held = {}

    def kept(sources, plan):
        held["small"] = shrink(sources, plan)
        return held["small"]

    monkeypatch.setattr(firmware_files, "shrink", kept)
    firmware_files.firmware_files(tmp_path)
    lines = held["small"].texts.split(b"\n")
    starts = {sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))}
    reader = next(
        node.name
        for node in ast.walk(ast.parse(held["small"].sources["buoy/esp32_board.py"]))
        if isinstance(node, ast.FunctionDef) and "readline" in ast.unparse(node)
    )
    places = [
        ast.literal_eval(node.args[0])
        for text in held["small"].sources.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == reader
        if node.args and isinstance(node.args[0], ast.Constant)
    ]
    assert len(places) > 50
    assert set(places) <= starts


def test_every_name_of_the_modules_that_a_board_has_stays_as_it_is():
    """What the simulation has of them is what the firmware uses of them: it runs on nothing else."""
    tree = FILES
    shims = tree / "host" / "buoyfleet" / "simulation" / "buses" / "shims"
    files = [
        shims / f"{name}.py"
        for name in ("ds18x20", "esp32", "machine", "machine_clocks", "network", "onewire")
    ]
    files += UMQTT.glob("*.py")
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = set()
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = {node.name}
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names = {node.attr}
            elif isinstance(node, ast.Assign):
                names = {each.id for each in node.targets if isinstance(each, ast.Name) and each.id.isupper()}
            shown = {name for name in names if not name.startswith("_")} - OF_THE_SIMULATION
            assert shown <= OUTSIDE, (file.name, shown - OUTSIDE)


def test_a_text_that_is_missing_is_told_by_its_place(tmp_path, monkeypatch):
    from buoy import texts

    file = tmp_path / "texts.txt"
    monkeypatch.setattr(texts, "FILE", str(file))
    assert texts.flash_text(12, ("x",)) == "text 12 ('x',)"
    file.write_bytes(b"first %d\nsecond\n")
    assert texts.flash_text(0, 7) == "first 7"
    assert texts.flash_text(9) == "second"
    assert texts.flash_text(9, 3) == "text 9 3"
