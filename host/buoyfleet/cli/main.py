"""`buoy`: the one place where exceptions become messages and exit codes.

The help needs no more than the table of commands. A command is loaded only when the board that it names can
be there: that takes half a second.
"""

import sys

from buoyfleet.cli.table import help_text
from buoyfleet.model.errors import BuoyError
from buoyfleet.model.exit_codes import ExitCode

DEBUG = "--debug"
"""Before or after the command; what follows `--` is the command's own."""

BOARD_COMMANDS = ("console", "id", "wipe", "settings", "files")
"""Commands for one board: its name follows them, or their own command."""
BOARDS_COMMANDS = ("ports", "flash", "commission", "monitor")
"""Commands for several boards; one that is missing does not keep the others."""


def main() -> None:
    """Entry point of the `buoy` script."""
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: list[str]) -> int:
    """Run one command; returns its exit code."""
    own = arguments.index("--") if "--" in arguments else len(arguments)
    debug = DEBUG in arguments[:own]
    arguments = [word for word in arguments[:own] if word != DEBUG] + arguments[own:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(help_text())  # noqa: T201
        return int(ExitCode.OK)
    try:
        require_named_port(arguments)
        return _run(arguments, debug=debug)
    except BuoyError as error:
        from buoyfleet.cli.console import print_error

        if debug:
            raise
        print_error(error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        return int(ExitCode.INTERRUPTED)


def require_named_port(arguments: list[str]) -> None:
    """Refuse a command for one port that does not exist.

    Raises:
        NoSuchPort: there is no such port.
        UsageError: the name is none of a board.
    """
    command, *words = arguments or [""]
    if command not in BOARD_COMMANDS and command not in BOARDS_COMMANDS:
        return
    from glob import has_magic

    from buoyfleet.model.board_names import parse_name
    from buoyfleet.serial.port import require_port

    if command in ("settings", "files"):
        words = words[1:]
    if command in BOARD_COMMANDS:
        words = words[:1]
    elif len(words) > 1:
        return
    if command == "commission":
        words = [name for word in words for name, mark, _ in (word.rpartition("="),) if mark]
    for word in words:
        if word.startswith("-") or (command == "ports" and has_magic(word)):
            continue
        name = parse_name(word)
        if name.kind == "port":
            require_port(name.value)


def _run(arguments: list[str], *, debug: bool) -> int:
    import typer

    from buoyfleet.cli.commands import root

    try:
        code = root()(args=arguments, prog_name="buoy", standalone_mode=False)
    except BuoyError:
        raise
    except typer.Exit as leave:
        return int(leave.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        if debug:
            raise
        show = getattr(error, "show", None)
        if show is not None:  # click's own complaints about the command line
            show()
            return int(ExitCode.USAGE)
        print(  # noqa: T201
            f"internal error: {type(error).__name__}: {error}\n"
            "  this is a defect in buoyfleet\n"
            "  next: run the same command with --debug and report what it prints",
            file=sys.stderr,
        )
        return int(ExitCode.INTERNAL_ERROR)
    return int(code or ExitCode.OK)


if __name__ == "__main__":
    main()
