"""Why a board did not send: reasons that stages give each other. Decisions go by these, never by texts."""

from enum import StrEnum


class DropReason(StrEnum):
    """Why a message will not be sent: `reason` of the ledger's DROPPED rows. Firmware has the same words."""

    OUTBOX_FULL = "outbox full"
    RUN_ENDED = "not sent before the run ended"
    SHUT_DOWN = "shut down by configuration"
    INTERRUPTED = "interrupted"
    TARGET_FAILED = "target failed"
    LEDGER_FAILED = "the ledger could not be written"
    APPLICATION_FAILED = "application failed"
    BOARD_FAILED = "the board failed"


class LinkReason(StrEnum):
    """Why a connection ended or could not be made."""

    LOGIN_REFUSED = "login-refused"
    CONNECT_REFUSED = "connect-refused"
    CERTIFICATE = "certificate-not-trusted"
    TLS = "tls-refused"
    NAME = "name-not-resolved"
    UNREACHABLE = "unreachable"
    CLOSED_EARLY = "closed-before-connack"
    LOST = "connection-lost"
    NOT_MQTT = "not-mqtt"
    OTHER = "link-trouble"
    """In the board's own words."""


class LinkTrouble(str):
    """A text for people that knows its reason; the link passes it on as any text."""

    __slots__ = ("reason",)

    reason: LinkReason

    def __new__(cls, text: str, reason: LinkReason) -> "LinkTrouble":
        """A text with its reason."""
        made = super().__new__(cls, text)
        made.reason = reason
        return made

    def __reduce__(self) -> "tuple[type[LinkTrouble], tuple[str, LinkReason]]":
        """For copies."""
        return LinkTrouble, (str(self), self.reason)
