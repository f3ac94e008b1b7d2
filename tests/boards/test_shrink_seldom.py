"""What seldom runs is loaded for each call, and does what it did."""

import sys
import types

import pytest

from buoyfleet.boards.shrink import Plan, shrink
from buoyfleet.boards.shrink.program import ShrinkError

PROGRAM = {
    "buoy/__init__.py": "",
    "sensors/__init__.py": "def seldom(function):\n    return function\n\n\nonce = seldom\n",
    "buoy/shims.py": """
def load(group, place):
    module = __import__("buoy._%d" % group, None, None, ("items",))
    return module.items[place]
""",
    "buoy/parts.py": """
import json

from sensors import once, seldom

WIDE = 3


class Base:
    @once
    def __init__(self, given, scale=2):
        self.given = given * scale

    @seldom
    def told(self, text):
        return json.dumps([text, self.given, WIDE])


class Part(Base):
    @once
    def __init__(self, given):
        super().__init__(given, scale=_doubled(2))
        self.more = 1

    @seldom
    def told(self, text):
        return "part " + super().told(text)

    @seldom
    def steps(self, *, most):
        for number in range(most):
            yield number
        return self.more

    @seldom
    def _alone(self, **named):
        return sorted(named)

    def hot(self):
        last = yield from self.steps(most=2)
        yield last, self._alone(b=1, a=2)


def _doubled(number):
    return 2 * number


TABLE = {1: "one", 2: "two"}
SHARED = (1, 2)


@seldom
def made(given):
    return Part(given), _looked_up(2)


def _looked_up(number):
    return TABLE[number]


class Single:
    @once
    def __init__(self, first, second=SHARED):
        self.first = first
        self.second = second
        self._begin()

    @seldom
    def _begin(self):
        self.begun = self._deeper(len(SHARED))

    @seldom
    def _deeper(self, number):
        return [number, self.first]
""",
    "buoy/top.py": """
from buoy import parts
from buoy.parts import Base, Single, made


def run():
    part, text = made(5)
    single = Single(7)
    other = parts.Single(first=8, second=3)
    return part.told("x"), Base(1).told("y"), list(part.hot()), text, vars_of(single), vars_of(other)


def vars_of(single):
    return single.first, single.second, single.begun
""",
}
EVERY = ("buoy.shims", "buoy.parts", "buoy.top")
PLAN = Plan((), ("run",), resident=EVERY, loader=("buoy.shims", "load"))


def run(sources: dict[str, str]) -> object:
    before = dict(sys.modules)
    try:
        for name in ("buoy", "sensors"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__dict__["__path__"] = []
        finder = Finder(sources)
        sys.meta_path.insert(0, finder)
        for name in [name for name in sys.modules if name.startswith(("buoy.", "sensors."))]:
            del sys.modules[name]
        exec(sources["sensors/__init__.py"], vars(sys.modules["sensors"]))
        return __import__("buoy.top", fromlist=("run",)).run()
    finally:
        sys.meta_path.remove(finder)
        sys.modules.clear()
        sys.modules.update(before)


class Finder:
    """Imports from texts."""

    def __init__(self, sources):
        self._sources = sources

    def find_spec(self, name, _path, _target=None):
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self) if name.replace(".", "/") + ".py" in self._sources else None

    def create_module(self, _spec):
        return None

    def exec_module(self, module):
        exec(self._sources[module.__name__.replace(".", "/") + ".py"], vars(module))


def test_a_program_does_the_same_with_what_seldom_runs_taken_out():
    small = shrink(PROGRAM, PLAN)
    assert {"buoy/_1.py", "buoy/_2.py"} < set(small.sources)
    assert run(small.sources) == run(PROGRAM)


def test_what_was_taken_out_stands_in_its_own_file_alone():
    parts = shrink(PROGRAM, PLAN).sources["buoy/parts.py"]
    assert "json" not in parts
    assert "sorted" not in parts  # only called: nothing of it is left
    assert "TABLE" not in parts  # nobody else looks it up
    assert "one" not in parts
    # Which of two is called shows when it runs: a call stays in the place of each.
    assert parts.count("(self, a)\n") == 3


def test_modules_that_are_loaded_for_a_moment_stay_whole():
    plan = Plan((), ("run",), resident=(), loader=PLAN.loader)
    assert "json.dumps" in shrink(PROGRAM, plan).sources["buoy/parts.py"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f():\n    @seldom\n    def g():\n        pass\n    return g\n", "inside another function"),
        ("@seldom\n@other\ndef f():\n    pass\n", "cannot be moved"),
        ("class A(B, C):\n    @seldom\n    def f(self):\n        super().f()\n", "which class"),
        ("class A:\n    @seldom\n    def any(self, **more):\n        pass\n", "takes any arguments"),
    ],
)
def test_what_cannot_be_moved_is_refused(text, said):
    sources = {**PROGRAM, "buoy/more.py": "from sensors import seldom\n\n\n" + text}
    plan = Plan((), ("run", "f", "A", "any"), resident=("buoy.more",), loader=PLAN.loader)
    with pytest.raises(ShrinkError, match=said):
        shrink(sources, plan)
