"""The commands of `table.py` as typer has them: each is imported when it is looked up."""

import functools
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any

import typer

from buoyfleet.cli.table import ABOUT, COMMANDS, OPTIONS, PROGRAM, help_text

_HELP = dict(OPTIONS)
_SETTINGS = {"help_option_names": ["-h", "--help"]}


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{PROGRAM} {version('buoyfleet')}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", help=_HELP["--version"], callback=_print_version, is_eager=True),
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help=_HELP["--debug"])] = False,
) -> None:
    pass


@functools.cache
def root() -> Any:
    """The whole command line, a click group.

    Any: the classes of click are private to typer.
    """
    group = _group(typer.Typer(name=PROGRAM, help=ABOUT, no_args_is_help=True, **_TYPER))
    group.commands = _Commands(next(option for option in group.params if option.name == "_debug"))
    group.get_help = lambda _context: help_text()
    return group


_TYPER: dict[str, Any] = {
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": _SETTINGS,
}


def _group(app: typer.Typer) -> Any:
    app.callback()(_root)
    return typer.main.get_command(app)


class _Commands(MutableMapping[str, Any]):
    """Name → command, imported at the first look.

    Args:
        debug: the option that every command shows and takes; `main` has acted on it before.
    """

    def __init__(self, debug: Any) -> None:
        self._loaded: dict[str, Any] = {}
        debug.expose_value = False
        self._debug = debug

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def _load(self, name: str) -> Any:
        file, _, attribute = COMMANDS[name][0].partition(":")
        module = import_module(f"buoyfleet.cli.{file}")
        given = getattr(module, attribute)
        holder = typer.Typer(**_TYPER)
        if isinstance(given, typer.Typer):
            holder.add_typer(given, name=name)
        else:
            holder.command(name=name, epilog=getattr(module, "EPILOG", None))(given)
        command = _group(holder).commands[name]
        self._add_debug(command)
        return command

    def _add_debug(self, command: Any) -> None:
        command.params.append(self._debug)
        for inner in getattr(command, "commands", {}).values():
            self._add_debug(inner)
