"""From the fleet file and the command line to what the bench shall make of which boards."""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from buoyfleet.bench.folder import BenchFolder
from buoyfleet.bench.images import get_image
from buoyfleet.bench.keys import CredentialFiles, CredentialSource, OwnAuthority
from buoyfleet.bench.plan import Software
from buoyfleet.bench.records import Book
from buoyfleet.bench.twin_port import choose_port
from buoyfleet.bench.umqtt import Umqtt
from buoyfleet.bench.wanted import Wanted
from buoyfleet.boards.board_settings import RunSettings, settings_for
from buoyfleet.boards.firmware_files import installed_firmware
from buoyfleet.inventory.secrets import Secret, resolve_secret
from buoyfleet.inventory.values import Mistake, parse_ids
from buoyfleet.model.aws import AwsSpec
from buoyfleet.model.bench import BenchSpec
from buoyfleet.model.board_names import BoardName, parse_name
from buoyfleet.model.endpoint import Endpoint
from buoyfleet.model.errors import UsageError
from buoyfleet.model.fleet import BoardSpec, Fleet, TargetSpec, TlsSpec
from buoyfleet.model.places import COMPILED
from buoyfleet.model.twin import TwinSpec, TwinTls
from buoyfleet.serial.esp_image import FlashImage


@dataclass(frozen=True, slots=True)
class Chosen:
    """A board of the fleet file and where it is."""

    name: BoardName
    spec: BoardSpec


def choose(fleet: Fleet, words: Iterable[str]) -> list[Chosen]:
    """The boards that the command line means; all on a cable where it names none.

    Args:
        fleet: as loaded.
        words: ids (`131`, `128-130`), or `NAME=ID` where the board is on another port than the file says.

    Raises:
        UsageError: with every word that names no board of the fleet.
    """
    cabled = {board.buoy_id: board for board in fleet.boards if board.kind != "virtual"}
    chosen: dict[int, Chosen] = {}
    wrong: list[str] = []
    for word in words:
        name, mark, number = word.rpartition("=")
        try:
            ids = [int(parse_name(number).value)] if mark else _ids(word)
        except (UsageError, Mistake, ValueError):
            wrong.append(f"`{word}` is neither ids (131, 128-130) nor NAME=ID (/dev/ttyUSB0=131)")
            continue
        for buoy in ids:
            spec = cabled.get(buoy)
            if spec is None:
                wrong.append(f"{fleet.source} has no board {buoy} on a cable")
            elif not (mark or spec.port):
                wrong.append(f"board {buoy} has no `port` in {fleet.source}")
            else:
                chosen[buoy] = Chosen(parse_name(name if mark else spec.port), spec)
    if not wrong and not chosen:
        chosen = {buoy: Chosen(parse_name(spec.port), spec) for buoy, spec in cabled.items() if spec.port}
        if not chosen:
            wrong.append(f"{fleet.source} has no board with a `port`")
    if wrong:
        raise UsageError(
            "\n".join(wrong),
            next_step="buoy ports shows the lines for boards.yaml; NAME=ID names a board's port here",
        )
    return [chosen[buoy] for buoy in sorted(chosen)]


def _ids(word: str) -> list[int]:
    return [buoy for first, last in parse_ids(word) for buoy in range(first, last + 1)]


def make_software(image: FlashImage | None, kept: Path | None = None) -> Software:
    """Everything that belongs on a board, compiled.

    Args:
        image: of the interpreter; None: whatever runs stays.
        kept: where the library is kept that boards without a frozen one get; None: with what was compiled.

    Raises:
        PreflightError: a compiler or library is missing.
    """
    firmware = installed_firmware()
    files = firmware.files
    return Software(
        micropython=image.version if image is not None else "",
        image=image.digest if image is not None else "",
        files=files,
        digests={path: hashlib.sha256(data).hexdigest() for path, data in files.items()},
        umqtt=Umqtt(kept or COMPILED / "umqtt"),
        firmware=firmware.version,
    )


def load_image(spec: BenchSpec, folder: BenchFolder, progress: Any = None) -> FlashImage | None:
    """The interpreter of the fleet file or command line; None if neither names one.

    Raises:
        BuoyError: it cannot be had, or is no image for an ESP32.
    """
    if not spec.interpreter:
        return None
    return get_image(spec.interpreter, folder.images, sha256=spec.interpreter_sha256, progress=progress)


def bench_target(
    fleet: Fleet,
    folder: BenchFolder,
    book: Book,
    ids: Iterable[int],
    held: ExitStack,
    *,
    dry_run: bool = False,
) -> Fleet:
    """The fleet with a target that boards can keep: a twin on a port they know, its authority kept.

    Args:
        fleet: as loaded.
        folder: of the bench.
        book: who is who by the records.
        ids: the boards.
        held: gets what has to be given back at the end; the twin's port is nobody else's until then.
        dry_run: the target will not be started.

    Raises:
        BuoyError: the account tells no endpoint, or no port is free.
    """
    target = fleet.target
    if target.aws is not None:
        return replace(fleet, target=_in_account(target.aws))
    if target.kind != "local" or target.attach:
        return fleet
    twin = target.twin or TwinSpec()
    tls = twin.tls or TwinTls()
    authority = tls.authority or str(folder.certificates.resolve())
    twin = replace(twin, tls=replace(tls, authority=authority))
    port = target.port or choose_port(folder.path, book, ids, held, dry_run=dry_run)
    return replace(fleet, target=replace(target, twin=twin, port=port))


def boards_authority(fleet: Fleet, folder: BenchFolder) -> Fleet:
    """The fleet with the authority that signed its boards' certificates, where its file names none.

    Boards on ports that `buoy commission` gave certificates of the twin's authority would refuse a new one.
    """
    target = fleet.target
    twin = target.twin
    if target.kind != "local" or target.attach or twin is None or twin.tls is None or twin.tls.authority:
        return fleet
    if not any(board.port for board in fleet.boards) or not folder.certificates.is_dir():
        return fleet
    tls = replace(twin.tls, authority=str(folder.certificates.resolve()))
    return replace(fleet, target=replace(target, twin=replace(twin, tls=tls)))


def _in_account(spec: AwsSpec) -> TargetSpec:
    """IoT Core's endpoint, with the certificates that `buoy cloud enroll` made."""
    from buoyfleet.cloud.aws.endpoint import TLS_PORT, account_endpoint  # boto3 is for those who need it

    endpoint = account_endpoint(replace(spec, port=TLS_PORT))
    return TargetSpec("broker", host=endpoint.host, port=TLS_PORT, tls=endpoint.tls)


def endpoint_of(target: TargetSpec) -> Endpoint:
    """Where boards will connect, as far as their settings need it.

    Raises:
        UsageError: a target of which that is not known before it is started.
    """
    if target.kind == "local" and target.attach:
        raise UsageError(
            "boards cannot be commissioned for a twin that is attached to",
            next_step="leave `attach` out; the bench starts a twin of its own for the self-test",
        )
    if target.kind == "local":
        return Endpoint("127.0.0.1", target.port, TlsSpec(ca=""))
    return Endpoint(target.host, target.port, target.tls)


def credential_source(fleet: Fleet) -> CredentialSource | None:
    """Where boards' keys and certificates come from; None if the target wants none.

    Raises:
        UsageError: the target's TLS names no certificate for boards.
    """
    target = fleet.target
    if target.kind == "local":
        tls = target.twin.tls if target.twin is not None else None
        return None if tls is None else OwnAuthority(Path(tls.authority))
    if target.tls is None:
        return None
    if not (target.tls.certificate and target.tls.key):
        raise UsageError(
            "the target's `tls` names no certificate and key for boards",
            where=fleet.source,
            next_step='tls: {ca: …, certificate: "certs/{thing}.pem", key: "certs/{thing}.key"}',
        )
    return CredentialFiles(target.tls, Path(fleet.source).resolve().parent)


def make_wanted(fleet: Fleet, spec: BenchSpec, chosen: Iterable[Chosen]) -> list[Wanted]:
    """What each board shall be.

    Raises:
        BuoyError: a secret is missing, or a setting is wrong; before anything is done.
    """
    chosen = tuple(chosen)
    endpoint = endpoint_of(fleet.target)
    source = credential_source(fleet)
    if isinstance(source, CredentialFiles):
        source.check([board.spec.thing_name for board in chosen])
    run = RunSettings(fleet.topic_prefix, fleet.run.payload, fleet.run.qos, max_rate=80)
    secrets: dict[Any, Secret] = {}
    wanted: list[Wanted] = []
    for board in chosen:
        wifi = board.spec.wifi
        password = Secret("")
        if wifi is not None and wifi.password is not None:
            if wifi.password not in secrets:
                secrets[wifi.password] = resolve_secret(wifi.password, fleet.source)
            password = secrets[wifi.password]
        if wifi is None:
            raise UsageError(
                f"board {board.spec.buoy_id} has no `wifi`",
                where=fleet.source,
                next_step='wifi: {ssid: NAME, password: "${env:WIFI_PASSWORD}"} in its group',
            )
        one = Wanted(
            board.name,
            board.spec.buoy_id,
            board.spec.thing_name,
            wifi.ssid,
            password,
            _changes(board.spec, run, endpoint, spec),
            source,
        )
        one.settings(None)
        wanted.append(one)
    return wanted


def _changes(spec: BoardSpec, run: RunSettings, endpoint: Endpoint, bench: BenchSpec) -> Any:
    def changes(own: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **settings_for(spec, run, endpoint, own),
            "publish_interval_s": bench.publish_interval_s,
            "low_power": bench.low_power,
            "watchdog_s": bench.watchdog_s,
            "ntp_host": bench.ntp_host,
        }

    return changes
