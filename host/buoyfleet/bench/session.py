"""One board on the bench: its port, locked and found again; console, REPL and esptool use it in turn."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from buoyfleet.bench.batch import Stop
from buoyfleet.model.board_names import BoardName, canonical_port, is_url, mac_text
from buoyfleet.model.clock import Deadline
from buoyfleet.model.errors import BoardError, BuoyError, PreflightError
from buoyfleet.serial.console import Console
from buoyfleet.serial.esptool import Esptool
from buoyfleet.serial.find import Finder, port_of
from buoyfleet.serial.lines import visible
from buoyfleet.serial.listing import list_ports
from buoyfleet.serial.lock import PortLock
from buoyfleet.serial.port import NO_SERVER, START_SERVER, SerialPort, open_port, require_port
from buoyfleet.serial.probe import Found, probe_locked
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.serial.records import ConsoleRecord, Line
from buoyfleet.serial.repl_errors import LineError, NoPrompt, ReplError
from buoyfleet.serial.reset import caught_at_boot, press_reset
from buoyfleet.serial.trouble import Unanswered

T = TypeVar("T")

TRIES = 3
REAPPEAR_S = 20.0
"""For a board that went away to come back: a reset of a native USB port, or a hand on the cable."""
_LOOK_S = 0.3
_PAUSE_S = 0.5
TRANSIENT = (LineError, ReplError, Unanswered, PreflightError)
"""What another try may cure: bytes lost or changed, a reset in the middle, a port that went away."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take; tests and hurried benches take less."""

    reappear_s: float = REAPPEAR_S
    boot_s: float = 20.0
    """From a reset to the firmware's first answer."""
    prompt_s: float = 15.0
    tries: int = TRIES


class BoardLog:
    """What a board and esptool said, a line each with the time; nothing that we send."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._rest = b""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

    def line(self, text: str) -> None:
        """One line."""
        if self.path is not None:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {text}\n")

    def bytes(self, data: bytes) -> None:
        """Bytes as they come."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.line(visible(line.strip(b"\r")))

    def console(self, record: ConsoleRecord) -> None:
        """A console's listener."""
        if isinstance(record, Line):
            self.line(visible(record.data))


@dataclass(slots=True)
class Session:
    """Holds a board's port from `open` to `close`; one thread uses it."""

    name: BoardName
    more_ports: tuple[str, ...] = ()
    stop: Stop = field(default_factory=Stop)
    finder: Finder | None = None
    """Shared by sessions that look for their boards at the same time."""
    patience: Patience = field(default_factory=Patience)
    log: BoardLog = field(default_factory=lambda: BoardLog(None))
    purpose: str = "bench"
    port: str = ""
    mac: str = ""
    """Twelve hex digits, once known: what it is found by when its port changes."""
    _reached: bool = False
    """The port was opened once."""
    _there: frozenset[str] = frozenset()
    """Ports that there were at the beginning."""
    _lock: PortLock | None = None
    _console: Console | None = None
    _repl: RawRepl | None = None
    _line: SerialPort | None = None
    _spoiled: bool = False
    """The last thing done at the REPL failed; a command that noise changed may have done anything."""

    def __enter__(self) -> "Session":
        self.open()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Find the board's port and lock it.

        Raises:
            PreflightError: there is none, or somebody has it.
        """
        port = (self.finder or Finder(self.more_ports)).port(self.name)
        require_port(port)
        self._there = frozenset(port.port for port in list_ports(self.more_ports))
        # A path that is there now can come back; what a URL leads to has yet to be seen.
        self._reached = not is_url(port)
        self._take(port)  # the last step: whoever fails to open gets no `close`, and would keep the lock

    def look(self, wake: bool = True, ask_rom: bool = True) -> Found:
        """What is on the port; without `ask_rom` an empty chip is not asked for its MAC.

        Raises:
            BoardError: another board than before.
            Unanswered: a chip that was asked did not tell its MAC; nobody may be commissioned without one.
        PreflightError: the port is not there; it may come back.
        """
        self._let_go()
        patience_s = self.patience.boot_s / 3
        found = probe_locked(self.port, self._locked(), patience_s=patience_s, wake=wake, ask_rom=ask_rom)
        if found.state == "empty" and ask_rom and not found.mac:
            raise Unanswered(
                f"the chip does not tell its MAC ({found.detail})",
                where=self.port,
                cause="a line that loses or changes bytes",
                next_step="another cable or port, then the same command",
            )
        if found.state == "gone":
            if not self._reached:  # nothing that could come back
                raise BoardError(found.detail, where=self.port, cause=NO_SERVER, next_step=START_SERVER)
            raise PreflightError(f"the port went away: {found.detail}", where=self.port)
        self._reached = True
        if found.mac and self.mac and found.mac != self.mac:
            raise BoardError(
                f"there is another board on the port: {mac_text(found.mac)}, before {mac_text(self.mac)}",
                where=self.port,
                cause="boards were exchanged while they were being worked with",
            )
        self.mac = found.mac or self.mac
        return found

    def console(self) -> Console:
        """The firmware's console on the port."""
        if self._console is None:
            self._let_go()
            self._console = Console(self.port, lock=self._locked())
            self._console.add_listener(self.log.console)
        return self._console

    def repl(self) -> RawRepl:
        """The raw REPL; whatever runs is interrupted.

        Raises:
            LineError: no prompt.
        """
        if self._repl is None:
            self._let_go()
            self._locked()
            self._line = open_port(self.port)
            repl = RawRepl(self._line, self.port, self.log.bytes)
            repl.enter(self.patience.prompt_s, lambda: self.stop.check(self.port), afresh=self._spoiled)
            self._spoiled = False
            self._repl = repl
        return self._repl

    def esptool(self) -> Esptool:
        """esptool for the port, which is closed for it."""
        self._let_go()
        return Esptool(self.port, stopped=lambda: bool(self.stop), on_line=self.log.line)

    def reset(self) -> None:
        """Press the reset button.

        Raises:
            BoardError: no way worked.
        """
        self._let_go()
        self.log.line(f"# reset by {press_reset(self.port)}")

    def persevere(self, work: Callable[[], T]) -> T:
        """Do something; after trouble that may pass, find the board again and do it again.

        Raises:
            BoardError: it failed as often as patience allows, or in a way that another try does not cure.
        """
        for attempt in range(1, self.patience.tries + 1):
            self.stop.check(self.port)
            try:
                return work()
            except TRANSIENT as error:
                self.log.line(f"# try {attempt}: {error.what}")
                if attempt == self.patience.tries:
                    raise
                self._recover(error, attempt)
        raise AssertionError("a loop that always returns or raises")

    def release(self) -> None:
        """Let the port go until it is needed again."""
        self._let_go()
        self._unlock()

    def close(self) -> None:
        """Let the board and its port go."""
        self._let_go()
        self._unlock()

    # Inside

    def _take(self, port: str) -> None:
        self._let_go()
        self._unlock()
        self._lock = PortLock(port, self.purpose)
        self.port = port

    def _locked(self) -> PortLock:
        """The lock of the port as it is now: after a replugging, another device can be behind its link.

        Raises:
            PreflightError: somebody has it meanwhile.
        """
        if self._lock is None or self._lock.canonical != canonical_port(self.port):
            self._unlock()
            self._lock = PortLock(self.port, self.purpose)
        return self._lock

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _let_go(self) -> None:
        console, self._console = self._console, None
        if console is not None:
            console.close()
        repl, self._repl = self._repl, None
        line, self._line = self._line, None
        if repl is not None:
            repl.leave()
        if line is not None:
            with contextlib.suppress(OSError):
                line.close()

    def _recover(self, error: BuoyError, attempt: int) -> None:
        """Make ready for another try."""
        self._spoiled = self._spoiled or self._repl is not None
        self._let_go()
        self.stop.wait(_PAUSE_S * attempt, self.port)  # what spoils a line may pass
        self.reappear(error)
        # A program that swallows Ctrl-C, or a board that hangs: the second time by the button.
        if isinstance(error, NoPrompt | Unanswered) and attempt > 1:
            with contextlib.suppress(BoardError):
                if isinstance(error, NoPrompt):
                    with caught_at_boot(self.port, self.log.bytes):
                        self.log.line("# caught at its start")
                else:
                    self.reset()

    def reappear(self, error: BuoyError) -> None:
        """Wait for a port that went away, find the board on another.

        Raises:
            BoardError: it did not come back.
        """
        self._let_go()
        deadline = Deadline(self.patience.reappear_s)
        while True:
            self.stop.check(self.port)
            for port in self._candidates():
                if self._is_mine(port):
                    return
            if deadline.expired:
                raise BoardError(
                    f"did not come back within {self.patience.reappear_s:g} s ({error.what})",
                    where=f"{self.port} ({mac_text(self.mac)})" if self.mac else self.port,
                    cause="the cable was pulled, or the board has no power",
                    next_step="plug it in and type the same command again: it goes on from here",
                ) from error
            self.stop.wait(_LOOK_S, self.port)

    def _candidates(self) -> Iterator[str]:
        """Ports where it may be: the one it had, then others."""
        with contextlib.suppress(PreflightError):
            open_port(self.port).close()
            self._locked()
            yield self.port
            return
        # The system gives the names of ports that are gone to others: they are not ours to keep.
        self._unlock()
        listed = list_ports(self.more_ports)
        if self.name.kind in ("usb", "location"):
            with contextlib.suppress(PreflightError):
                yield port_of(self.name, listed).port
                return
        if self.mac:
            # It can only be on a port that was not there before: another board is on each of the others.
            yield from (port.port for port in listed if port.port not in self._there)

    def _is_mine(self, port: str) -> bool:
        if port == self.port:
            return True
        finder = self.finder or Finder(self.more_ports)
        found = finder.newcomer(port, lambda: self._look_at_new(port))
        if found is None or found.mac != self.mac:
            return False
        try:
            self._take(port)
        except PreflightError:
            return False
        self.log.line(f"# came back as {port}")
        return True

    def _look_at_new(self, port: str) -> Found | None:
        try:
            lock = PortLock(port, self.purpose)
        except PreflightError:
            return None  # another program works with that one
        with lock:
            return probe_locked(port, lock, patience_s=self.patience.boot_s / 3, wake=True)
