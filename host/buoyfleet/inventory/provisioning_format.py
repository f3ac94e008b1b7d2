"""The `provisioning` key: templates by which devices get certificates of their own from a twin."""

from dataclasses import dataclass

from buoyfleet.inventory.fields import FilePath, Text
from buoyfleet.inventory.sections import Section, setting
from buoyfleet.model.twin import ProvisioningSpec


@dataclass
class ProvisioningSection(Section, model=ProvisioningSpec):
    """A template of fleet provisioning, as IoT Core has it."""

    OF = " of a template"

    # CreateProvisioningTemplate: templateName.
    name: str = setting(
        Text("at most 36 letters, digits, `_` and `-`", r"^[0-9A-Za-z_-]{1,36}$"),
        "What devices call it.",
    )
    template: str = setting(FilePath(), "Its body (JSON).", also=("body",))
    hook: str = setting(
        FilePath(),
        "Pre-provisioning hook, a file as of `lambda_handler`.",
        shown="none: every device is provisioned",
    )
    policy: str = setting(
        FilePath(),
        "Policy (JSON) that every `PolicyName` of the template stands for.",
        shown="that of the boards",
    )
