"""The self-test of a commissioned board: sensors, link, and one message that is seen to arrive."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from buoy.link import UP

from buoyfleet.bench.arrivals import Arrivals
from buoyfleet.bench.batch import Stop
from buoyfleet.model.clock import Deadline
from buoyfleet.model.endpoint import LOOPBACK
from buoyfleet.model.errors import BoardError
from buoyfleet.serial.console import Console
from buoyfleet.serial.records import BoardEvent, ConsoleRecord
from sensors.quality import CONTRADICTORY, WARMING, publishable

READINGS = 3
"""The first may go wrong by chance, or find a circuit that has just restarted; then two more prove it."""
PH_AGAIN = 2
"""Readings of pH beside the first: an input without electrode wanders over the whole scale."""
PH_SPREAD = 0.5
"""An electrode that still settles after power came moves by less than 0.05 in these seconds."""
SENSORS_S = 15.0
"""All nine together take little longer than the slowest (flow, 1 s); warming up comes before."""
CONNECT_S = 60.0
"""Wi-Fi, time, name look-up and TLS; 15 s each are allowed."""
ARRIVE_S = 20.0
_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What to test against; `arrivals` None: no broker, so that connecting is not tested."""

    topic: str
    arrivals: Arrivals | None
    sensors: tuple[str, ...]
    """Keys that are not off."""
    probes: tuple[str, ...] = ()
    """Those of them that are no fakes."""
    connect_s: float = CONNECT_S
    broker_host: str = ""
    """Where the board looks for the broker."""


def run_self_test(console: Console, test: SelfTest, stop: Stop) -> dict[str, Any]:
    """Carry it out; returns the figures for the record.

    Raises:
        BoardError: the first thing that does not work.
    """
    figures: dict[str, Any] = {}
    console.request("clock", tries=3, utc=time.time_ns() // 1_000_000)
    figures["sensors"], figures["flags"] = _read_sensors(console, test.sensors, test.probes)
    if test.arrivals is not None:
        figures["connect_s"] = _wait_for_link(console, stop, test)
        figures.update(_publish(console, test, test.arrivals, stop))
    health = console.request("health", tries=3)
    for name in ("heap_size", "idf_free", "idf_largest", "idf_lowest", "uptime_ms"):
        if name in health:
            figures[name] = health[name]
    return figures


def _read_sensors(
    console: Console, keys: tuple[str, ...], probes: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Key → reading, and key → its flags where it has some."""
    if not keys:
        return {}, {}

    def read(*some: str) -> dict[str, Any]:
        chosen = {"keys": list(some)} if some else {}
        found: dict[str, Any] = console.request("sensors", SENSORS_S, tries=2, **chosen)
        return found

    answer, bad = prove(read, keys, probes)
    if bad:
        texts = "; ".join(f"{key} ({text})" for key, text in bad.items())
        raise BoardError(
            f"{len(bad)} of {len(keys)} sensors give no reading: {texts}",
            where=console.port,
            cause="a probe that is not connected, not on the pin that the settings name, or in air",
            next_step="put all probes into tap water, let it run through the flow meter, look at the wiring "
            "table of `buoy docs bench`, and type the same command; or set the sensor to `off` in the fleet "
            "file",
        )
    flagged = {key: _flags(answer[key]) for key in keys if answer[key]["flags"]}
    return {key: answer[key]["measured"] for key in keys}, flagged


def prove(
    read: Callable[..., dict[str, Any]], keys: tuple[str, ...], probes: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, str]]:
    """(last answer, key → fault) after as many readings as it takes.

    Args:
        read: the console command `sensors` for all keys, or for those it is given.
        keys, probes: see `faulty`.
    """
    answer = read()
    bad = faulty(answer, keys, probes)
    doubtful = bad or any(answer[key]["flags"] & CONTRADICTORY for key in probes)
    for _ in range(READINGS - 1 if doubtful else 0):
        answer = read()
        bad = faulty(answer, keys, probes)
        if bad:
            break
    if "ph" in probes and "ph" not in bad:
        bad.update(wandering([answer["ph"], *(read("ph")["ph"] for _ in range(PH_AGAIN))]))
    return answer, bad


def faulty(answer: dict[str, Any], keys: tuple[str, ...], probes: tuple[str, ...]) -> dict[str, str]:
    """Key → what is wrong, of the sensors that do not prove that their part is there and measures.

    Args:
        answer: of the console command `sensors`.
        keys: that are not off.
        probes: those of them that are no fakes.

    A part may still settle, which a probe does for minutes after power came, and need not be calibrated: what
    it says until then is flagged or withheld, but proves the wiring.
    """
    return {key: text for key in keys if (text := _fault(key, answer.get(key), key in probes))}


def wandering(readings: list[dict[str, Any]]) -> dict[str, str]:
    """The pH electrode's fault if readings taken at once differ as only an open input's do."""
    values = [float(reading["measured"]) for reading in readings if reading.get("measured") is not None]
    spread = max(values, default=0.0) - min(values, default=0.0)
    return {"ph": f"wanders by {spread:.1f}: electrode unplugged"} if spread > PH_SPREAD else {}


def _fault(key: str, reading: Any, probe: bool) -> str:
    if not isinstance(reading, dict):
        return "not built"
    if reading.get("measured") is None or not publishable(reading.get("flags", 0) & ~WARMING):
        return _told(reading)
    if not probe:
        return ""
    if key == "wf" and reading.get("raw") == 0:
        return "no pulses: no water runs through it, the rotor is jammed, or the cable is off"
    if key == "liqlev" and reading["measured"] is False:
        return "dry: not in water, or the cable is off"
    return ""


def _told(reading: dict[str, Any]) -> str:
    note = reading.get("note")
    return _flags(reading) + (f": {note}" if note else "")


def _flags(reading: dict[str, Any]) -> str:
    from sensors.flags import names

    return ", ".join(names(reading.get("flags", 0))) or "no value"


def _wait_for_link(console: Console, stop: Stop, test: SelfTest) -> float:
    timeout_s = test.connect_s
    deadline = Deadline(timeout_s)
    while True:
        health = console.request("health", tries=3)
        if health.get("link") == UP:
            return round(timeout_s - deadline.remaining_s, 2)
        if deadline.expired:
            break
        stop.wait(_POLL_S, console.port)
    if health.get("link") is None:
        what, cause, next_step = (
            "the application does not run",
            str(health.get("trouble") or "settings or identity are not complete"),
            f"buoy settings get {console.port}",
        )
    elif not health.get("wifi"):
        what, cause, next_step = (
            "the Wi-Fi is not joined",
            "name or password are wrong, or the access point is not in reach",
            "correct `wifi` in the fleet file, then the same command with --force identity",
        )
    else:
        # What the board itself says is the headline; the rest is where to look.
        said = health.get("link_trouble") or f"link state {health.get('link')}"
        what = f"no connection to the broker on {test.broker_host}: {said}"
        if test.broker_host in LOOPBACK:
            cause = "that address is the board itself: only simulated boards reach this computer by it"
            next_step = "for real boards name a broker in their network as `target` of the fleet file"
        else:
            cause = ""
            next_step = (
                "correct host, port or `tls` of the target, or what the broker lets this thing do; "
                f"`buoy monitor {console.port}` shows what the board says"
            )
    raise BoardError(f"{what} after {timeout_s:g} s", where=console.port, cause=cause, next_step=next_step)


def _publish(console: Console, test: SelfTest, arrivals: Arrivals, stop: Stop) -> dict[str, Any]:
    """Have one message made; it must be told as sent and acknowledged, and arrive as it was told."""
    payloads: list[str] = []
    acknowledged: list[int] = []

    def listen(record: ConsoleRecord) -> None:
        if isinstance(record, BoardEvent):
            if record.body.get("what") == "sent":
                payloads.append(str(record.body.get("payload")))
            elif record.body.get("what") == "acknowledged":
                acknowledged.append(record.at_ns)

    console.add_listener(listen)
    began = time.monotonic()
    try:
        _start_plan(console, stop)
        deadline = Deadline(ARRIVE_S)
        while not (payloads and acknowledged):
            if deadline.expired:
                what = "was not acknowledged by the broker" if payloads else "was not sent"
                raise BoardError(f"a message {what} within {ARRIVE_S:g} s", where=console.port)
            stop.wait(0.05, console.port)
        acknowledged_s = time.monotonic() - began
        try:
            arrivals.wait_for(test.topic, payloads[-1].encode(), ARRIVE_S, lambda: stop.check(console.port))
        except TimeoutError:
            raise BoardError(
                f"a message was acknowledged, but did not arrive on {test.topic} within {ARRIVE_S:g} s",
                where=console.port,
                cause="another broker than the one that is watched, or a policy that refuses the topic",
            ) from None
        return {"acknowledged_s": round(acknowledged_s, 2), "arrived": True}
    finally:
        console.remove_listener(listen)
        # `end` also forgets that a plan is under way, where the firmware remembers that over resets.
        console.request("stop", tries=3, end=True)


def _start_plan(console: Console, stop: Stop) -> None:
    from buoyfleet.serial.refusals import RefusalCode
    from buoyfleet.serial.trouble import Refusal

    deadline = Deadline(ARRIVE_S)
    while True:
        try:
            now_ms = time.time_ns() // 1_000_000
            console.request("run", start=now_ms + 100, interval_us=1_000_000, interval_ms=1000, count=1)
            return
        except Refusal as error:
            # A message of its own may still be on its way.
            if deadline.expired or error.code is not RefusalCode.BUSY:
                raise
            stop.wait(_POLL_S, console.port)
