"""Every way a connection can end has a reason that code can decide by."""

import copy
import errno
import socket
import ssl

import pytest

from buoyfleet.model.reasons import LinkReason
from buoyfleet.mqtt.transport import loss, not_mqtt, refusal


@pytest.mark.parametrize(
    ("error", "opened", "reason"),
    [
        (None, True, LinkReason.LOST),
        (None, False, LinkReason.CLOSED_EARLY),
        (ConnectionResetError(), True, LinkReason.LOST),
        (ConnectionResetError(), False, LinkReason.CLOSED_EARLY),
        (ssl.SSLCertVerificationError(1, "self-signed"), False, LinkReason.CERTIFICATE),
        (ssl.SSLError(1, "tlsv13 alert certificate required"), False, LinkReason.TLS),
        (socket.gaierror(-2, "Name or service not known"), False, LinkReason.NAME),
        (OSError(errno.ECONNREFUSED, "x"), False, LinkReason.UNREACHABLE),
        (OSError(errno.EHOSTUNREACH, "x"), False, LinkReason.UNREACHABLE),
        (TimeoutError(errno.ETIMEDOUT, "x"), True, LinkReason.LOST),
        (ValueError("label too long"), False, LinkReason.OTHER),
    ],
)
def test_an_end_of_a_connection_has_a_reason(
    error: BaseException | None, opened: bool, reason: LinkReason
) -> None:
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_message = "self-signed certificate"
    elif isinstance(error, ssl.SSLError):
        error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    trouble = loss(error, "host:1", opened=opened)
    assert trouble.reason == reason
    assert copy.deepcopy(trouble) == trouble
    assert "host:1" in trouble


def test_a_refused_login_is_told_from_another_refusal() -> None:
    assert [refusal(code).reason for code in (1, 2, 3, 4, 5, 99)] == [
        *[LinkReason.CONNECT_REFUSED] * 3,
        *[LinkReason.LOGIN_REFUSED] * 2,
        LinkReason.CONNECT_REFUSED,
    ]
    assert not_mqtt("host:1", "HTTP").reason == LinkReason.NOT_MQTT
