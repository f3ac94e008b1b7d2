"""`buoy twin`: run the local twin by itself, and look at one that runs."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from buoyfleet.model.errors import BuoyError, UsageError

if TYPE_CHECKING:
    from buoyfleet.cloud.local.config import TwinConfig
    from buoyfleet.cloud.local.twin import Twin

DEFAULT_PORT = 1883
DEFAULT_CONTROL_PORT = 18883
_DRAW_S = 0.5

_HELP = """Run the local twin of the AWS pipeline until Ctrl-C, or ask one that runs.

Examples:

\b
  buoy twin                                    plain MQTT on 1883, rates lifted
  buoy twin --limits aws                       every limit of AWS
  buoy twin --limit publishes_in=5/s           one limit of your own
  buoy twin --fleet scenarios/collision.yaml   of a fleet file (buoy init --scenarios)
  buoy twin status                             look at it from another terminal
  buoy twin metrics | jq .                     its counters under CloudWatch's names
  buoy twin enroll buoy-100=100                 a board's certificate, where the twin has TLS
"""

app = typer.Typer(
    help=_HELP,
    invoke_without_command=True,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def twin(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="MQTT port; 0: any free one.")] = DEFAULT_PORT,
    control_port: Annotated[
        int, typer.Option(help="Port of the control channel; 0: any free one.")
    ] = DEFAULT_CONTROL_PORT,
    folder: Annotated[
        Path | None, typer.Option(help="Where it keeps its stores and evidence. [runs/twin-<time>]")
    ] = None,
    limits: Annotated[
        str, typer.Option(help="`aws` keeps AWS's rates, `lifted` takes what comes.")
    ] = "lifted",
    prefix: Annotated[str, typer.Option(help="Topic prefix; topics are <prefix>/<buoy>/data/.")] = "aws/0",
    payload: Annotated[
        str, typer.Option(help="`stamped`: time from the payload, `original`: time of processing.")
    ] = "stamped",
    fleet: Annotated[
        Path | None,
        typer.Option(help="Fleet file whose `target.twin`, topic prefix and payload it takes."),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="One limit, NAME=VALUE as under `target.twin.limits`; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of text.")] = False,
) -> None:
    """Run the local twin of the AWS pipeline until Ctrl-C."""
    if context.invoked_subcommand is not None:
        return
    from buoyfleet.cloud.local.config import TwinConfig
    from buoyfleet.cloud.local.server import run, serve

    if limits not in ("aws", "lifted"):
        raise UsageError(f"--limits {limits!r}", next_step="use --limits aws or --limits lifted")
    if payload not in ("stamped", "original"):
        raise UsageError(f"--payload {payload!r}", next_step="use --payload stamped or --payload original")
    config = TwinConfig(
        folder=str(folder or Path("runs") / time.strftime("twin-%Y%m%dT%H%M%SZ", time.gmtime())),
        port=port,
        control_port=control_port,
        limits="aws" if limits == "aws" else "lifted",
        topic_prefix=prefix.rstrip("/"),
        payload="original" if payload == "original" else "stamped",
    )
    config = _with_settings(config, fleet, tuple(limit or ()))
    screen = _JsonScreen() if as_json else _TextScreen()
    run(serve(config, screen.ready, watch_parent=False, while_running=screen.watch))
    screen.summary()


def _with_settings(config: "TwinConfig", fleet_file: Path | None, limits: tuple[str, ...]) -> "TwinConfig":
    """With what a fleet file says of its twin, and single limits."""
    if fleet_file is None and not limits:
        return config
    from dataclasses import replace

    from buoyfleet.inventory.loader import load_fleet
    from buoyfleet.inventory.overrides import Overrides, limits_of
    from buoyfleet.model.twin import TwinSpec
    from buoyfleet.runs.targets import hand_over_secrets

    if fleet_file is None:
        return replace(config, twin=TwinSpec(limits=limits_of(limits)))
    fleet = load_fleet(fleet_file, Overrides(limits=limits))
    target = fleet.target
    if target.kind != "local" or target.attach:
        raise UsageError(
            "the fleet has no twin of its own",
            where=str(fleet_file),
            next_step="give a fleet with `target: local`, or with `kind: local` and `twin`",
        )
    hand_over_secrets(fleet)
    return replace(
        config,
        twin=target.twin or TwinSpec(),
        topic_prefix=fleet.topic_prefix,
        payload=fleet.run.payload,
    )


@app.command()
def status(
    address: Annotated[
        str, typer.Argument(help="Control address, HOST:PORT. [the only twin that runs, a run's included]")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="All of its status, as one JSON object.")] = False,
) -> None:
    """What a running twin is and does.

    \b
    buoy twin status
    """  # fmt: skip
    answer = asyncio.run(_ask(address, ("status", "stages")))
    if as_json:
        _print(json.dumps(answer, indent=1))
        return
    _print(_connection_lines(answer))
    _print(f"running for {answer['uptime_s']:.0f} s, {answer['connections']} clients connected")
    _print(_stages_table(answer["stages"]))
    for problem in answer["problems"]:
        _print(f"problem: {problem}")


@app.command()
def enroll(
    things: Annotated[list[str], typer.Argument(help="Boards, THING=BUOY each, e.g. buoy-100=100.")],
    address: Annotated[
        str, typer.Option(help="Control address, HOST:PORT. [the only twin that runs, a run's included]")
    ] = "",
) -> None:
    """Have a twin with TLS make certificates for boards, and say where they are.

    A run that attaches to the twin does this by itself.

    \b
    buoy twin enroll buoy-100=100
    """  # fmt: skip
    pairs = []
    for text in things:
        name, found, number = text.partition("=")
        if not (name and found and number.isdecimal()):
            raise UsageError(f"{text!r} is no board", next_step="write THING=BUOY, e.g. buoy-100=100")
        pairs.append((name, int(number)))
    answer = asyncio.run(_ask(address, ("enrol",), things=pairs))
    tls = answer["tls"]
    if tls is None:
        raise UsageError(
            "the twin speaks plain MQTT: no certificate is needed",
            next_step="start it with a fleet that has `target.twin.tls`",
        )
    for line in _ports_table(answer):
        _print(line)
    _print(f"server   {tls['server_name']} (the name that clients must send by SNI)")
    _print(f"ca       {tls['ca']}")
    for name, _ in pairs:
        _print(f"{name:<8} {tls['certificate'].replace('{thing}', name)}")
        _print(f"         {tls['key'].replace('{thing}', name)}")


@app.command()
def metrics(
    address: Annotated[
        str, typer.Argument(help="Control address, HOST:PORT. [the only twin that runs, a run's included]")
    ] = "",
) -> None:
    """Every counter of a running twin as one JSON object, under CloudWatch's names.

    \b
    buoy twin metrics
    """  # fmt: skip
    _print(json.dumps(asyncio.run(_ask(address, ("metrics",)))["metrics"], indent=1))


def _ports_table(answer: dict[str, Any]) -> list[str]:
    """What a client of each kind has to use; behind it the port that it is in AWS."""
    mqtt, https, every = (answer["ports"][name] for name in ("mqtt", "https", "alpn"))
    rows = [
        ("MQTT", "certificate", mqtt, "", 8883),
        ("MQTT", "certificate", every, "x-amzn-mqtt-ca", 443),
        ("MQTT", "custom authorizer", every, "mqtt", 443),
        ("HTTPS", "certificate", https, "", 8443),
        ("HTTPS", "certificate", every, "x-amzn-http-ca", 443),
        ("HTTPS", "signature, authorizer", every, "", 443),
        ("WebSocket", "signature, authorizer", every, "", 443),
    ]
    lines = [f"{'protocol':<10}{'credentials':<23}{'port':<7}{'ALPN':<16}in AWS"]
    return lines + [f"{p:<10}{by:<23}{port:<7}{alpn or '-':<16}{aws}" for p, by, port, alpn, aws in rows]


async def _ask(address: str, requests: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    """The answers to some requests, in one."""
    from buoyfleet.cloud.local.control_client import ANSWER_TIMEOUT_S, ControlClient, parse_address

    address = address or await _only_twin()
    try:
        client = ControlClient(*parse_address(address))
    except ValueError as error:
        raise UsageError(str(error)) from None
    answer: dict[str, Any] = {}
    try:
        await client.open(ANSWER_TIMEOUT_S)
        for request in requests:
            answer.update(await client.request(request, ANSWER_TIMEOUT_S, **fields))
    except BuoyError as error:
        # Nothing was lost: the question was put to nobody.
        raise UsageError(
            error.what, where=error.where, cause=error.cause, next_step=error.next_step
        ) from None
    finally:
        client.close()
    answer.pop("id", None)
    return answer


async def _only_twin() -> str:
    """The control address of the twin that runs: the usual one, else that of a run."""
    from buoyfleet.cloud.local.running import find_twins

    usual = f"127.0.0.1:{DEFAULT_CONTROL_PORT}"
    found = await find_twins(usual)
    if len(found) > 1:
        listed = "; ".join(f"{address} ({folder})" for address, folder in found.items())
        raise UsageError(
            f"{len(found)} twins are running: {listed}",
            next_step=f"name one, e.g. buoy twin status {next(iter(found))}",
        )
    return next(iter(found), usual)


class _TextScreen:
    """How to connect, then counters that change in place, then a summary."""

    def __init__(self) -> None:
        self._twin: Twin | None = None

    def ready(self, twin: "Twin") -> None:
        self._twin = twin
        answer = twin.status()
        _print(_connection_lines(answer))
        _print(f"limits   {answer['limits']}")
        for limit in answer["changed_limits"]:
            _print(f"         {limit}")
        _print("stop     Ctrl-C")

    async def watch(self, twin: "Twin") -> None:
        if not sys.stdout.isatty():
            return
        while True:
            sys.stdout.write(f"\r\x1b[K{_counters(twin.status())}")
            sys.stdout.flush()
            await asyncio.sleep(_DRAW_S)

    def summary(self) -> None:
        if self._twin is None:
            return
        if sys.stdout.isatty():
            sys.stdout.write("\r\x1b[K")
        _print(_stages_table([_as_dict(count) for count in self._twin.stage_counts()]))
        answer = self._twin.status()
        for problem in answer["problems"]:
            _print(f"problem: {problem}")
        _print(f"stores and evidence are in {answer['folder']}")


class _JsonScreen:
    """The same as JSON lines: `ready`, `counts` as they change, `summary`."""

    def __init__(self) -> None:
        self._twin: Twin | None = None

    def ready(self, twin: "Twin") -> None:
        self._twin = twin
        _print(json.dumps({"event": "ready", **twin.status()}))

    async def watch(self, twin: "Twin") -> None:
        before = twin.live()
        while True:
            await asyncio.sleep(_DRAW_S)
            now = twin.live()
            if now != before:
                _print(json.dumps({"event": "counts", **now}))
            before = now

    def summary(self) -> None:
        if self._twin is not None:
            stages = [_as_dict(count) for count in self._twin.stage_counts()]
            _print(json.dumps({"event": "summary", **self._twin.status(), "stages": stages}))


def _as_dict(count: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(count)


def _connection_lines(answer: dict[str, Any]) -> str:
    control = f"{answer['host']}:{answer['control_port']}"
    host, port, http = answer["host"], answer["port"], answer["http_port"]
    ports = f"MQTT on {host}:{port}, HTTP and WebSocket (/mqtt) on {http}"
    if answer["tls"]:
        ports = (
            f"MQTT over TLS on {host}:{port}, HTTPS on {http}, everything by ALPN on {answer['alpn_port']}"
        )
    return "\n".join(
        [
            f"twin     {ports}",
            f"control  {control}, pid {answer['pid']}",
            f"keys     {answer['credentials']} (Signature Version 4)",
            f"folder   {answer['folder']}",
            f"try      {_try_line(answer, control)}",
            "fleet    target:",
            "           kind: local",
            f"           attach: {control}",
            f"look     buoy twin status {control}",
        ]
    )


def _try_line(answer: dict[str, Any], control: str) -> str:
    if answer["tls"]:
        return f"buoy twin enroll --address {control} buoy-100=100     (a board's certificate and key)"
    topic = f"{answer['topic_prefix']}/100/data/"
    stamp = ",\"timestamp\":'$(date +%s%3N)'" if answer["payload"] == "stamped" else ""
    return (
        f"mosquitto_pub -h {answer['host']} -p {answer['port']} -q 1 -t {topic} -m '{{\"temp\":7.5{stamp}}}'"
    )


def _counters(answer: dict[str, Any]) -> str:
    stored = ", ".join(f"{store} {count}" for store, count in answer["stored"].items())
    return (
        f"{answer['connections']} clients, {answer['received']} messages received, "
        f"measures stored: {stored}, {answer['waiting']} records on their way"
    )


def _stages_table(stages: list[dict[str, Any]]) -> str:
    lines = [f"{'stage':<11}{'in':>10}{'out':>10}{'waiting':>9}  {'unit':<9}rejected"]
    for stage in stages:
        rejected = ", ".join(f"{count} {reason}" for reason, count in stage["rejected"].items())
        lines.append(
            f"{stage['name']:<11}{stage['entered']:>10}{stage['left']:>10}{stage['waiting']:>9}  "
            f"{stage['unit']:<9}{rejected}".rstrip()
        )
    return "\n".join(lines)


def _print(text: str) -> None:
    typer.echo(text)
