"""A fleet back to the form of a fleet file: what a run keeps of it. Secrets stay references."""

from collections.abc import Hashable
from dataclasses import fields
from typing import Any

from buoyfleet.inventory.aws_format import aws_document
from buoyfleet.inventory.bench_format import bench_document
from buoyfleet.inventory.document_twin import twin_document
from buoyfleet.inventory.fields import secret_text
from buoyfleet.inventory.values import decimal_text, duration_text, ids_text
from buoyfleet.model.fleet import BoardSpec, Fleet, LinkSpec, SensorSpec, TargetSpec, TlsSpec

Document = dict[str, Any]
FILE_NAME = "fleet.yaml"


def fleet_document(fleet: Fleet) -> Document:
    """The fleet as resolved, in the format of a fleet file: loading it gives the same fleet again.

    Nothing is left to a default, so that a later version with other defaults reads the same. Passwords stay
    the references they are.
    """
    run = fleet.run
    document: Document = {
        "fleet": fleet.name,
        "target": _target(fleet.target),
        "topic_prefix": fleet.topic_prefix,
        "run": {
            "qos": run.qos,
            "payload": run.payload,
            "water": run.water,
            "start_spread": duration_text(run.start_spread_s),
            "seed": run.seed,
            "drain_timeout": duration_text(run.drain_timeout_s),
            "late_send": _milliseconds(run.late_send_ms),
            "late_after": {store: duration_text(after) for store, after in run.late_after_s.items()},
        },
        "boards": _groups(fleet.boards),
        "thresholds": [threshold.text for threshold in fleet.thresholds],
    }
    if run.duration_s is not None:
        document["run"]["duration"] = duration_text(run.duration_s)
    if fleet.ingest_rule:
        document["topics"] = "basic-ingest"
    bench = bench_document(fleet.bench)
    if bench:
        document["bench"] = bench
    return document


def fleet_yaml(fleet: Fleet) -> str:
    """`fleet_document` as the text of a fleet file."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    source = "".join(char if char.isprintable() else "?" for char in fleet.source)
    text: str = yaml.dump(fleet_document(fleet), Dumper=dumper, sort_keys=False, allow_unicode=True)
    return f"# {source} as this run took it: every default filled in, secrets as references.\n{text}"


def _milliseconds(value: float) -> str:
    return f"{decimal_text(value)} ms"


def _target(target: TargetSpec) -> Document:
    if target.kind == "local":
        local: Document = {"kind": "local"}
        if target.port:
            local["port"] = target.port
        if target.attach:
            local["attach"] = target.attach
        if target.twin is not None:
            local["twin"] = twin_document(target.twin)
        return local
    if target.aws is not None:
        return aws_document(target.aws)
    broker: Document = {"kind": "broker", "host": target.host, "port": target.port}
    if target.tls is not None:
        broker["tls"] = _tls(target.tls)
    if target.username:
        broker["username"] = target.username
    if target.password is not None:
        broker["password"] = secret_text(target.password)
    return broker


def _tls(tls: TlsSpec) -> Document:
    return {one.name: getattr(tls, one.name) for one in fields(tls) if getattr(tls, one.name)}


def _groups(boards: tuple[BoardSpec, ...]) -> list[Document]:
    """Boards that are alike together, in the order of their first ids."""
    alike: dict[Hashable, list[BoardSpec]] = {}
    for board in boards:
        name = board.thing_name.replace(str(board.buoy_id), "{id}", 1)
        pace = (board.messages, board.interval_ms)
        same = (board.kind, board.sensors, board.link, *pace, name, board.port, board.wifi)
        alike.setdefault(same, []).append(board)
    groups: list[Document] = []
    for members in alike.values():
        first = members[0]
        ids = ids_text(board.buoy_id for board in members)
        group: Document = {
            "kind": first.kind,
            "ids": int(ids) if ids.isdigit() else ids,
            "thing_name": first.thing_name.replace(str(first.buoy_id), "{id}", 1),
            "sensors": {sensor.key: _sensor(sensor) for sensor in first.sensors},
            "link": _link(first.link),
        }
        if first.port:
            group["port"] = first.port
        if first.wifi is not None:
            group["wifi"] = {"ssid": first.wifi.ssid}
            if first.wifi.password is not None:
                group["wifi"]["password"] = secret_text(first.wifi.password)
        if first.messages is not None:
            group["messages"] = first.messages
        if first.interval_ms is None:
            group["rate"] = "flat-out"
        else:
            group["interval"] = _milliseconds(first.interval_ms)
        groups.append(group)
    return groups


def _sensor(sensor: SensorSpec) -> str | Document:
    if sensor.mode == "constant":
        return {"mode": "constant", "value": sensor.value}
    if sensor.mode == "counter" and sensor.base:
        return {"mode": "counter", "base": sensor.base}
    return sensor.mode


def _link(link: LinkSpec) -> Document:
    return {
        "client": link.client,
        "keep_alive": duration_text(link.keep_alive_s),
        "in_flight": link.in_flight,
        "connect_timeout": duration_text(link.connect_timeout_s),
        "ack_timeout": duration_text(link.ack_timeout_s),
        "backoff": {"min": duration_text(link.backoff_min_s), "max": duration_text(link.backoff_max_s)},
        "outbox": link.outbox,
        "clean_session": link.clean_session,
    }
