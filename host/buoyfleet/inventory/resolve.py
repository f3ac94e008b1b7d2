"""From a fleet file as read to a fleet: defaults filled in, and what no single value can show is checked."""

from pathlib import Path

from buoyfleet.inventory.available import stores_of, thresholds_of
from buoyfleet.inventory.aws_format import AwsSection, aws_spec
from buoyfleet.inventory.cable_rules import check_cables
from buoyfleet.inventory.format import FleetSection, RunSection
from buoyfleet.inventory.overrides import Changes
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.resolve_boards import BoardMaker, members, piece_text
from buoyfleet.inventory.resolve_ingest import with_basic_ingest
from buoyfleet.inventory.resolve_twin import resolve_twin, with_limits
from buoyfleet.inventory.target_format import (
    PLAIN_PORT,
    TLS_PORT,
    BrokerSection,
    LocalSection,
)
from buoyfleet.inventory.target_section import TargetSection
from buoyfleet.inventory.values import duration_text, ids_shown
from buoyfleet.model.aws import DEFAULT_NAME
from buoyfleet.model.bench import BenchSpec
from buoyfleet.model.fleet import BoardSpec, Fleet, RunSpec, TargetSpec
from buoyfleet.model.thresholds import STORE_TIMES, Threshold, parse_threshold
from buoyfleet.model.visibility import visibility


def resolve(
    document: FleetSection,
    source: Path,
    changes: Changes,
    report: Reporter,
    options: Reporter,
    *,
    connects: bool = False,
) -> Fleet:
    """Make the fleet; the caller must look at both reporters before using it.

    Args:
        document: the file as read.
        source: its path; relative paths in it start at its folder.
        changes: what the command line says.
        report: takes mistakes of the file.
        options: takes mistakes of the command line.
        connects: boards shall connect to the target: what keeps those on a cable from it is a mistake.
    """
    target_section = _chosen_target(document, changes)
    # Test fleets of an account have things and topics of their own: nobody's boards in service are touched.
    aws_name = (target_section.name or DEFAULT_NAME) if isinstance(target_section, AwsSection) else ""
    boards = BoardMaker(document, changes, report, aws_name).boards()
    # Without all ids nobody can say which one does not exist.
    complete = all(group.ids for group in document.boards or [])
    ids = {board.buoy_id for board in boards} if complete else set()
    run = _run(document.run, changes, len(boards), report, options)
    target = with_limits(_target(target_section, source.parent, ids, report), changes.limits, options)
    target, ingest_rule = with_basic_ingest(document, target, report)
    thresholds, notes = _thresholds(document, boards, target, run, changes, report)
    chosen = _selected(boards, ids, changes, options)
    if connects:
        typed = target_section is changes.target
        check_cables(document, target_section, chosen, report, options if typed else None)
    return Fleet(
        name=document.fleet,
        source=str(source),
        target=target,
        topic_prefix=f"{aws_name}/0"
        if aws_name and not document.has("topic_prefix")
        else document.topic_prefix,
        boards=chosen,
        run=run,
        thresholds=thresholds,
        notes=notes,
        bench=BenchSpec()
        if document.bench is None
        else BenchSpec(**document.bench.model_values(source.parent)),
        ingest_rule=ingest_rule,
    )


def _run(
    section: RunSection | None, changes: Changes, boards: int, report: Reporter, options: Reporter
) -> RunSpec:
    section = section or RunSection()
    changed = {"duration_s": changes.duration_s, "seed": changes.seed}
    said = {name: value for name, value in changed.items() if value is not None}
    run = RunSpec(**{**section.model_values(Path()), **said})
    duration_s = run.duration_s
    if duration_s is not None and boards > 1 and run.start_spread_s >= duration_s:
        spread, end = duration_text(run.start_spread_s), duration_text(duration_s)
        message = f"boards start spread over {spread}, but the run ends after {end}: some would send nothing"
        hint = "write a shorter `start_spread`, e.g. `0 s`"
        if changes.duration_s is not None:
            options.add(0, "--duration", message, hint)
        else:
            name = "start_spread" if section.has("start_spread") else "duration"
            report.add(section.line(name), section.under(name), message, hint)
    return run


def _chosen_target(document: FleetSection, changes: Changes) -> TargetSection:
    said = document.target or LocalSection(kind="local", path="target")
    if changes.target is None or (changes.target_is_word and changes.target.kind == said.kind):
        return said
    return changes.target


def _target(section: TargetSection, folder: Path, ids: set[int], report: Reporter) -> TargetSpec:
    if isinstance(section, BrokerSection):
        said = section.model_values(folder)
        said["port"] = section.port or (PLAIN_PORT if section.tls is None else TLS_PORT)
        return TargetSpec("broker", **said)
    if isinstance(section, AwsSection):
        return TargetSpec("aws", aws=aws_spec(section, folder))
    if not isinstance(section, LocalSection):
        raise TypeError(f"no rule makes a target of {type(section).__name__}")
    if section.attach and (section.has("twin") or section.has("port")):
        name = "twin" if section.has("twin") else "port"
        message = f"`attach` uses a twin that runs already, which has its own; `{name}` cannot change it"
        report.add(section.line(name), section.under(name), message, f"leave `{name}` or `attach` out")
    twin = None if section.twin is None else resolve_twin(section.twin, folder, ids, report)
    return TargetSpec("local", twin=twin, **section.model_values(folder))


def _thresholds(
    document: FleetSection,
    boards: tuple[BoardSpec, ...],
    spec: TargetSpec,
    run: RunSpec,
    changes: Changes,
    report: Reporter,
) -> tuple[tuple[Threshold, ...], tuple[str, ...]]:
    stores = stores_of(spec)
    hardware = any(sensor.mode == "hardware" for board in boards for sensor in board.sensors)
    usual = tuple(parse_threshold(text) for text in thresholds_of(spec, run.qos, hardware=hardware))
    if document.thresholds is None:
        return usual, ()
    kept: list[Threshold] = []
    left_out: list[str] = []
    lines: dict[tuple[str, str, float], int] = {}
    for index, (threshold, line) in enumerate(document.thresholds):
        path = f"thresholds[{index}]"
        same = (threshold.metric, threshold.operator, threshold.value)
        if same in lines:
            message = f"'{threshold.text}' stands on line {lines[same]} already"
            report.add(line, path, message, "keep one of them")
        lines.setdefault(same, line)
        unmeasured = _unmeasured(threshold, spec, run)
        if unmeasured:
            report.add(line, path, f"'{threshold.metric}' cannot be measured: {unmeasured}", "leave it out")
            continue
        if not threshold.store or threshold.store in stores:
            kept.append(threshold)
        elif changes.target is not None:
            left_out.append(threshold.text)
        else:
            has = f"it has {' and '.join(stores)}" if stores else "it has none"
            report.add(line, path, f"target `{spec.kind}` has no store '{threshold.store}'; {has}")
    if not left_out:
        return tuple(kept), ()
    notes = (f"thresholds left out, because target {spec.kind} has no such store: {', '.join(left_out)}",)
    known = {threshold.text for threshold in kept}
    return (*kept, *(threshold for threshold in usual if threshold.text not in known)), notes


def _unmeasured(threshold: Threshold, spec: TargetSpec, run: RunSpec) -> str:
    """Why a run can never measure this, so that it would never pass; empty: it can."""
    if not run.qos and threshold.metric.startswith(("ack.", "send.unacknowledged")):
        return "QoS 0 is never acknowledged"
    name = threshold.metric.rpartition(".")[2]
    if threshold.store in stores_of(spec) and name in STORE_TIMES:
        if run.payload == "original":
            return "original payloads do not say which message a row came with"
        moment = visibility(spec.kind, threshold.store)
        return "" if moment.known else moment.words
    return ""


def _selected(
    boards: tuple[BoardSpec, ...], ids: set[int], changes: Changes, options: Reporter
) -> tuple[BoardSpec, ...]:
    if changes.boards is None or not ids:
        return boards
    found, strange = members(changes.boards, ids)
    for piece in strange:
        options.add(0, "--boards", f"{piece_text(piece)} is not in the fleet ({ids_shown(ids)})")
    wanted = set(found)
    return tuple(board for board in boards if board.buoy_id in wanted)
