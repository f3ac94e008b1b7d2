"""A fleet back to the form of a fleet file: what a run keeps of it. Secrets stay references."""

from collections.abc import Hashable
from typing import Any

from buoyfleet.inventory.aws_format import AwsSection
from buoyfleet.inventory.bench_format import bench_document
from buoyfleet.inventory.cable_format import WifiSection
from buoyfleet.inventory.document_twin import twin_document
from buoyfleet.inventory.format import RunSection
from buoyfleet.inventory.link_format import LinkSection
from buoyfleet.inventory.target_format import BrokerSection, LocalSection
from buoyfleet.inventory.values import decimal_text, ids_text
from buoyfleet.model.fleet import BoardSpec, Fleet, SensorSpec, TargetSpec

Document = dict[str, Any]
FILE_NAME = "fleet.yaml"


def fleet_document(fleet: Fleet) -> Document:
    """The fleet as resolved, in the format of a fleet file: loading it gives the same fleet again.

    Nothing is left to a default, so that a later version with other defaults reads the same. Passwords stay
    the references they are.
    """
    document: Document = {
        "fleet": fleet.name,
        "target": _target(fleet.target),
        "topic_prefix": fleet.topic_prefix,
        "run": RunSection.document_of(fleet.run),
        "boards": _groups(fleet.boards),
        "thresholds": [threshold.text for threshold in fleet.thresholds],
    }
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


def _target(target: TargetSpec) -> Document:
    if target.aws is not None:
        return {"kind": "aws", **AwsSection.document_of(target.aws)}
    if target.kind == "broker":
        return {"kind": "broker", **BrokerSection.document_of(target)}
    twin = {} if target.twin is None else {"twin": twin_document(target.twin)}
    return {"kind": "local", **LocalSection.document_of(target), **twin}


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
            "link": LinkSection.document_of(first.link),
        }
        if first.port:
            group["port"] = first.port
        if first.wifi is not None:
            group["wifi"] = WifiSection.document_of(first.wifi)
        if first.messages is not None:
            group["messages"] = first.messages
        if first.interval_ms is None:
            group["rate"] = "flat-out"
        else:
            group["interval"] = f"{decimal_text(first.interval_ms)} ms"
        groups.append(group)
    return groups


def _sensor(sensor: SensorSpec) -> str | Document:
    if sensor.mode == "constant":
        return {"mode": "constant", "value": sensor.value}
    if sensor.mode == "counter" and sensor.base:
        return {"mode": "counter", "base": sensor.base}
    return sensor.mode
