"""`buoy`: the one place where exceptions become messages and exit codes.

The commands are loaded only when the board that one of them names can be there: that takes half a second.
"""

import glob
import sys

from buoyfleet.model.board_names import parse_name
from buoyfleet.model.errors import BuoyError
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.serial.port import require_port

BOARD_COMMANDS = ("console", "id", "wipe", "settings", "files")
"""Commands for one board: its name follows them, or their own command."""
BOARDS_COMMANDS = ("ports", "flash", "commission", "monitor")
"""Commands for several boards; one that is missing does not keep the others."""


def main() -> None:
    """Entry point of the `buoy` script."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    sys.exit(invoke([argument for argument in arguments if argument != "--debug"], debug=debug))


def invoke(arguments: list[str], *, debug: bool = False) -> int:
    """Run one command; returns its exit code."""
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
    if command in ("settings", "files"):
        words = words[1:]
    if command in BOARD_COMMANDS:
        words = words[:1]
    elif command not in BOARDS_COMMANDS or len(words) > 1:
        return
    if command == "commission":
        words = [name for word in words for name, mark, _ in (word.rpartition("="),) if mark]
    for word in words:
        if word.startswith("-") or (command == "ports" and glob.has_magic(word)):
            continue
        name = parse_name(word)
        if name.kind == "port":
            require_port(name.value)


def _run(arguments: list[str], *, debug: bool) -> int:
    import typer

    from buoyfleet.cli.commands import app

    try:
        code = app(args=arguments, prog_name="buoy", standalone_mode=False)
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
