"""The `rules` key: rules that a user brings along."""

from dataclasses import dataclass

from buoyfleet.inventory.fields import FilePath, Switch, Text
from buoyfleet.inventory.sections import Section, setting
from buoyfleet.model.twin import OwnRule


@dataclass
class OwnRuleSection(Section, model=OwnRule):
    """A rule of one's own."""

    OF = " of a rule"

    name: str = setting(Text("letters, digits and `_`", r"^[a-zA-Z0-9_]{1,128}$"), "Its name.")
    file: str = setting(FilePath(), "The rule (JSON) as `aws iot get-topic-rule` prints it.")
    stores: bool = setting(
        Switch(),
        "Its actions for Timestream, Kinesis or Firehose feed the twin's stores, in place of the rules that "
        "the twin brings along. `false`: what they would write is kept in `actions/`.",
    )
