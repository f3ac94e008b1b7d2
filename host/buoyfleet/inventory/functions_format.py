"""The `functions` key: Lambda functions that rules call."""

from dataclasses import dataclass

from buoyfleet.inventory.fields import FilePath, Text
from buoyfleet.inventory.sections import Section, setting
from buoyfleet.model.twin import FunctionSpec


@dataclass
class FunctionSection(Section, model=FunctionSpec):
    """A function that rules call, by the action `lambda` or by `aws_lambda()`."""

    OF = " of a function"

    # CreateFunction: FunctionName.
    name: str = setting(
        Text("at most 64 letters, digits, `-` and `_`", r"^[a-zA-Z0-9-_]{1,64}$"),
        "Its name, as in the ARN.",
    )
    handler: str = setting(FilePath(), "A file as of `lambda_handler`.")
    environment: str = setting(
        FilePath(),
        "Its variables, a file as of `lambda_environment`.",
        shown="none",
    )
