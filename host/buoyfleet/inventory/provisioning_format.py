"""The `provisioning` key: templates by which devices get certificates of their own from a twin."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buoyfleet.inventory.fields import Text
from buoyfleet.inventory.sections import Section, entry
from buoyfleet.inventory.values import absolute_path
from buoyfleet.model.twin import ProvisioningSpec


@dataclass
class ProvisioningSection(Section):
    """A template of fleet provisioning, as IoT Core has it."""

    OF = " of a template"

    # CreateProvisioningTemplate: templateName.
    name: str = entry(
        Text("at most 36 letters, digits, `_` and `-`", r"^[0-9A-Za-z_-]{1,36}$"),
        "What devices call it.",
        required=True,
    )
    template: str = entry(Text("a path", r"\S"), "Its body (JSON).", required=True, also=("body",))
    hook: str = entry(
        Text("a path", r"\S"),
        "Pre-provisioning hook, a file as of `lambda_handler`.",
        default="",
        shown="none: every device is provisioned",
    )
    policy: str = entry(
        Text("a path", r"\S"),
        "Policy (JSON) that every `PolicyName` of the template stands for.",
        default="",
        shown="that of the boards",
    )


def provisioning_specs(sections: list[ProvisioningSection], folder: Path) -> tuple[ProvisioningSpec, ...]:
    """The templates. Paths start at `folder`."""
    return tuple(
        ProvisioningSpec(
            one.name,
            absolute_path(one.template, folder),
            absolute_path(one.hook, folder),
            absolute_path(one.policy, folder),
        )
        for one in sections
    )


def provisioning_document(spec: ProvisioningSpec) -> dict[str, Any]:
    """A template in the form of a fleet file."""
    texts = {"hook": spec.hook, "policy": spec.policy}
    return {
        "name": spec.name,
        "template": spec.template,
        **{name: text for name, text in texts.items() if text},
    }
