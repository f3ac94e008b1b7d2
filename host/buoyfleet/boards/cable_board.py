"""What a run does with a board on a cable, over its console; every method blocks its thread.

A board is told what to be, over its console as any other program would; afterwards it gets back what it was.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from buoy.identity import CERTS
from buoy.link import UP

from buoyfleet.boards.board_settings import RunSettings, changes_between, settings_for
from buoyfleet.boards.clock_track import ClockTrack, Ping
from buoyfleet.model.board_names import may_be_simulated
from buoyfleet.model.clock import Deadline
from buoyfleet.model.endpoint import LOOPBACK, Endpoint
from buoyfleet.model.errors import BoardError
from buoyfleet.model.fleet import BoardSpec
from buoyfleet.model.plan import BoardPlan
from buoyfleet.serial.console import Console
from buoyfleet.serial.trouble import Refusal

BOOT_TIMEOUT_S = 25.0
"""Boot loader, interpreter, 3 s for Ctrl-C, application."""
JOIN_TIMEOUT_S = 25.0
"""Wi-Fi, on top of the link's own time to connect."""
LOOK_S = 0.2
TRIES = 3
PINGS = 8
# The firmware looks at its console every 20 ms: pings out of step with that find it sooner or later at once.
_PING_SPREAD_S = 0.02
# More often than this a message is not written to flash first: on a real chip that takes tens of ms.
_DURABLE_FROM_MS = 50.0


@dataclass(frozen=True, slots=True)
class WifiAccess:
    """Name and password of an access point."""

    ssid: str
    password: str

    def __repr__(self) -> str:
        return f"WifiAccess({self.ssid!r}, …)"


class Plug(Protocol):
    """How a board comes to have a port; the only thing that differs between boards on a cable."""

    wifi: WifiAccess | None
    """To be told to the board; None: it keeps its own."""
    wifi_around: WifiAccess | None
    """To be told to a board that has none."""
    kept: bool
    """Whether the board is there after the run, and wants its settings back."""
    on_this_machine: bool
    """Whether its sockets are this computer's, so that it reaches 127.0.0.1."""

    def plug_in(self) -> str:
        """Make the port be there; returns its path or URL. Raises BuoyError."""
        ...

    def own_settings(self) -> dict[str, Any]:
        """Pins and drivers as the board is built, where it does not know them itself."""
        ...

    def release(self) -> None:
        """The board is needed no more. Safe to call twice."""
        ...


@dataclass(slots=True)
class Earlier:
    """What a board was before the run."""

    settings: dict[str, Any]
    thing: str | None
    buoy: int | None
    had_wifi: bool


class CableBoard:
    """One board.

    Args:
        spec, plan: what it shall do.
        run: what it needs of the fleet.
        console: open.
        clock: gets what pings show.
        keep: file for what the board was before.
        say: takes a line for the board's log.
    """

    def __init__(
        self,
        spec: BoardSpec,
        plan: BoardPlan,
        run: RunSettings,
        console: Console,
        clock: ClockTrack,
        keep: Path,
        say: Callable[[str], None],
    ) -> None:
        self.spec = spec
        self.console = console
        self.clock = clock
        self._plan = plan
        self._run = run
        self._keep = keep
        self._say = say
        self._random = random.Random(spec.buoy_id)
        self._earlier: Earlier | None = None

    @property
    def durable(self) -> bool:
        """Whether its messages are on flash until they have arrived."""
        interval_us = self._plan.interval_us
        return interval_us is not None and interval_us >= _DURABLE_FROM_MS * 1000

    def configure(self, plug: Plug, endpoint: Endpoint) -> None:
        """Make the board what the fleet file says, and restart it.

        Raises:
            BoardError: it is another board, lacks something, or does not follow.
        """
        console, spec = self.console, self.spec
        found = console.wait_until_ready(BOOT_TIMEOUT_S)
        if found["buoy"] not in (None, spec.buoy_id):
            raise BoardError(
                f"the board there is buoy {found['buoy']}, the fleet file says {spec.buoy_id}",
                where=console.port,
                cause="boards were plugged into each other's ports",
                next_step="exchange the ports in the fleet file, or give the board its id: buoy commission",
            )
        wifi = plug.wifi or (plug.wifi_around if found["wifi"] == "unset" else None)
        if found["wifi"] == "unset" and wifi is None:
            raise BoardError(
                "the board knows no Wi-Fi",
                where=console.port,
                next_step="write `wifi: {ssid: …, password: ${env:WIFI_PASSWORD}}` at its group",
            )
        here = plug.on_this_machine or may_be_simulated(console.port)
        if not here and endpoint.host in LOOPBACK:
            raise BoardError(
                f"a board cannot reach {endpoint.host}, which is this computer itself",
                where=console.port,
                cause="the twin listens on this computer only",
                next_step="give the run a target that the board's Wi-Fi reaches: --target mqtt://HOST:1883",
            )
        if endpoint.tls is not None:
            self._check_certificates()
        own = console.request("get", tries=TRIES)
        self._earlier = Earlier(own, found["thing"], found["buoy"], found["wifi"] == "set")
        if plug.kept:
            self._keep.parent.mkdir(parents=True, exist_ok=True)
            self._keep.write_text(json.dumps(asdict(self._earlier), indent=1))
        own = {**own, **plug.own_settings()}
        wanted = {**settings_for(spec, self._run, endpoint, own), "pins": own["pins"], "power": own["power"]}
        console.request("stop", end=True, tries=TRIES)
        if found["maintenance"]:
            console.request("maintenance", seconds=0, tries=TRIES)
        if found["buoy"] is None:
            console.request("id", buoy=spec.buoy_id, tries=TRIES)
        if found["thing"] != spec.thing_name:
            console.request("thing", thing=spec.thing_name, tries=TRIES)
        if wifi is not None:
            console.request("wifi", ssid=wifi.ssid, password=wifi.password, tries=TRIES)
        for changes in changes_between(self._earlier.settings, wanted):
            console.request("set", settings=changes, tries=TRIES)
        console.restart(BOOT_TIMEOUT_S)
        self.set_clock()

    def _check_certificates(self) -> None:
        try:
            for path in (f"{CERTS}/ca.der", f"{CERTS}/cert.der"):
                self.console.request("hash", path=path, tries=TRIES)
        except Refusal:
            raise BoardError(
                "the target wants TLS, and the board has no certificates",
                where=self.console.port,
                next_step="give it some: buoy commission --help",
            ) from None

    def wait_until_connected(self, given_up: Callable[[], bool]) -> str:
        """Wait for the link; returns what keeps it, "" if it is up and nothing from before is on its way."""
        deadline = Deadline(self.spec.link.connect_timeout_s + JOIN_TIMEOUT_S)
        while True:
            health = self.health()
            if health["link"] == UP and health["idle"]:
                return ""
            if given_up() or deadline.expired:
                return _what_keeps(health)
            time.sleep(LOOK_S)

    def set_clock(self) -> None:
        """Give the board the time and find out how exactly it has it."""
        # The request waits until the firmware looks, half a step on average.
        self.console.request("clock", utc=self.console.clock.utc_ns() // 1_000_000 + 10, tries=TRIES)
        self.clock.restart()
        self.ping()

    def ping(self) -> None:
        """A round of pings.

        Raises:
            BoardError: none was answered.
        """
        pings = []
        for _ in range(PINGS):
            exchange = self.console.exchange("clock", 2.0, tries=TRIES)
            if exchange.value["utc"] is not None:
                pings.append(Ping(exchange.sent_ns, exchange.received_ns, exchange.value["utc"]))
            time.sleep(self._random.random() * _PING_SPREAD_S)
        if not pings:
            raise BoardError("does not know the time", where=self.console.port)
        self.clock.add(pings)

    def health(self) -> dict[str, Any]:
        """See docs/firmware.md."""
        found: dict[str, Any] = self.console.request("health", 2.0, tries=TRIES)
        return found

    def run(self, start_ns: int, first: int = 0) -> None:
        """Begin the plan, or go on with message `first` after a reset; `start_ns` is the run's start.

        Raises:
            BoardError: the board refuses.
        """
        plan, offset_ns = self._plan, self.clock.offset_ns()

        def board_ms(after_ms: int) -> int:
            # In whole numbers, so that start and end are rounded alike.
            return (start_ns + after_ms * 1_000_000 - offset_ns) // 1_000_000

        request: dict[str, Any] = {
            "start": board_ms(plan.start_ms),
            "interval_us": plan.interval_us,
            "count": plan.planned() or plan.messages,
            "end": None if plan.end_ms is None else board_ms(plan.end_ms),
            "durable": self.durable,
        }
        if first:
            request["first"] = first
        self.console.request("run", tries=TRIES, **request)

    def stop(self) -> int | None:
        """Make no more messages; returns how many of the plan were not made, None if nobody counts."""
        left: int | None = self.console.request("stop", tries=TRIES)["left"]
        return left

    def end(self) -> dict[str, Any]:
        """What never left is given up, told and counted; what was lost on the way is told again.

        Returns:
            Its health after that.
        """
        self.console.request("stop", 2.0, give_up=True, tries=TRIES)
        health = self.health()
        self.console.recover_events()
        return health

    def restore(self, tries: int = TRIES) -> list[str]:
        """Give the board back what it was; returns what could not be, a sentence each.

        Args:
            tries: of the first request; one where the board does not answer any more.
        """
        earlier = self._earlier
        if earlier is None:
            return []
        console, buoy_id = self.console, self.spec.buoy_id
        left = []
        try:
            console.request("stop", 2.0, end=True, tries=tries)
            now = console.request("get", tries=TRIES)
            for changes in changes_between(now, earlier.settings):
                console.request("set", settings=changes, tries=TRIES)
            if earlier.thing and earlier.thing != self.spec.thing_name:
                console.request("thing", thing=earlier.thing, tries=TRIES)
            console.restart(BOOT_TIMEOUT_S)
        except BoardError as error:
            return [
                f"board {buoy_id}: its earlier settings could not be put back ({error.what}); "
                f"they are in {self._keep}"
            ]
        self._earlier = None
        new = []
        if earlier.buoy is None:
            new.append(f"id {buoy_id}")
        if not earlier.thing:
            new.append(f"thing name {self.spec.thing_name}")
        if not earlier.had_wifi:
            new.append("Wi-Fi")
        if new:
            left.append(f"board {buoy_id} had none before and keeps: {', '.join(new)}")
        return left


def _what_keeps(health: dict[str, Any]) -> str:
    if health["link"] is None:
        return "its application does not run"
    if not health["wifi"]:
        return "no Wi-Fi"
    if not health["utc"]:
        return "it does not know the time"
    if health["link"] != UP:
        return "the broker cannot be reached"
    return f"{health['outbox']} messages from before are still on their way"
