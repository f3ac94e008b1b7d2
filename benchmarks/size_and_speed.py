"""Size and speed of the whole tool: a row for each figure, with the bar it is held to.

    python benchmarks/size_and_speed.py [ROW ...]

| row | what |
|---|---|
| `paced` | a pack, 1 message/s a board: CPU per message beside raw bytes at the same pace |
| `twin` | the twin through to S3, and the main process, 1,000 boards at 1/s: CPU per message |
| `broker` | the whole tool against a plain broker, 1,000 boards at 1/s: CPU per message beside raw bytes |
| `3000`, `10000`, `20000` | so many boards at AWS's limits for 60 s: 3,000 at 1/s, the others at 1/10 s |
| `measures` | 10.8 million measures flat out, run, verified and reported: memory |
| `original` | 30 virtual boards x 100 messages flat out, from command to verdict |
| `flooder` | one QoS 1 flooder beside 30 boards: acknowledgement latency with it and without |
| `topics` | the first message of a new topic in the rules engine |

CPU per message is what 20 more messages of each board cost (35 and 15 messages): starting and reporting are
not in it. Ratios are taken in one run of this script. Absolute times depend on the machine.
"""

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _bench import mosquitto
from _processes import twin_alone
from _runs import CLIENTS, FEW, MANY, TWIN, buoy_run, marginal
from _runs import original as original_run
from virtual_boards import PACED, boards, paced_peer

from buoyfleet.cloud.local import rules
from buoyfleet.cloud.local.config import TwinConfig
from buoyfleet.cloud.local.pipeline import Pipeline
from buoyfleet.mqtt.codec import Connect, encode_connect, encode_publish

TWO_CORES = 2
MB_BAR = 1024.0


def say(row: str, figure: str, bar: str, reached: bool) -> bool:
    """Print a row; returns whether its bar is reached."""
    print(f"{row:<48}{figure:<44}{bar:<28}{'reached' if reached else 'MISSED'}", flush=True)
    return reached


def raw_us() -> float:
    """CPU µs per message of bytes that were encoded before, at the same pace."""
    with mosquitto() as port:
        return paced_peer("raw", port, CLIENTS, MANY - FEW).cpu_us


def paced() -> bool:
    """A pack beside raw bytes and gmqtt."""
    reached = True
    with mosquitto() as port:
        for count, messages in PACED:
            rounds = []
            for _ in range(3):
                ours = boards(port, count, messages, interval_ms=1000).cpu_us
                raw = paced_peer("raw", port, count, messages).cpu_us
                rounds.append((ours / raw, ours, raw))
            ratio, ours, raw = statistics.median(rounds), *sorted(rounds)[1][1:]
            row = f"pack, paced, {count:,} boards"
            reached &= say(
                row, f"{ratio[0]:.2f} x raw bytes ({ours:.0f} and {raw:.0f} µs)", "2.0 x", ratio[0] <= 2
            )
    return reached


def twin() -> bool:
    """The local path."""
    raw = raw_us()
    cost = marginal(TWIN)
    through = cost.get("twin", 0.0) + cost.get("handler", 0.0)
    words = f"{through:.1f} µs, {through / raw:.2f} x raw bytes"
    reached = say("twin, paced, through to S3, per message", words, "60 µs", through <= 60)
    words = f"{cost['main']:.1f} µs, {cost['main'] / raw:.2f} x raw bytes"
    reached &= say("main process, paced, per message", words, "25 µs", cost["main"] <= 25)
    print(
        f"  by part: {', '.join(f'{part} {us:.1f} µs' for part, us in cost.items())}; raw bytes {raw:.1f} µs"
    )
    return reached


def broker() -> bool:
    """The whole tool against someone else's broker."""
    raw = raw_us()
    with mosquitto() as port:
        cost = marginal({"kind": "broker", "host": "127.0.0.1", "port": port})
    whole = sum(cost.values())
    words = f"{whole:.1f} µs, {whole / raw:.2f} x raw bytes"
    reached = say("whole tool, plain broker, per message", words, "3 x raw bytes", whole <= 3 * raw)
    print(
        f"  by part: {', '.join(f'{part} {us:.1f} µs' for part, us in cost.items())}; raw bytes {raw:.1f} µs"
    )
    return reached


def fleet_of(count: int, interval_s: int) -> bool:
    """Many boards at AWS's limits."""
    done = buoy_run(
        range(1, count + 1),
        {"duration": "60 s", "interval": f"{interval_s} s", "start_spread": f"{interval_s} s"},
    )
    result, usage = done.result, done.usage
    if not result:
        say(f"{count:,} boards at 1/{interval_s} s, 60 s", f"exit {usage.exit_code}", "exit 0", False)
        print(usage.output)
        return False
    latency = result["ack_latency"] or {"p99_ms": float("inf"), "p50_ms": float("inf")}
    missing = sum(store["missing"] for store in result["stores"])
    reconnects = sum(board["reconnects"] for board in result["boards"])
    phases = result["phases_s"]
    words = f"exit {usage.exit_code}, {missing} measures missing, ack p99 {latency['p99_ms']:.0f} ms"
    good = usage.exit_code == 0 and missing == 0 and latency["p99_ms"] < 500
    say(f"{count:,} boards at 1/{interval_s} s, 60 s", words, "exit 0, 0, < 500 ms", good)
    print(
        f"  connected in {phases.get('connect', 0):.1f} s, {reconnects} reconnects,"
        f" ack p50 {latency['p50_ms']:.1f} ms;"
        f" CPU {', '.join(f'{part} {s:.1f} s' for part, s in usage.cpu_s.items())};"
        f" memory {', '.join(f'{part} {mb:.0f} MB' for part, mb in usage.peak_mb.items())}"
    )
    if not good:
        print(usage.output)
    return good


def measures() -> bool:
    """As many measures as a person can wait for."""
    done = buoy_run(range(1000, 1300), {"messages": 4000, "interval": "1 s"}, options=("--flat-out",))
    usage = done.usage
    most = max(usage.peak_mb.values())
    part = max(usage.peak_mb, key=lambda part: usage.peak_mb[part])
    words = f"exit {usage.exit_code}, {most:.0f} MB ({part}), report {done.report_mb:.1f} MB"
    good = usage.exit_code == 0 and most <= MB_BAR and done.report_mb < 20
    say("10.8 million measures, flat out", words, "exit 0, 1 GB", good)
    print(
        f"  {usage.wall_s:.0f} s from command to verdict;"
        f" CPU {', '.join(f'{part} {s:.1f} s' for part, s in usage.cpu_s.items())};"
        f" memory {', '.join(f'{part} {mb:.0f} MB' for part, mb in usage.peak_mb.items())}"
    )
    if usage.exit_code:
        print(usage.output)
    return good


def original() -> bool:
    """What a first-time user runs."""
    runs = [original_run() for _ in range(5)]
    walls = sorted(run.usage.wall_s for run in runs)
    cpu_s = statistics.median(sum(run.usage.cpu_s.values()) for run in runs)
    good = all(run.usage.exit_code == 0 for run in runs)
    words = f"{statistics.median(walls):.2f} s (best {walls[0]:.2f} s, {cpu_s:.2f} s of CPU)"
    reached = say(
        "original scenario, command to verdict", words, "1.8 s", good and statistics.median(walls) <= 1.8
    )
    phases = runs[-1].result.get("phases_s", {})
    print("  last run by phase: " + ", ".join(f"{phase} {s:.2f} s" for phase, s in phases.items()))
    return reached


def flood(port: int, window: int = 1000) -> None:
    """Publish QoS 1 messages on one connection as fast as they are acknowledged; never returns."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(encode_connect(Connect("flooder")))
        connection.recv(4)
        packet = encode_publish(b"aws/0/99/data/", b'{"ph":7.1}', 1, packet_id=1)
        connection.sendall(packet * window)
        while data := connection.recv(65_536):
            connection.sendall(packet * (len(data) // 4))


def flooder() -> bool:
    """Whether a board waits for another one's flood."""
    alone, beside = [], []
    with twin_alone(limits="lifted") as port:
        for _ in range(3):
            alone.append(boards(port, 30, 40, interval_ms=250).ack_p50_ms)
            process = multiprocessing.get_context("spawn").Process(target=flood, args=(port,), daemon=True)
            process.start()
            beside.append(boards(port, 30, 40, interval_ms=250).ack_p50_ms)
            process.terminate()
            process.join()
    ratio = statistics.median(with_it / without for with_it, without in zip(beside, alone, strict=True))
    words = f"{ratio:.1f} x ({statistics.median(beside):.1f} and {statistics.median(alone):.1f} ms)"
    return say("ack p50 beside one QoS 1 flooder", words, "2 x of without it", ratio <= 2)


def topics() -> bool:
    """What the rules engine does for a topic that it has not seen."""
    count = 2000
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(TwinConfig(str(Path(folder) / "twin")))
        pipeline.compile_rules()
        parses = 0

        def parsed(text: str, version: str) -> object:
            nonlocal parses
            parses += 1
            return really(text, version)

        really = rules.parse_expression
        rules.parse_expression = parsed  # type: ignore[assignment]
        cost_us = []

        async def send() -> None:
            before_s = time.process_time()
            for number in range(count):
                pipeline.sink(f"aws/0/{1000 + number}/data/", b'{"ph":7.1}', 1, False, False, "board")
            pipeline.take_in()
            cost_us.append((time.process_time() - before_s) / count * 1e6)

        try:
            asyncio.run(send())
            asyncio.run(send())
        finally:
            rules.parse_expression = really
    words = f"{parses} expressions parsed for {count:,} topics; {cost_us[0] - cost_us[1]:.0f} µs more"
    return say("first message of a new topic", words, "parsed once per rule", parses <= 4)


ROWS: dict[str, Callable[[], bool]] = {
    "paced": paced,
    "twin": twin,
    "broker": broker,
    "3000": lambda: fleet_of(3000, 1),
    "10000": lambda: fleet_of(10000, 10),
    "20000": lambda: fleet_of(20000, 10),
    "measures": measures,
    "original": original,
    "flooder": flooder,
    "topics": topics,
}


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="which rows (default: all)")
    options = parser.parse_args()
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown:
        parser.error(f"unknown row {unknown[0]!r}; the rows are {', '.join(ROWS)}")
    for row in options.rows or ROWS:
        print(f"$ python benchmarks/size_and_speed.py {row}")
        ROWS[row]()


if __name__ == "__main__":
    main()
