"""The `functions` key: Lambda functions that rules call."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buoyfleet.inventory.fields import Text
from buoyfleet.inventory.sections import Section, entry
from buoyfleet.inventory.values import absolute_path
from buoyfleet.model.twin import FunctionSpec


@dataclass
class FunctionSection(Section):
    """A function that rules call, by the action `lambda` or by `aws_lambda()`."""

    OF = " of a function"

    # CreateFunction: FunctionName.
    name: str = entry(
        Text("at most 64 letters, digits, `-` and `_`", r"^[a-zA-Z0-9-_]{1,64}$"),
        "Its name, as in the ARN.",
        required=True,
    )
    handler: str = entry(Text("a path", r"\S"), "A file as of `lambda_handler`.", required=True)
    environment: str = entry(
        Text("a path", r"\S"), "Its variables, a file as of `lambda_environment`.", default="", shown="none"
    )


def function_specs(sections: list[FunctionSection], folder: Path) -> tuple[FunctionSpec, ...]:
    """The functions. Paths start at `folder`."""
    return tuple(
        FunctionSpec(one.name, absolute_path(one.handler, folder), absolute_path(one.environment, folder))
        for one in sections
    )


def function_document(spec: FunctionSpec) -> dict[str, Any]:
    """A function in the form of a fleet file."""
    document = {"name": spec.name, "handler": spec.handler}
    return {**document, "environment": spec.environment} if spec.environment else document
