"""The firmware as a board wants it: the same program with fewer names and modules, and its texts on flash.

A board has some 100 KB for Python. Each name costs it 7 bytes in the table of names and its text, each module
a dictionary and a context, each constant a name, a place in a dictionary and a look-up whenever it is used,
each text for people an object that is there whether anybody is told or not. The files in `firmware/` and
`sensors/` are written for people; what is installed is made from them here, before it is compiled. Nothing of
it changes what the program does.

Other minifiers work on one file and leave attributes and what other files import alone; these are most of it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from buoyfleet.boards.shrink.bundles import join
from buoyfleet.boards.shrink.constants import inline_constants
from buoyfleet.boards.shrink.imports import import_by_alias, merge_imports
from buoyfleet.boards.shrink.marks import take_marks
from buoyfleet.boards.shrink.names import shorten_arguments, shorten_names
from buoyfleet.boards.shrink.outside import OUTSIDE
from buoyfleet.boards.shrink.program import Program
from buoyfleet.boards.shrink.rows import answer_rows
from buoyfleet.boards.shrink.seldom import move_seldom
from buoyfleet.boards.shrink.strip import strip_program, strip_unused_imports, strip_unused_names
from buoyfleet.boards.shrink.symbols import Symbols, collect_symbols, mark_origins
from buoyfleet.boards.shrink.texts import take_texts_out


@dataclass(frozen=True, slots=True)
class Bundle:
    """Modules that are always loaded together and become one.

    Args:
        name: dotted name of the module they become; one of `parts`.
        parts: dotted names.
        alias: what all other modules call it; only for a bundle that is loaded first and stays.
    """

    name: str
    parts: tuple[str, ...]
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is special about a program.

    Args:
        bundles: modules to join.
        kept: names that somebody outside the program uses, or that it puts together from texts.
        reader: (module, function) that reads a text which was taken out.
        texts_of: dotted names of modules, as they are before they are joined, whose texts for people are
            taken out; not those that are loaded only for a moment.
        loader: (module, function) that loads a function which was taken out, see `seldom`.
        resident: dotted names of modules that stay in memory: their seldom functions are taken out.
    """

    bundles: Sequence[Bundle] = ()
    kept: Collection[str] = ()
    reader: tuple[str, str] = ("", "")
    texts_of: Collection[str] = ()
    loader: tuple[str, str] = ("", "")
    resident: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Small:
    """Path → text of each file, the texts that were taken out of them, and how many modules seldom run.

    `symbols` says where everything comes from.
    """

    sources: dict[str, str]
    texts: bytes
    groups: int = 0
    symbols: Symbols = field(default_factory=Symbols)


def shrink(sources: dict[str, str], plan: Plan) -> Small:
    """Make a program smaller.

    Args:
        sources: every file of the program, `buoy/link.py` → its text. What is not in it is not touched, and
            may use none of its names but `plan.kept`.
        plan: what is special about it.

    Raises:
        ShrinkError: the program does something that cannot be followed.
    """
    program = Program.parse(sources)
    answer_rows(program)
    modules = mark_origins(program)
    strip_program(program)
    marked = take_marks(program)
    inline_constants(program)
    strip_unused_imports(program)
    texts = take_texts_out(program, plan.reader, plan.texts_of)
    strip_unused_names(program, {*plan.kept, plan.loader[1]})
    groups = move_seldom(program, marked, plan.loader, plan.resident)
    for bundle in plan.bundles:
        join(program, bundle.name, bundle.parts)
    strip_unused_imports(program)
    shorten_names(program, plan.kept)
    shorten_arguments(program)
    merge_imports(program)
    for bundle in plan.bundles:
        if bundle.alias:
            import_by_alias(program, bundle.name, bundle.alias, OUTSIDE)
    return Small(program.texts(), texts.data, groups, collect_symbols(program, modules))
