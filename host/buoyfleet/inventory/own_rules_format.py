"""The `rules` key: rules that a user brings along."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buoyfleet.inventory.fields import Switch, Text
from buoyfleet.inventory.sections import Section, entry
from buoyfleet.inventory.values import absolute_path
from buoyfleet.model.twin import OwnRule


@dataclass
class OwnRuleSection(Section):
    """A rule of one's own."""

    OF = " of a rule"

    name: str = entry(Text("letters, digits and `_`", r"^[a-zA-Z0-9_]{1,128}$"), "Its name.", required=True)
    file: str = entry(
        Text("a path", r"\S"), "The rule (JSON) as `aws iot get-topic-rule` prints it.", required=True
    )
    stores: bool = entry(
        Switch(),
        "Its actions for Timestream, Kinesis or Firehose feed the twin's stores, in place of the rules that "
        "the twin brings along. `false`: what they would write is kept in `actions/`.",
        default=False,
        shown="`false`",
    )


def own_rules(sections: list[OwnRuleSection], folder: Path) -> tuple[OwnRule, ...]:
    """The rules. Paths start at `folder`."""
    return tuple(OwnRule(one.name, absolute_path(one.file, folder), one.stores) for one in sections)


def own_rule_document(rule: OwnRule) -> dict[str, Any]:
    """A rule in the form of a fleet file."""
    document: dict[str, Any] = {"name": rule.name, "file": rule.file}
    return {**document, "stores": True} if rule.stores else document
