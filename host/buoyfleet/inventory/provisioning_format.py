"""The `provisioning` key: templates by which devices get certificates of their own from a twin."""

from dataclasses import dataclass

from buoyfleet.inventory.fields import FilePath, Text
from buoyfleet.inventory.sections import Section
from buoyfleet.inventory.settings import setting
from buoyfleet.model.twin import ProvisioningSpec


@dataclass
class ProvisioningSection(Section):
    """A template of fleet provisioning, as IoT Core has it."""

    OF = " of a template"

    # CreateProvisioningTemplate: templateName.
    name: str = setting(
        ProvisioningSpec,
        "name",
        Text("at most 36 letters, digits, `_` and `-`", r"^[0-9A-Za-z_-]{1,36}$"),
        "What devices call it.",
    )
    template: str = setting(ProvisioningSpec, "template", FilePath(), "Its body (JSON).", also=("body",))
    hook: str = setting(
        ProvisioningSpec,
        "hook",
        FilePath(),
        "Pre-provisioning hook, a file as of `lambda_handler`.",
        shown="none: every device is provisioned",
    )
    policy: str = setting(
        ProvisioningSpec,
        "policy",
        FilePath(),
        "Policy (JSON) that every `PolicyName` of the template stands for.",
        shown="that of the boards",
    )
