"""The console of one board, for programs: requests and their answers, events, text; see docs/firmware.md.

    with Console("/dev/ttyUSB0", purpose="commission") as console:
        console.add_listener(print)
        print(console.request("identify"))

May be used from any thread. A thread of its own reads the port, gives answers to whoever asked and everything
to the listeners. A port that goes away is opened again as soon as it is there; boards may reset at any time.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, cast

from buoy.console import MARKER, MAX_LINE_BYTES, sealed

from buoyfleet.model.clock import Deadline, HostClock
from buoyfleet.model.errors import BoardError, PreflightError
from buoyfleet.serial.events import EventStream
from buoyfleet.serial.lines import Answer, Event, LineSplitter, busy_s, parse_line
from buoyfleet.serial.lock import PortLock
from buoyfleet.serial.port import BAUD, SerialPort, open_port
from buoyfleet.serial.records import ConsoleRecord, Exchange, Line, PortChange
from buoyfleet.serial.requests import Requests, Waiting
from buoyfleet.serial.trouble import Refusal, Unanswered, unanswered

REQUEST_TIMEOUT_S = 5.0
REOPEN_S = 0.2  # how often a port that went away is looked for
READY_POLL_S = 0.5
RECOVERY_TRIES = 3
_PIECE_BYTES = 128  # the receive buffer of the REPL's UART holds 260; the firmware looks every 20 ms
_PIECE_PAUSE_S = 0.02
_JOIN_S = 10.0

Listener = Callable[[ConsoleRecord], None]


class Console:
    """Open from the moment it is made until `close`.

    Args:
        port: path or URL.
        purpose: why the port is held; told to others who want it.
        baud: bits per second.
        lock: a lock that is held already, and stays so; without it the console takes and releases one.
        clock, opener: of the times in records and exchanges; opens the port.

    Raises:
        PreflightError: the port cannot be opened, or somebody has it.
    """

    def __init__(
        self,
        port: str,
        *,
        purpose: str = "",
        baud: int = BAUD,
        lock: PortLock | None = None,
        clock: HostClock | None = None,
        opener: Callable[[str, int], SerialPort] = open_port,
    ) -> None:
        self.port, self._open_port = port, opener
        self.clock = clock or HostClock()
        self._baud = baud
        self._own_lock = PortLock(port, purpose) if lock is None else None
        self._listeners: tuple[Listener, ...] = ()
        self._guard = threading.Lock()  # of what follows
        self._requests = Requests()
        self._events = EventStream()
        self._write_guard = threading.Lock()
        self._opened = threading.Event()
        self._closing = threading.Event()
        self._last_text = b""
        self._heard_ns = 0
        self._busy = Deadline(0)  # of a board that said that it will not answer
        self._gone = ""
        self._defect: Exception | None = None
        try:
            self._serial: SerialPort | None = opener(port, baud)
        except BaseException:
            self._release_lock()
            raise
        self._opened.set()
        self._thread: threading.Thread | None = None
        self._start()

    # Asking

    def request(
        self, do: str, timeout_s: float = REQUEST_TIMEOUT_S, *, tries: int = 1, **fields: object
    ) -> Any:
        """Ask for something and wait for the answer.

        Args:
            do: command, see docs/firmware.md.
            timeout_s: of each try.
            tries: for commands that may be done twice: how often to ask when no answer comes.
            **fields: of the request.

        Returns:
            What the board answered.

        Raises:
            BoardError: it refused, no answer came in time, or the port is gone.
        """
        return self.exchange(do, timeout_s, tries=tries, **fields).value

    def exchange(
        self, do: str, timeout_s: float = REQUEST_TIMEOUT_S, *, tries: int = 1, **fields: object
    ) -> Exchange:
        """`request`, with the times at which it was sent and answered."""
        return self.exchange_again(do, repeat(timeout_s, tries), **fields)

    def exchange_again(self, do: str, waits: Iterable[float], **fields: object) -> Exchange:
        """Ask again and again for something that may be done twice; late answers to earlier tries count.

        Args:
            do, fields: as `request`.
            waits: how long to wait for an answer after each try, in s; taken one by one.

        Raises:
            BoardError: as `request`; no answer when `waits` has ended.
        """
        waiting = Waiting()
        unanswered_yet: Unanswered | None = None
        try:
            for timeout_s in waits:
                try:
                    return self._exchange(do, timeout_s, fields, waiting)
                except Unanswered as error:
                    unanswered_yet = error
        finally:
            self._requests.end(waiting)
        raise unanswered_yet or Unanswered(f"{do}: not asked", where=self.port)

    def wait_until_ready(self, timeout_s: float) -> dict[str, Any]:
        """Wait until the firmware answers, e.g. after a reset; returns what `identify` says.

        Raises:
            BoardError: it did not in time.
        """
        deadline = Deadline(timeout_s)

        def waits() -> Iterator[float]:
            yield min(READY_POLL_S, timeout_s)
            while not deadline.expired:
                yield min(READY_POLL_S, deadline.remaining_s)

        return cast("dict[str, Any]", self.exchange_again("identify", waits()).value)

    def restart(self, timeout_s: float = 20.0, *, soft: bool = True) -> dict[str, Any]:
        """Reboot the board and wait until its firmware answers again; returns what `identify` says.

        Args:
            timeout_s: for all of it.
            soft: start the interpreter anew, which brings settings into force; otherwise reset the chip.

        Raises:
            BoardError: it refused, or did not come back in time.
        """
        deadline = Deadline(timeout_s)
        boot = self.request("reboot", soft=soft)
        while True:
            found = self.wait_until_ready(deadline.remaining_s)
            # An answer from before it went down would be believed otherwise.
            if found.get("boot") != boot:
                return found
            if deadline.expired:
                raise BoardError("answers, but did not reboot", where=self.port)
            self._closing.wait(0.05)

    def recover_events(self) -> None:
        """Have the board tell again what never came, as far as it keeps that.

        Raises:
            BoardError: it does not answer.
        """
        self._events.recover(
            lambda first, last: list(
                self.request("tell", first=first, last=last, tries=RECOVERY_TRIES)["told"]
            )
        )

    @property
    def last_text(self) -> bytes:
        """What the board said last that is neither answer nor event."""
        return self._last_text

    @property
    def missing_events(self) -> int:
        """Events that were told and never came."""
        return self._events.missing

    # Listening

    def add_listener(self, listener: Listener) -> None:
        """Call `listener(record)` for everything that comes, from the reading thread; it must not wait."""
        with self._guard:
            self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Listener) -> None:
        """Call it no more."""
        with self._guard:
            self._listeners = tuple(one for one in self._listeners if one != listener)

    # Port

    def send(self, data: bytes) -> None:
        """Write bytes as they are, e.g. Ctrl-C.

        Raises:
            BoardError: the port is gone.
        """
        self._write(data, Deadline(REQUEST_TIMEOUT_S))

    @contextlib.contextmanager
    def released(self) -> Iterator[str]:
        """Close the port for a while, so that another program may use it, and keep the lock.

        Raises:
            PreflightError: the port cannot be opened again.
        """
        self._stop("in use by another program")
        try:
            yield self.port
        finally:
            self._serial = self._open_port(self.port, self._baud)
            self._opened.set()
            self._start()

    def close(self) -> None:
        """Close the port; whoever waits gets a BoardError. Safe to call twice."""
        self._stop("the console was closed")
        self._release_lock()

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Inside

    def _exchange(self, do: str, timeout_s: float, fields: dict[str, object], waiting: Waiting) -> Exchange:
        """One try."""
        deadline = Deadline(timeout_s)
        request_id = self._requests.begin(waiting)
        # The line end before it ends whatever half line the board may have.
        line = b"\n" + MARKER + sealed(json.dumps({"id": request_id, "do": do, **fields}).encode()) + b"\n"
        if len(line) - 2 > MAX_LINE_BYTES:
            raise BoardError(
                f"{do}: the request has {len(line) - 2} bytes; a board takes {MAX_LINE_BYTES}",
                where=self.port,
            )
        sent_ns = waiting.sent_ns[request_id] = self._write(line, deadline)
        while not waiting.done.wait(deadline.remaining_s):
            # A board that connects does not listen: it said so, and answers afterwards.
            extra_s = self._busy.remaining_s
            if not extra_s:
                break
            deadline = Deadline(extra_s + timeout_s)
            self._busy = Deadline(0)
        answer = waiting.answer
        if answer is None:
            raise self._no_answer(do, timeout_s, waiting.failure, sent_ns)
        if answer.error is not None:
            raise Refusal(f"{do}: {answer.error}", answer.code, where=self.port)
        return Exchange(answer.value, waiting.sent_ns[answer.request_id], waiting.at_ns)

    def _write(self, data: bytes, deadline: Deadline) -> int:
        if not self._opened.wait(deadline.remaining_s):
            what = f"the port is gone ({self._gone})"
            raise Unanswered(what, where=self.port, next_step="plug the board in")
        if self._defect is not None:
            raise RuntimeError(f"a listener of {self.port} failed") from self._defect
        with self._write_guard:
            try:
                sent_ns = self.clock.utc_ns()
                for at in range(0, len(data), _PIECE_BYTES):
                    if at:
                        time.sleep(_PIECE_PAUSE_S)
                        sent_ns = self.clock.utc_ns()
                    if self._serial is None:
                        raise OSError(self._gone)
                    self._serial.write(data[at : at + _PIECE_BYTES])
            except (OSError, TypeError, AttributeError) as error:
                # pyserial's errors are OSErrors; a port closed by the reader meanwhile gives the others.
                raise Unanswered(f"the port is gone ({error})", where=self.port) from error
        return sent_ns

    def _no_answer(self, do: str, timeout_s: float, failure: str, sent_ns: int) -> Unanswered:
        if failure:
            return Unanswered(f"{do}: no answer ({failure})", where=self.port)
        heard = b"" if self._heard_ns < sent_ns else self._last_text
        return unanswered(f"{do}: no answer within {timeout_s:g} s", self.port, heard, self._last_text)

    def _start(self) -> None:
        self._closing.clear()
        self._thread = threading.Thread(target=self._read, name=f"console {self.port}", daemon=True)
        self._thread.start()

    def _stop(self, reason: str) -> None:
        self._gone = reason
        self._opened.clear()
        self._closing.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)
        self._drop_port()
        self.give_up(reason)

    def _release_lock(self) -> None:
        lock, self._own_lock = self._own_lock, None
        if lock is not None:
            lock.release()

    def _drop_port(self) -> None:
        # The reader and whoever closes the console may both come here.
        serial, self._serial = self._serial, None
        if serial is not None:
            with contextlib.suppress(OSError):
                serial.close()

    def _read(self) -> None:
        try:
            self._read_on()
        except Exception as error:  # of a listener: whoever uses the console must not wait for ever
            self._defect = error
            self._opened.set()
            self.give_up(f"a listener failed: {error!r}")
            raise

    def _read_on(self) -> None:
        splitter = LineSplitter()
        while not self._closing.is_set():
            serial = self._serial
            if serial is None:
                if not self._reopen():
                    return
                splitter = LineSplitter()
                continue
            try:
                data = serial.read(max(1, serial.in_waiting))
            except (OSError, TypeError, AttributeError) as error:
                self._lose_port(error)
                continue
            if data:
                at_ns = self.clock.utc_ns()
                self._heard_ns = at_ns
                for line in splitter.feed(data):
                    self._take(line, at_ns)
                if splitter.rest:
                    self._last_text = splitter.rest

    def _lose_port(self, error: Exception) -> None:
        self._gone = str(error)
        self._opened.clear()
        self._drop_port()
        self.give_up("the port is gone")
        self._tell(PortChange(self.clock.utc_ns(), False, self._gone))

    def _reopen(self) -> bool:
        """False: the console is being closed."""
        while not self._closing.wait(REOPEN_S):
            try:
                self._serial = self._open_port(self.port, self._baud)
            except PreflightError as error:
                self._gone = error.what
                continue
            self._tell(PortChange(self.clock.utc_ns(), True, "opened again"))
            self._opened.set()
            return True
        return False

    def _take(self, line: bytes, at_ns: int) -> None:
        self._tell(Line(at_ns, line))
        # Whatever comes next shows that it listens again.
        self._busy = Deadline(busy_s(line))
        said = parse_line(line)
        if isinstance(said, Answer):
            self._tell(*self._events.answered(said.value, at_ns))
            self._requests.answered(said, at_ns)
        elif isinstance(said, Event):
            self._tell(*self._events.take(said, at_ns))
        else:
            self._last_text = line

    def _tell(self, *records: ConsoleRecord) -> None:
        for record in records:
            for listener in self._listeners:
                listener(record)

    def give_up(self, reason: str) -> None:
        """Whoever waits for an answer waits no more, and gets an `Unanswered` with the reason."""
        self._requests.give_up(reason)
