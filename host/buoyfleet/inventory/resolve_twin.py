"""From the `target.twin` key as read to the settings of a twin."""

from dataclasses import replace
from pathlib import Path

from buoyfleet.inventory.authorizer_format import check_authorizers
from buoyfleet.inventory.fields import IdPiece
from buoyfleet.inventory.limits_format import limit_settings
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.resolve_boards import members, piece_text
from buoyfleet.inventory.sections import Section
from buoyfleet.inventory.twin_format import FaultSection, TwinSection
from buoyfleet.inventory.values import ids_shown
from buoyfleet.model.fleet import TargetSpec
from buoyfleet.model.limits import TwinLimits
from buoyfleet.model.twin import FaultSpec, LimitSetting, TwinSpec

# A fault names messages one by one.
_MOST_FAULT_MESSAGES = 100_000


def resolve_twin(section: TwinSection, folder: Path, ids: set[int], report: Reporter) -> TwinSpec:
    """The settings of a twin; what no single value can show is checked. Paths start at `folder`."""
    check_authorizers(section.authorizers or [], report)
    if section.provisioning and not section.tls:
        message = "devices are provisioned with certificates, and the twin has none without `tls`"
        report.add(section.line("provisioning"), section.under("provisioning"), message, "write `tls: true`")
    return TwinSpec(
        **section.model_values(folder),
        limits=_limits(section.limits, report),
        faults=tuple(_fault(fault, ids, report) for fault in section.faults),
    )


def _fault(section: FaultSection, ids: set[int], report: Reporter) -> FaultSpec:
    buoys, strange = members(section.buoys or [], ids)
    if ids:
        _report_strange(strange, ids, section, report)
    return FaultSpec(
        stage=section.stage,
        kind=section.kind,
        buoys=tuple(sorted(set(buoys))),
        messages=_numbers(section, report),
        measures=tuple(section.measures or ()),
        value=section.value,
        seconds=section.delay or 0.0,
    )


def _report_strange(strange: list[IdPiece], ids: set[int], section: FaultSection, report: Reporter) -> None:
    for piece in strange:
        message = f"{piece_text(piece)} is not in the fleet ({ids_shown(ids)})"
        report.add(piece.line, section.under("buoys"), message)


def _numbers(section: FaultSection, report: Reporter) -> tuple[int, ...]:
    pieces = section.messages or []
    if sum(piece.last - piece.first + 1 for piece in pieces) > _MOST_FAULT_MESSAGES:
        message = f"these are more than {_MOST_FAULT_MESSAGES} messages; leave `messages` out for all"
        report.add(section.line("messages"), section.under("messages"), message)
        return ()
    return tuple(sorted({n for piece in pieces for n in range(piece.first, piece.last + 1)}))


def with_limits(target: TargetSpec, limits: tuple[LimitSetting, ...], options: Reporter) -> TargetSpec:
    """A target with the limits that the command line sets; those come before the file's."""
    if not limits:
        return target
    if target.kind != "local" or target.attach:
        options.add(0, "--limit", "only a twin that the run starts has limits to set", "leave `--limit` out")
        return target
    twin = target.twin or TwinSpec()
    merged = {setting.name: setting for setting in (*twin.limits, *limits)}
    settings = tuple(merged.values())
    try:
        TwinLimits.of(False, settings)
    except ValueError as error:
        options.add(0, "--limit", str(error))
        return target
    return replace(target, twin=replace(twin, limits=settings))


def _limits(section: Section | None, report: Reporter) -> tuple[LimitSetting, ...]:
    settings = limit_settings(section)
    try:
        TwinLimits.of(False, settings)
    except ValueError as error:
        if section is not None:
            report.add(section.line(), section.path, str(error))
        return ()
    return settings
