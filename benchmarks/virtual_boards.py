"""CPU per QoS 1 message of virtual boards, flat out and at the pace of buoys, beside peers.

    python benchmarks/virtual_boards.py [--messages N] [--rounds N] [--only flat-out|paced|size]

Both sides send a fresh JSON payload of nine measures and a timestamp to the same mosquitto, unpaced, with 20
messages in flight. The virtual boards write their ledger as well. CPU is that of the senders between
connect and the last acknowledgement. The two sides take turns; ratios are made within a turn.

Paced, each client sends one message a second: a pack beside bytes that were encoded before, on uvloop (what
the system itself costs), and beside gmqtt with a fresh payload. Last, memory and connects.
"""

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.connection
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from _bench import mosquitto

from buoyfleet.boards.job import PackJob
from buoyfleet.boards.unit import PackUnit
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.fleet import BoardSpec, LinkSpec, SensorSpec
from buoyfleet.model.ledger import STREAM_FOLDER, STREAM_SUFFIX, Event
from buoyfleet.model.plan import BoardPlan, interval_us
from buoyfleet.runs.pacing import phase_ms
from sensors.catalog import KEYS

CLIENTS = 30
PACE_S = 1.0
PACED = ((1000, 20), (4000, 20))
"""Clients and messages of each."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one side in one turn."""

    cpu_s: float
    messages: int
    wall_s: float
    max_rss_mb: float = 0.0
    connect_s: float = 0.0
    ack_p50_ms: float = 0.0

    @property
    def cpu_us(self) -> float:
        """CPU µs per message."""
        return self.cpu_s / self.messages * 1e6


def boards(
    port: int, count: int, messages: int, client: str = "fleet", interval_ms: int | None = None
) -> Cost:
    """One pack of virtual boards with counter sensors; unpaced, or each at an interval."""
    sensors = tuple(SensorSpec(key, "counter") for key in KEYS)
    link = LinkSpec(client="paho" if client == "paho" else "fleet")
    ids = range(100, 100 + count)
    with tempfile.TemporaryDirectory() as folder:
        job = PackJob(
            name="pack-0",
            run_folder=Path(folder),
            boards=tuple(BoardSpec(i, "virtual", f"buoy-{i}", sensors, link, messages, None) for i in ids),
            plans=tuple(
                BoardPlan(i, phase_ms(n, count, interval_ms or 0), interval_us(interval_ms), messages, None)
                for n, i in enumerate(ids)
            ),
            topic_prefix="aws/0",
            payload="stamped",
            water="calm",
            qos=1,
            seed=1,
            drain_timeout_s=30.0,
            first_number=0,
            connect_rate=None,
            max_rate=None,
        )
        cost = asyncio.run(_run_pack(job, port))
        return replace(cost, ack_p50_ms=_ack_p50_ms(Path(folder)))


def _ack_p50_ms(folder: Path) -> float:
    """Median time from sending to PUBACK, from the ledger."""
    (stream,) = folder.glob(f"{STREAM_FOLDER}/*{STREAM_SUFFIX}")
    with pa.OSFile(str(stream)) as source:
        rows = pa.ipc.open_stream(source).read_all().select(["event", "buoy", "seq", "at_ns"]).to_pydict()
    at: dict[int, dict[tuple[int, int], int]] = {Event.SENT: {}, Event.ACKNOWLEDGED: {}}
    for event, buoy, seq, at_ns in zip(*rows.values(), strict=True):
        if event in at:
            at[event][buoy, seq] = at_ns
    sent = at[Event.SENT]
    return statistics.median((done - sent[key]) / 1e6 for key, done in at[Event.ACKNOWLEDGED].items())


async def _run_pack(job: PackJob, port: int) -> Cost:
    unit = PackUnit(job)
    await unit.begin()
    try:
        began = time.monotonic()
        trouble = await unit.connect(Endpoint("127.0.0.1", port))
        if trouble:
            raise SystemExit(f"boards did not connect: {trouble}")
        connected = time.monotonic()
        before_s = _cpu_s(unit.pid)
        await unit.start(time.time_ns())
        reports = await unit.wait()
        wall_s = time.monotonic() - connected
        acknowledged = sum(report.acknowledged for report in reports)
        if acknowledged != sum(board.messages or 0 for board in job.boards):
            raise SystemExit(f"only {acknowledged} messages were acknowledged")
        cpu_s = unit.usage.cpu_s - before_s
        return Cost(cpu_s, acknowledged, wall_s, unit.usage.max_rss_kb / 1024, connected - began)
    finally:
        await unit.close()


def _cpu_s(pid: int | None) -> float:
    """User and system time of a process so far (Linux: /proc)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def paho_processes(port: int, messages: int) -> Cost:
    """The original's shape: one process and one paho client per buoy."""
    context = multiprocessing.get_context("spawn")
    pipes: list[multiprocessing.connection.Connection] = []
    processes = []
    for buoy in range(100, 100 + CLIENTS):
        ours, theirs = context.Pipe()
        process = context.Process(target=_paho_buoy, args=(theirs, port, buoy, messages))
        process.start()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    began = time.monotonic()
    for pipe in pipes:
        pipe.send("go")
    cpu_s = sum(pipe.recv() for pipe in pipes)
    wall_s = time.monotonic() - began
    for process in processes:
        process.join(30)
    return Cost(cpu_s, CLIENTS * messages, wall_s)


def _paho_buoy(pipe: multiprocessing.connection.Connection, port: int, buoy: int, messages: int) -> None:
    import paho.mqtt.client as paho

    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"buoy-{buoy}")
    connected = threading.Event()
    client.on_connect = lambda *_arguments: connected.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    connected.wait(30)
    pipe.send("ready")
    pipe.recv()
    before_s = time.process_time()
    topic = f"aws/0/{buoy}/data/"
    base = 0.0
    last = None
    for n in range(messages):
        body: dict[str, float | bool | int] = {
            key: n % 2 == 1 if key == "liqlev" else round(base + base + n, 2) for key in KEYS
        }
        body["timestamp"] = time.time_ns() // 1_000_000
        last = client.publish(topic, json.dumps(body), 1)
    if last is not None:
        last.wait_for_publish(60)
    pipe.send(time.process_time() - before_s)
    client.loop_stop()
    client.disconnect()


def paced_peer(kind: str, port: int, clients: int, messages: int) -> Cost:
    """Clients of another kind in one process, each with one message a second."""
    command = [sys.executable, str(Path(__file__).with_name("_paced_peer.py")), kind]
    numbers = [str(number) for number in (port, clients, messages, PACE_S)]
    began = time.monotonic()
    with subprocess.Popen(
        [*command, *numbers], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"{kind}: the clients did not connect")
        process.stdin.write("go\n")
        process.stdin.flush()
        acknowledged, cpu_s = process.stdout.readline().split()
    if int(acknowledged) != clients * messages:
        raise SystemExit(f"{kind}: only {acknowledged} messages were acknowledged")
    return Cost(float(cpu_s), int(acknowledged), time.monotonic() - began)


def paced(port: int, rounds: int) -> None:
    """Print CPU per message at one message a second per client."""
    for count, messages in PACED:
        ratios: dict[str, list[float]] = {"raw": [], "gmqtt": []}
        for turn in range(1, rounds + 1):
            ours = boards(port, count, messages, interval_ms=int(1000 * PACE_S)).cpu_us
            found = {kind: paced_peer(kind, port, count, messages).cpu_us for kind in ratios}
            for kind, cost in found.items():
                ratios[kind].append(ours / cost)
            print(
                f"paced, turn {turn}: {count:,} virtual boards at 1/s {ours:5.1f} µs/message,"
                f" raw bytes {found['raw']:5.1f}, gmqtt {found['gmqtt']:5.1f}"
            )
        medians = {kind: statistics.median(values) for kind, values in ratios.items()}
        print(
            f"paced, {count:,} boards: {medians['raw']:.2f} x raw bytes,"
            f" {medians['gmqtt']:.2f} x gmqtt (median)"
        )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1000, help="per buoy (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of both sides (default 3)")
    parser.add_argument("--only", choices=("flat-out", "paced", "size"), help="one part")
    options = parser.parse_args()
    with mosquitto() as port:
        if options.only in (None, "paced"):
            paced(port, options.rounds)
        if options.only in (None, "flat-out"):
            flat_out(port, options.messages, options.rounds)
        if options.only in (None, "size"):
            size(port)


def flat_out(port: int, messages: int, rounds: int) -> None:
    """Print CPU per message without pace."""
    ratios = []
    for turn in range(1, rounds + 1):
        ours = boards(port, CLIENTS, messages)
        same = boards(port, CLIENTS, messages, "paho")
        peers = paho_processes(port, messages)
        ratios.append(peers.cpu_us / ours.cpu_us)
        print(
            f"turn {turn}: virtual boards {ours.cpu_us:5.1f} µs/message"
            f" ({ours.messages / ours.wall_s:,.0f}/s),"
            f" with link paho {same.cpu_us:5.1f}, 30 paho processes {peers.cpu_us:5.1f}"
            f" ({peers.messages / peers.wall_s:,.0f}/s), ratio {ratios[-1]:.1f}"
        )
    print(f"30 paho processes take {statistics.median(ratios):.1f} times the CPU of virtual boards (median)")


def size(port: int) -> None:
    """Print memory and connects."""
    small = boards(port, 1000, 20)
    large = boards(port, 3000, 20)
    print(f"memory: {(large.max_rss_mb - small.max_rss_mb) / 2:.1f} MB per 1000 more virtual boards")
    print(f"connects: {3000 / large.connect_s:,.0f}/s (with the start of the pack's process)")


if __name__ == "__main__":
    main()
