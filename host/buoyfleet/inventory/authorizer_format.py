"""The `authorizers` key: functions that decide who may connect to a twin."""

from dataclasses import dataclass

from buoyfleet.inventory.fields import FilePath, Switch, Text
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.sections import Section, setting
from buoyfleet.model.twin import AuthorizerSpec


@dataclass
class AuthorizerSection(Section, model=AuthorizerSpec):
    """A custom authorizer, as IoT Core has it."""

    OF = " of an authorizer"

    # CreateAuthorizer: authorizerName and tokenKeyName, which a fleet file would take for a secret's name.
    name: str = setting(
        Text("letters, digits and any of `=,@-`", r"^[\w=,@-]{1,128}$"),
        "What clients call it (`x-amz-customauthorizer-name`).",
    )
    handler: str = setting(FilePath(), "Its function, a file as of `lambda_handler`.")
    parameter: str = setting(
        Text("letters, digits, `_` and `-`", r"^[A-Za-z0-9_-]{1,128}$"),
        "Header, query parameter or parameter behind the user name that holds the token.",
        attribute="token_key",
    )
    signing_key: str = setting(
        FilePath(),
        "File of the RSA public key (PEM) of signed tokens; it needs `parameter`.",
        shown="signing is disabled",
    )
    default: bool = setting(
        Switch(),
        "It is asked where a client names no authorizer and has no other credentials.",
    )


def check_authorizer(section: AuthorizerSection, report: Reporter) -> None:
    """What no single key can show."""
    if section.signing_key and not section.parameter:
        message = "a signed token needs `parameter`, the name under which clients send it"
        report.add(section.line("signing_key"), section.path, message, "write e.g. `parameter: x-token`")


def check_authorizers(sections: list[AuthorizerSection], report: Reporter) -> None:
    """Names and the default one are unique."""
    names: set[str] = set()
    default = ""
    for section in sections:
        if section.name and section.name in names:
            report.add(section.line("name"), section.under("name"), f"`{section.name}` is there twice")
        names.add(section.name)
        if section.default and default:
            message = f"`{default}` is the default authorizer already"
            report.add(section.line("default"), section.under("default"), message)
        default = section.name if section.default else default
