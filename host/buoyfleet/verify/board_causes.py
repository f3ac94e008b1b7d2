"""Why a board did not send, or why what it sent was lost before the target could say anything of it."""

from buoyfleet.model.reasons import DropReason
from buoyfleet.verify.cause import Cause

_DROPPED_CHANGES: dict[str, str] = {
    DropReason.OUTBOX_FULL: "If the link was down or too slow, enlarge `link.outbox`, allow more in flight "
    "or send less often.",
    DropReason.RUN_ENDED: "The board's log (`logs/`) shows why the link was slow; if it only needs more "
    "time, raise `drain_timeout`.",
    DropReason.INTERRUPTED: "Nothing: the run was interrupted. Run again for the rest.",
    DropReason.TARGET_FAILED: "Mend the target first; the boards stopped because it failed.",
    DropReason.SHUT_DOWN: "Clear the retained `shutdown` message on the board's configuration topic.",
    DropReason.LEDGER_FAILED: "Make room on the disk, or give another place with `--out`.",
    DropReason.APPLICATION_FAILED: "Its application failed: read its log in the run's folder (`logs/`).",
    DropReason.BOARD_FAILED: "Read the board's log in the run's folder (`logs/`).",
}


def _dropped_change(reason: str) -> str:
    return _DROPPED_CHANGES.get(reason, "Read the board's log in the run's folder (`logs/`).")


BOARD_CAUSES: dict[str, Cause] = {
    "dropped": Cause(
        "dropped by the board ({detail})",
        lambda figures: _dropped_change(figures.detail),
    ),
    "unaccounted": Cause(
        "the ledger neither sends nor drops that, so the board or its process ended early",
        "Look at the log of the board or pack in the run's folder (`logs/`) and run again.",
    ),
    "untold": Cause(
        "the board could not be asked to the end, and its ledger is incomplete",
        "Plug the board in, or bring it back to its network; then: buoy fetch.",
    ),
    "cut-short": Cause(
        "the process that ran these boards ended early, and their ledger is incomplete",
        "Nothing can be fetched later. Mend what ended it (its log is in `logs/`), then run again.",
    ),
    "computer-busy": Cause(
        "this computer was busy",
        "Run fewer boards on it, plan a longer interval, or leave it nothing else to do meanwhile.",
    ),
    "board-busy": Cause(
        "the board was busy", "Plan a longer interval, or read the board's log for what took its time."
    ),
    "held-back": Cause(
        "they were made in time, and the link held them back",
        "Plan fewer messages per second and board, allow more in flight (`link.in_flight`), or look why the "
        "broker answers late.",
    ),
    "late-send": Cause(
        "the computer, the boards or their links were busy",
        "Plan a longer interval; `stamped` payloads show where the time went.",
    ),
    "same-identity": Cause(
        "the board gave two messages the same timestamp, and a store cannot tell them apart",
        "Correct the board's clock or its firmware: timestamps must rise with every message.",
    ),
    "unacknowledged": Cause(
        "sent, not acknowledged, and never received by the target",
        "Look at the board's connection in its log (`logs/`); if it was just slow, raise `drain_timeout`.",
    ),
    "sent-only": Cause(
        "sent with QoS 0, and never received by the target",
        "Use QoS 1: a board does not learn that a message of QoS 0 was lost, so it does not send it again.",
    ),
    "not-received": Cause(
        "acknowledged to the board, but the target has no record of receiving that",
        "Look into what lies between board and target: a bridge, or a broker that acknowledges too early.",
    ),
    "unrecorded": Cause(
        "the target's own records are incomplete ({detail}), so they do not show where that was lost",
        "Make room on the disk, or mend what ended the target, then run again.",
    ),
    # The board's own connection.
    "link/login-refused": Cause(
        "the broker refused the login ({detail})",
        "Correct `target.username` and `target.password`, or give the boards' certificates a policy that "
        "lets them connect.",
    ),
    "link/connect-refused": Cause(
        "the broker refused the connection ({detail})", "Look into the broker's log for the reason."
    ),
    "link/certificate-not-trusted": Cause(
        "the board does not trust the broker's certificate ({detail})",
        "Give the CA that signed it as `target.tls.ca`, and the name in it as `target.tls.server_name`.",
    ),
    "link/tls-refused": Cause(
        "the TLS handshake failed ({detail})",
        "Check `target.tls`: the broker must trust the CA of `certificate`, and `key` must belong to it.",
    ),
    "link/name-not-resolved": Cause(
        "the broker's name has no address ({detail})", "Correct `target.host`, or the name server."
    ),
    "link/unreachable": Cause(
        "the broker cannot be reached ({detail})",
        "Start the broker, correct `target.host` and `target.port`, or open the firewall.",
    ),
    "link/closed-before-connack": Cause(
        "the broker closed the connection before it answered CONNECT ({detail})",
        "Look into the broker's log; with TLS it may have refused the certificate.",
    ),
    "link/connection-lost": Cause(
        "the connection was lost ({detail})",
        "Look into the broker's log and the network; a larger `link.outbox` bridges longer outages.",
    ),
    "link/not-mqtt": Cause("the other side speaks no MQTT ({detail})", "Correct `target.port`."),
    "link/link-trouble": Cause(
        "the board was not connected ({detail})", "Read the board's log in the run's folder (`logs/`)."
    ),
}
