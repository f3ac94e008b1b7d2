"""What all targets of a fleet file have in common."""

from dataclasses import dataclass

from buoyfleet.inventory.available import LATER_TARGETS, TARGETS
from buoyfleet.inventory.fields import Word
from buoyfleet.inventory.sections import Section, entry

HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
"""A host name or address, as the pattern of a text."""


@dataclass
class TargetSection(Section):
    """Where buoys publish."""

    kind: str = entry(
        Word(tuple(TARGETS), "target", LATER_TARGETS),
        " ".join(f"`{kind}`: {target.about}." for kind, target in TARGETS.items()),
        default="local",
        required=True,
        also=("type",),
    )
