"""A twin's settings back to the form of a fleet file."""

from typing import Any

from buoyfleet.inventory.limits_format import limits_document
from buoyfleet.inventory.twin_format import TwinSection
from buoyfleet.inventory.values import duration_text, ids_text
from buoyfleet.model.twin import FaultSpec, TwinSpec

Document = dict[str, Any]


def twin_document(twin: TwinSpec) -> Document:
    """The mapping that gives this twin when read."""
    document = TwinSection.document_of(twin)
    if twin.limits:
        document["limits"] = limits_document(twin.limits)
    if twin.faults:
        document["faults"] = [_fault(fault) for fault in twin.faults]
    return document


def _fault(fault: FaultSpec) -> Document:
    document: Document = {"stage": fault.stage, "kind": fault.kind}
    if fault.buoys:
        document["buoys"] = ids_text(fault.buoys)
    if fault.messages:
        document["messages"] = ids_text(fault.messages)
    if fault.measures:
        document["measures"] = list(fault.measures)
    if fault.value is not None:
        document["value"] = fault.value
    if fault.seconds:
        document["delay"] = duration_text(fault.seconds)
    return document
