"""What boards on a cable cannot do with a target, by the file: for `check`, `run` and `commission` alike.

The firmware on a board knows certificates and no user names, judges the broker by the name it connects to,
and has no ALPN; and to a real board "this computer" is itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buoyfleet.inventory.available import ON_A_CABLE
from buoyfleet.inventory.format import FleetSection
from buoyfleet.inventory.problems import Reporter
from buoyfleet.inventory.target_format import BrokerSection, LocalSection, TlsSection
from buoyfleet.inventory.target_section import TargetSection
from buoyfleet.inventory.values import ids_shown
from buoyfleet.model.board_names import is_loopback, may_be_simulated
from buoyfleet.model.fleet import BoardSpec

_REACHABLE = (
    "name a broker in the boards' network as `target`, e.g. {kind: broker, host: 192.168.1.10}; "
    "or `kind: simulated` for boards of `buoy simulate`"
)


@dataclass(frozen=True, slots=True)
class CableRule:
    """One thing that cannot work.

    Args:
        key: of the target's section, where the mistake stands.
        broken: whether a target breaks the rule.
        message: `{boards}` stands for the boards concerned.
        hint: what to write instead.
        real: the rule is for boards that are real by the file; simulated ones are on this computer.
        fresh: it is for boards that the run starts itself, with nothing on them.
        least: with fewer boards it is no mistake.
    """

    key: str
    broken: Callable[[TargetSection], bool]
    message: str
    hint: str
    real: bool = False
    fresh: bool = False
    least: int = 1

    def concerns(self, board: BoardSpec, ports: Sequence[str]) -> bool:
        """Whether the rule is for this board; `ports` are those of `bench.ports`."""
        if self.real and (board.kind != "esp32" or may_be_simulated(board.port or "", ports)):
            return False
        return not (self.fresh and board.port)


def _tls(target: TargetSection) -> TlsSection | None:
    return target.tls if isinstance(target, BrokerSection) else None


def _logs_in(target: TargetSection) -> bool:
    return isinstance(target, BrokerSection) and bool(target.username or target.password)


def _without_pair(target: TargetSection) -> bool:
    tls = _tls(target)
    return tls is not None and not (tls.has("certificate") or tls.has("key"))


def _by_certificate(target: TargetSection) -> bool:
    if isinstance(target, LocalSection):
        return target.twin is not None and bool(target.twin.tls)
    return _tls(target) is not None


def _one_pair(target: TargetSection) -> bool:
    tls = _tls(target)
    return tls is not None and bool(tls.certificate and tls.key) and "{thing}" not in tls.certificate


def _other_name(target: TargetSection) -> bool:
    tls = _tls(target)
    return tls is not None and isinstance(target, BrokerSection) and tls.server_name not in ("", target.host)


def _by_alpn(target: TargetSection) -> bool:
    tls = _tls(target)
    return tls is not None and bool(tls.alpn)


def _local(target: TargetSection) -> bool:
    return isinstance(target, LocalSection)


def _loopback(target: TargetSection) -> bool:
    return isinstance(target, BrokerSection) and is_loopback(target.host)


RULES = (
    CableRule(
        "username",
        _logs_in,
        "{boards} on a cable cannot log in with a user name: the firmware knows certificates only",
        "use TLS with certificates (`tls`), or a broker without a password; or make the boards `virtual`",
    ),
    CableRule(
        "tls",
        _without_pair,
        "{boards} on a cable need a certificate and a key of their own: the firmware does not do TLS without",
        'tls: {ca: …, certificate: "certs/{thing}.pem", key: "certs/{thing}.key"}',
    ),
    CableRule(
        "tls",
        _by_certificate,
        "{boards} would be started by the run, without certificates",
        "start them with `buoy simulate`, give each its `port`, and commission them: buoy commission",
        fresh=True,
    ),
    CableRule(
        "tls",
        _by_alpn,
        "{boards} on a cable cannot choose a protocol by ALPN",
        "use the broker's port for MQTT over TLS (8883) and leave `alpn` out",
    ),
    CableRule(
        "tls",
        _other_name,
        "{boards} on a cable judge the broker's certificate by `host`; they have no `server_name`",
        "write the name that is in the certificate as `host`",
    ),
    CableRule(
        "tls",
        _one_pair,
        "{boards} on a cable would share one key",
        "write `{thing}` into `certificate` and `key`: a pair for each board",
        least=2,
    ),
    CableRule(
        "kind",
        _local,
        "{boards} cannot reach the twin, which listens on this computer only",
        _REACHABLE,
        real=True,
    ),
    CableRule(
        "host",
        _loopback,
        "{boards} cannot reach this address: to a real board that is the board itself",
        _REACHABLE,
        real=True,
    ),
)


def check_cables(
    document: FleetSection,
    target: TargetSection,
    boards: Sequence[BoardSpec],
    report: Reporter,
    options: Reporter | None,
) -> None:
    """Report every rule that a target breaks for boards on a cable.

    Args:
        document: the file.
        target: its target, or that of the command line.
        boards: those that are chosen.
        report: takes mistakes of the file.
        options: takes them in its place; the target is that of the command line.
    """
    cabled = [board for board in boards if board.kind in ON_A_CABLE]

    def add(key: str, message: str, hint: str) -> None:
        if options is not None:
            options.add(0, "--target", message, hint)
        elif target.has(key):
            report.add(target.line(key), target.under(key), message, hint)
        elif document.has("target"):
            report.add(document.line("target"), "target", message, hint)
        else:
            group = next(one for one in document.boards or [] if one.kind in ON_A_CABLE)
            report.add(group.line("kind"), group.under("kind"), message, hint)

    ports = (document.bench.ports or ()) if document.bench is not None else ()
    for rule in RULES:
        concerned = [board.buoy_id for board in cabled if rule.concerns(board, ports)]
        if len(concerned) >= rule.least and rule.broken(target):
            who = f"board{'s' if len(concerned) > 1 else ''} {ids_shown(concerned)}"
            add(rule.key, rule.message.replace("{boards}", who), rule.hint)
