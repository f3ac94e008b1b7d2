"""Settings that are declared once: a key of a section that is one attribute of a model.

    @dataclass
    class TwinSection(Section):
        lambda_timeout: float = setting(TwinSpec, "lambda_timeout_s", duration_field("1 ms", "15 min"), "…")

Default, JSON schema, reference, the way to the model and back to a fleet file follow from it. What is no
such pair (boards of a fault, say) is an `entry` and has code of its own.
"""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from buoyfleet.inventory.fields import Field
from buoyfleet.inventory.sections import Section, entry, keys_of


def setting(
    model: type[Any],
    attribute: str,
    kind: Field,
    about: str,
    *,
    also: tuple[str, ...] = (),
    shown: str = "",
) -> Any:
    """Declare a key of which the value is an attribute of a model.

    Args:
        model: dataclass with the default; an attribute without one makes the key required.
        attribute: of the model.
        kind: what the value can be; it gives and takes the value in the model's unit.
        about: what it means.
        also: what people may write instead, for hints.
        shown: the default in words, where it is no value (`that of the boards`).
    """
    default = next(one.default for one in fields(model) if one.name == attribute)
    required = default is MISSING
    if not required and not shown and kind.write(default) not in ("", None):
        shown = f"`{kind.shown(default)}`"
    return entry(
        kind,
        about,
        default=None if required else default,
        required=required,
        also=also,
        shown=shown,
        attribute=attribute,
    )


def model_values(section: Section, folder: Path) -> dict[str, Any]:
    """The attributes of the model that a section's settings give. Paths start at `folder`."""
    return {
        one.metadata["attribute"]: one.metadata["kind"].resolve(getattr(section, one.name), folder)
        for one in keys_of(type(section))
        if one.metadata["attribute"]
    }


def settings_document(section: type[Section], model: Any) -> dict[str, Any]:
    """A model's settings in the form of a fleet file; empty texts and references stay away."""
    document: dict[str, Any] = {}
    for one in keys_of(section):
        if one.metadata["attribute"]:
            value = getattr(model, one.metadata["attribute"])
            text = one.metadata["kind"].write(value)
            if text not in ("", None):
                document[one.name] = text
    return document
