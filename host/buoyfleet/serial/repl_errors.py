"""What goes wrong at a raw REPL, and what it makes likely."""

from typing import Final

from buoyfleet.model.errors import BoardError

RESTART_MARK: Final = b"rst:0x"
"""The ROM's first line after a reset (ESP-IDF, "Boot Process")."""
WAY_OUT: Final = (
    "erase it: `buoy commission --erase` or `buoy flash {port} --erase`; its id, Wi-Fi, keys, settings and "
    "files are lost"
)


class ReplError(BoardError):
    """Code on the board raised; `traceback` is what it printed."""

    def __init__(self, port: str, traceback: str) -> None:
        last = traceback.strip().splitlines()[-1:] or ["an error without a text"]
        super().__init__(f"the board's REPL says: {last[0]}", where=port)
        self.traceback = traceback


class LineError(BoardError):
    """The REPL did not answer, or something else than it should: worth another try."""


class PortGone(LineError):
    """The port went away under us."""


class NoPrompt(LineError):
    """The board could not be brought to its prompt."""


class port_errors:
    """A port that vanishes raises many things; they mean one."""

    def __init__(self, port: str) -> None:
        self._port = port

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        # SerialException is an OSError; pyserial lets TypeError out where a port was closed under it.
        if isinstance(error, OSError | TypeError):
            raise PortGone(
                f"the port is gone: {error}",
                where=self._port,
                cause="the cable was pulled, or the board lost its power",
                next_step="plug it in again and type the same command",
            ) from error


def no_prompt(port: str, seen: bytes, timeout_s: float) -> NoPrompt:
    text = shown(seen)
    if b"invalid header" in seen or b"No bootable app" in seen or b"Image hash failed" in seen:
        return NoPrompt(
            "no MicroPython starts: the flash holds none",
            where=port,
            cause=text,
            next_step=f"buoy flash {port}",
        )
    what = f"no REPL within {timeout_s:g} s"
    next_step = "press EN (reset) and try again"
    if seen.count(RESTART_MARK) > 1:
        what += f": it restarts again and again, {seen.count(RESTART_MARK)} times in what it said last"
        cause = f"a program that crashes at once, or a weak supply; it said {text}"
        next_step = WAY_OUT.format(port=port)
    elif seen:
        cause = f"a program that takes no Ctrl-C, another device, or another baud rate; it said {text}"
        next_step += "; if that does not help: " + WAY_OUT.format(port=port)
    else:
        cause = "it is asleep, hangs, is busy, or is no board with MicroPython"
    return NoPrompt(what, where=port, cause=cause, next_step=next_step)


def shown(data: bytes) -> str:
    """The last line of what a board said, control bytes visible."""
    text = data.decode("ascii", "backslashreplace").strip()
    lines = [line for line in text.splitlines() if line.strip()]
    return repr(lines[-1][-100:]) if lines else ""
