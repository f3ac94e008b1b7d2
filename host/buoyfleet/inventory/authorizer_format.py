"""The `authorizers` key: functions that decide who may connect to a twin."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buoyfleet.inventory.fields import Switch, Text
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.sections import Section, entry
from buoyfleet.inventory.values import absolute_path
from buoyfleet.model.twin import AuthorizerSpec


@dataclass
class AuthorizerSection(Section):
    """A custom authorizer, as IoT Core has it."""

    OF = " of an authorizer"

    # CreateAuthorizer: authorizerName and tokenKeyName, which a fleet file would take for a secret's name.
    name: str = entry(
        Text("letters, digits and any of `=,@-`", r"^[\w=,@-]{1,128}$"),
        "What clients call it (`x-amz-customauthorizer-name`).",
        required=True,
    )
    handler: str = entry(Text("a path", r"\S"), "Its function, a file as of `lambda_handler`.", required=True)
    parameter: str = entry(
        Text("letters, digits, `_` and `-`", r"^[A-Za-z0-9_-]{1,128}$"),
        "Header, query parameter or parameter behind the user name that holds the token.",
        default="",
    )
    signing_key: str = entry(
        Text("a path", r"\S"),
        "File of the RSA public key (PEM) of signed tokens; it needs `parameter`.",
        default="",
        shown="signing is disabled",
    )
    default: bool = entry(
        Switch(),
        "It is asked where a client names no authorizer and has no other credentials.",
        default=False,
        shown="`false`",
    )


def check_authorizer(section: AuthorizerSection, report: Reporter) -> None:
    """What no single key can show."""
    if section.signing_key and not section.parameter:
        message = "a signed token needs `parameter`, the name under which clients send it"
        report.add(section.line("signing_key"), section.path, message, "write e.g. `parameter: x-token`")


def authorizer_specs(
    sections: list[AuthorizerSection], folder: Path, report: Reporter
) -> tuple[AuthorizerSpec, ...]:
    """The authorizers; names and the default one are unique. Paths start at `folder`."""
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
    return tuple(
        AuthorizerSpec(
            one.name,
            absolute_path(one.handler, folder),
            one.parameter,
            absolute_path(one.signing_key, folder),
            one.default,
        )
        for one in sections
    )


def authorizer_document(spec: AuthorizerSpec) -> dict[str, Any]:
    """An authorizer in the form of a fleet file."""
    document: dict[str, Any] = {"name": spec.name, "handler": spec.handler, "default": spec.default}
    texts = {"parameter": spec.token_key, "signing_key": spec.signing_key}
    document.update({name: text for name, text in texts.items() if text})
    return document
