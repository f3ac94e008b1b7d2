"""Tracebacks of boards in the names, files and lines of the tree.

    File "app", line 1, in aB     →     File "firmware/buoy/link.py", line 137, in Link._connect

A board's program has short names and no line numbers; what they stand for is kept by the program's version
when it is made, and never thrown away: boards in the water run what was installed long ago.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from buoyfleet.boards.shrink.symbols import MODULE, Origin, Symbols

SYMBOLS = "symbols"
"""Folder beside the compiled programs."""
BEGIN = "Traceback (most recent call last):"
UNKNOWN = "(as on the board: this computer has not made the firmware that it runs)"
_FRAME = re.compile(r'  File "(?P<module>[^"]*)", line (?P<line>\d+)(?:, in (?P<name>\S+))?')
# 'aB' in the messages of MicroPython's py/*.c: attributes, names, types.
_QUOTED = re.compile(r"'(\w+)'")
_MOST_LINES = 64
"""A traceback without an end is noise."""


def write_symbols(folder: Path, version: str, symbols: Symbols) -> None:
    """Keep what a version's tracebacks are read with."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{version}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"version": version, **asdict(symbols)}), encoding="utf-8")
    part.replace(path)


def read_symbols(path: Path) -> Symbols:
    """What was kept.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        functions = {
            module: {name: [Origin(**one) for one in origins] for name, origins in named.items()}
            for module, named in document["functions"].items()
        }
        return Symbols(functions, document["names"])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error!r}") from None


@dataclass(frozen=True, slots=True)
class _Frame:
    text: str
    module: str
    name: str


class Tracebacks:
    """Reads the lines of one board, and gives them back with tracebacks translated.

    Args:
        folder: of kept symbols.
        version: of the board's firmware, where it is known; else every version that fits is tried, the newest
            first.
    """

    def __init__(self, folder: Path, version: str = "") -> None:
        self.version = version
        self._folder = folder
        self._known: dict[Path, Symbols] = {}
        self._held: list[str] = []

    def feed(self, line: str) -> list[str]:
        """The lines to show now; those of a traceback come when it is complete."""
        if line.endswith(BEGIN):
            shown, self._held = self._held, [line]
            return shown
        if not self._held:
            return [line]
        self._held.append(line)
        if _FRAME.fullmatch(line) and len(self._held) < _MOST_LINES:
            return []
        return self._translated()

    def learn(self, answer: object) -> None:
        """An answer of the board's console: `identify` says which firmware it is."""
        if isinstance(answer, dict) and isinstance(answer.get("firmware"), str):
            self.version = answer["firmware"]

    def flush(self) -> list[str]:
        """What was held back, when no more comes."""
        held, self._held = self._held, []
        return held

    def _translated(self) -> list[str]:
        head, *lines, error = self.flush()
        frames = [_frame(line) for line in lines]
        for version, symbols in self._candidates():
            homes = [_homes(frame, symbols) for frame in frames]
            if any(homes) and None not in homes:
                told = _lines(frames, [found or [] for found in homes], _kind(error, frames, symbols))
                last = [_real_names(error, frames, symbols), f"(names and lines of firmware {version})"]
                return [head, *told, *last]
        return [head, *lines, error, UNKNOWN]

    def _candidates(self) -> Iterator[tuple[str, Symbols]]:
        paths = self._folder.glob("*.json")
        newest_first = sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in sorted(newest_first, key=lambda path: path.stem != self.version):
            if path not in self._known:
                try:
                    self._known[path] = read_symbols(path)
                except (OSError, ValueError):
                    continue  # damaged, or removed meanwhile: others may fit
            yield path.stem, self._known[path]


def _frame(line: str) -> _Frame:
    found = _FRAME.fullmatch(line)
    return _Frame(line, found["module"], found["name"] or MODULE) if found else _Frame(line, "", "")


def _homes(frame: _Frame, symbols: Symbols) -> list[Origin] | None:
    """Where a frame can be: nowhere in the tree if the file is somebody else's; None: another program."""
    functions = symbols.functions.get(frame.module)
    return [] if functions is None else functions.get(frame.name)


def _lines(frames: list[_Frame], homes: list[list[Origin]], error: str) -> list[str]:
    told: list[str] = []
    called: list[Origin] = []
    # From the last frame to the first: which function was called says in which line its caller was.
    for frame, found in zip(reversed(frames), reversed(_narrowed(homes)), strict=True):
        if not found:
            told.append(frame.text)
            called = []
            continue
        places = [(one, _calls(one, called) if told else one.raises.get(error, [])) for one in found]
        sure = [place for place in places if place[1]] or places
        before, called = called, [origin for origin, _ in sure]
        # What loads a function from flash has the function's name, and is no place of its own.
        if called != before or any(lines != [origin.first] for origin, lines in sure):
            told.append("  or".join(_told(origin, lines) for origin, lines in sure))
    return told[::-1]


def _narrowed(homes: list[list[Origin]]) -> list[list[Origin]]:
    """Of functions that share a name, those that the frame before calls."""
    narrowed: list[list[Origin]] = []
    for found in homes:
        callers = narrowed[-1] if narrowed else []
        likely = [origin for origin in found if any(_calls(one, [origin]) for one in callers)]
        narrowed.append(likely or found)
    return narrowed


def _calls(origin: Origin, called: list[Origin]) -> list[int]:
    """Lines of a function in which it calls one of others."""
    lines: set[int] = set()
    for one in called:
        *holder, name = one.name.split(".")
        lines.update(origin.calls.get(name, []))
        if name == "__init__" and holder:
            lines.update(origin.calls.get(holder[-1], []))
        if one == origin:
            lines.add(origin.first)
    return sorted(lines)


def _told(origin: Origin, lines: list[int]) -> str:
    if len(lines) == 1:
        where = f"line {lines[0]}"
    elif lines:
        where = f"line {' or '.join(map(str, lines))}"
    else:
        where = f"lines {origin.first} to {origin.last}"
    return f'  File "{origin.file}", {where}, in {origin.name}'


def _kind(error: str, frames: list[_Frame], symbols: Symbols) -> str:
    """Name of the exception's class."""
    word = re.match(r"\w*", error)
    return _real(word[0] if word else "", frames, symbols)


def _real_names(error: str, frames: list[_Frame], symbols: Symbols) -> str:
    """`aB: 'aC' object has no attribute 'aD'` as it would be in the tree."""
    text = re.sub(r"^\w+", lambda found: _real(found[0], frames, symbols), error)
    return _QUOTED.sub(lambda found: f"'{_real(found[1], frames, symbols)}'", text)


def _real(name: str, frames: list[_Frame], symbols: Symbols) -> str:
    return symbols.names.get(frames[-1].module, {}).get(name, name)
