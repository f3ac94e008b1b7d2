"""Loading a fleet file: text to nodes to sections to a fleet, with every mistake reported at once."""

from pathlib import Path

from buoyfleet.inventory.format import PLACES, FleetSection
from buoyfleet.inventory.overrides import COMMAND_LINE, Overrides, read_overrides
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.resolve import resolve
from buoyfleet.inventory.sections import keys_of, read_section
from buoyfleet.inventory.yaml_nodes import MAX_BYTES, Mapping, compose
from buoyfleet.model.errors import ConfigurationError
from buoyfleet.model.fleet import Fleet


def load_fleet(path: Path | str, overrides: Overrides | None = None, *, connects: bool = False) -> Fleet:
    """Read a fleet file and what the command line changes in it.

    Args:
        path: the file.
        overrides: what the command line changes.
        connects: boards shall connect to the target, as in `buoy run` and `buoy commission`: what keeps
            boards on a cable from it is a mistake of the file.

    Raises:
        ConfigurationError: with every mistake of the file and of the options.
    """
    path = Path(path)
    options = Reporter(COMMAND_LINE)
    changes = read_overrides(overrides or Overrides(), options)
    report = Reporter(str(path))
    text = _read(path, report)
    fleet: Fleet | None = None
    if text is not None:
        report = Reporter(str(path), text, _elsewhere())
        root = compose(text, report)
        if isinstance(root, Mapping):
            document = read_section(FleetSection, root, "", report)
            fleet = resolve(document, path, changes, report, options, connects=connects)
        elif root is not None:
            example = "a fleet file has keys such as `fleet: harbour` at the top"
            report.add(root.line, "", f"{root.shown()} stands where keys are expected", example)
    problems = report.finished() + options.finished()
    if problems or fleet is None:
        raise ConfigurationError(problems)
    return fleet


def _read(path: Path, report: Reporter) -> str | None:
    """The file's text; None where it cannot be had, which is reported."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        report.add(0, "", "there is no such file", _files_nearby(path))
        return None
    except IsADirectoryError:
        report.add(0, "", "this is a folder", _files_nearby(path / "x") or "name a file in it")
        return None
    except PermissionError:
        report.add(0, "", "this user may not read the file", f"chmod u+r {path}")
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        report.add(0, "", f"the file cannot be read: {error}")
        return None
    if len(data) > MAX_BYTES:
        report.add(0, "", f"the file is larger than {MAX_BYTES >> 20} MiB, which no fleet needs")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"the byte 0x{data[error.start]:02X} is not UTF-8"
        report.add(line, "", message, "save the file as UTF-8")
        return None


def _files_nearby(path: Path) -> str:
    try:
        names = sorted(one.name for one in path.parent.iterdir() if one.suffix in (".yaml", ".yml"))
    except OSError:
        return f"there is no folder {path.parent} either" if not path.parent.exists() else ""
    names = [name for name in names if name != "secrets.yaml"][:5]
    if not names:
        return "go where it is, or name one; `buoy init` writes one"
    return f"{path.parent} has {', '.join(names)}"


def _elsewhere() -> dict[str, str]:
    """Keys → the outermost place where they can stand, for a key that stands in the wrong one."""
    places: dict[str, str] = {}
    for place, section in PLACES.items():
        for one in keys_of(section):
            places.setdefault(one.name, f"`{place}`" if place else "the top level")
    return places
