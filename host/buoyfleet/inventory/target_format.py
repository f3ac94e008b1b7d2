"""The `target` key: a word, an address, or a mapping whose keys depend on its kind."""

# ruff: noqa: RUF009 (`entry` makes a dataclass field, which is what the rule wants)

import re
from dataclasses import dataclass

from buoyfleet.inventory.available import LATER_TARGETS, TARGETS
from buoyfleet.inventory.aws_format import AwsSection
from buoyfleet.inventory.fields import Field, FilePath, Schema, Secret, Text, Whole, Word
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.sections import Nested, Section, entry, read_section, section_schema, setting
from buoyfleet.inventory.target_section import HOST, TargetSection
from buoyfleet.inventory.twin_format import TWIN_SECTIONS, TwinSection
from buoyfleet.inventory.yaml_nodes import Mapping, Node, Scalar
from buoyfleet.model.fleet import SecretRef, TargetSpec, TlsSpec

# IANA's ports of MQTT, plain and over TLS.
PLAIN_PORT = 1883
TLS_PORT = 8883

_PORT = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"


class _PortNumber(Whole):
    def write(self, value: int) -> int | None:
        return value or None


@dataclass
class TlsSection(Section, model=TlsSpec):
    """Files of mutual TLS; relative paths start at the fleet file's folder."""

    RULES = {"dependencies": {"certificate": ["key"], "key": ["certificate"]}}  # noqa: RUF012 (not a field)

    ca: str = setting(FilePath(), "Certificate of the authority that signed the broker's.")
    certificate: str = setting(
        FilePath(),
        "The board's own; `{thing}` stands for its thing name.",
        also=("cert",),
    )
    key: str = setting(FilePath(), "Its key; `{thing}` stands for its thing name.")
    server_name: str = setting(
        Text("a host name", rf"^(?:{HOST})$"),
        "Name in the broker's certificate, if not that of `host`.",
    )
    alpn: str = setting(Text("a protocol name", r"^[!-~]{1,255}$"), "ALPN protocol, e.g. `x-amzn-mqtt-ca`.")


def _check_tls(tls: TlsSection, report: Reporter) -> None:
    for one, other in (("certificate", "key"), ("key", "certificate")):
        if tls.has(one) and not tls.has(other):
            report.add(tls.line(one), tls.path, f"`{one}` goes with `{other}`", f"add `{other}: PATH`")


@dataclass
class LocalSection(TargetSection, model=TargetSpec):
    """The twin."""

    OF = " of target `local`"

    port: int = setting(_PortNumber(1, 65535), "MQTT port of the twin.", shown="a free one")
    attach: str = setting(
        Text("HOST:PORT", rf"^(?:{HOST}):(?:{_PORT})$"),
        "Control address of a twin that runs already (`buoy twin`); without it one is started.",
    )
    twin: TwinSection | None = entry(Nested(TwinSection), "Settings of the twin that is started.")


@dataclass
class BrokerSection(TargetSection, model=TargetSpec):
    """Any MQTT broker."""

    OF = " of target `broker`"

    host: str = setting(
        Text("a host name or address", rf"^(?:{HOST})$"),
        "Name or address of the broker.",
    )
    port: int = setting(_PortNumber(1, 65535), "Its port.", shown=f"`{PLAIN_PORT}`, with TLS `{TLS_PORT}`")
    tls: TlsSection | None = setting(
        Nested(TlsSection, check=_check_tls), "Files of TLS; absent: no TLS.", also=("ssl",)
    )
    username: str = setting(Text("a name", r"\S"), "User name, if the broker wants one.", also=("user",))
    password: SecretRef | None = setting(
        Secret(), "A reference to the password: `${env:NAME}`, or `${file:NAME}` for a key of secrets.yaml."
    )


_SECTION_OF: dict[str, type[TargetSection]] = {
    "local": LocalSection,
    "broker": BrokerSection,
    "aws": AwsSection,
}
# Where the keys of a section are written → the section.
SECTIONS: dict[str, type[Section]] = {
    "target, kind: local": LocalSection,
    **TWIN_SECTIONS,
    "target, kind: broker": BrokerSection,
    "target.tls": TlsSection,
    "target, kind: aws": AwsSection,
}
_ADDRESS = rf"mqtt://({HOST})(?::({_PORT}))?/?"


class TargetField(Field):
    """A word, `mqtt://HOST:PORT`, or a mapping with `kind`."""

    _word = Word(tuple(TARGETS), "target", LATER_TARGETS)
    expected = f"{_word.expected}, `mqtt://HOST:PORT` or a mapping with `kind`"

    def read(self, node: Node, path: str, report: Reporter) -> TargetSection:
        if isinstance(node, Mapping):
            return self._mapping(node, path, report)
        if not isinstance(node, Scalar) or node.value is None:
            raise self.refuse(node, path, report)
        if node.secret:
            message = "a password does not belong into an address"
            hint = "write a mapping with `kind: broker`, `host`, `username` and `password: ${env:NAME}`"
            raise self.refuse(node, path, report, message, hint)
        if "://" in node.text:
            return self._address(node, path, report)
        word = self._word.read(node, path, report)
        return _SECTION_OF[word](kind=word, path=path)

    def _address(self, node: Scalar, path: str, report: Reporter) -> TargetSection:
        match = re.fullmatch(_ADDRESS, node.text)
        if match is None:
            tls = node.text.startswith(("mqtts://", "ssl://", "tls://"))
            hint = "for TLS write a mapping with `kind: broker`, `host` and `tls`" if tls else ""
            raise self.refuse(node, path, report, f"{node.shown()} is no address `mqtt://HOST:PORT`", hint)
        return BrokerSection(
            kind="broker", host=match[1].strip("[]"), port=int(match[2] or PLAIN_PORT), path=path
        )

    def _mapping(self, node: Mapping, path: str, report: Reporter) -> TargetSection:
        kind_node = node.items["kind"][1] if "kind" in node.items else None
        if kind_node is None:
            raise self.refuse(node, path, report, f"the key `kind` is missing; write {self._word.expected}")
        kind = self._word.read(kind_node, f"{path}.kind", report)
        return read_section(_SECTION_OF[kind], node, path, report)

    def schema(self) -> Schema:
        mappings: list[Schema] = []
        for kind, section in _SECTION_OF.items():
            schema = section_schema(section)
            schema["properties"]["kind"] = {**schema["properties"]["kind"], "enum": [kind]}
            mappings.append(schema)
        address = {"type": "string", "pattern": f"^{_ADDRESS}$"}
        return {"anyOf": [self._word.schema(), address, *mappings]}
