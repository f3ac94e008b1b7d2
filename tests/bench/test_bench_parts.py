"""Plans, keys, images and the running of many boards: parts that need no board."""

import hashlib
import http.server
import pickle
import stat
import threading
from dataclasses import replace
from functools import partial

import pytest

from buoyfleet.bench import session as bench_session
from buoyfleet.bench.batch import Job, Limits, Stop, Stopped, is_defect, run_all
from buoyfleet.bench.credentials import Credentials
from buoyfleet.bench.flashing import confirmed_mac, patiently, refuse_old_board
from buoyfleet.bench.images import RELEASES, get_image, remember
from buoyfleet.bench.keys import CredentialFiles, OwnAuthority
from buoyfleet.bench.plan import Options, Software, missing, to_remove
from buoyfleet.bench.self_test import SelfTest, run_self_test
from buoyfleet.bench.session import TRANSIENT, BoardLog, Session
from buoyfleet.bench.survey import State
from buoyfleet.bench.tls_files import load
from buoyfleet.bench.wanted import Wanted
from buoyfleet.model.board_names import parse_name
from buoyfleet.model.errors import BoardError, PreflightError, UsageError
from buoyfleet.model.fleet import TlsSpec
from buoyfleet.serial.esp_image import read_image
from buoyfleet.serial.esptool import ChipInfo
from buoyfleet.serial.probe import Found
from buoyfleet.simulation.esp32.synthetic import synthetic_image, write_synthetic

MAC = "240ac4000080"
FILES = {"boot.py": b"b", "main.py": b"m", "buoy/app.mpy": b"a"}
DIGESTS = {path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()}
SOFTWARE = Software("1.25.0", "ab", FILES, DIGESTS, {"lib/umqtt/simple.py": b"u"})
KEYS = Credentials(b"ca", b"certificate", b"key")
WANTED = Wanted(parse_name("/dev/x"), 131, "buoy-131", "harbour", changes=lambda _: {"qos": 0})


def in_service(**changes) -> State:
    found = Found("/dev/x", "firmware", MAC, "esp32", "1.25.0", "1.0.0", 131, "buoy-131", True)
    files = {
        **DIGESTS,
        "certs/cert.der": KEYS.fingerprint,
        "certs/ca.der": hashlib.sha256(KEYS.ca).hexdigest(),
    }
    state = State(found, files, settings=WANTED.settings(None))
    for name, value in changes.items():
        setattr(found if hasattr(found, name) else state, name, value)
    return state


def steps(state, *, passed=True, options=None):
    return [step.name for step in missing(WANTED, state, SOFTWARE, KEYS, passed, options or Options())]


END = ["restart", "self-test", "record"]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, []),
        ({"buoy": 7}, ["maintenance", "identity", *END]),
        ({"thing": "other"}, ["maintenance", "identity", *END]),
        ({"wifi": False}, ["maintenance", "identity", *END]),
        ({"ssid": "elsewhere"}, ["maintenance", "identity", *END]),
        ({"micropython": "1.24.0"}, ["maintenance", "interpreter", *END]),
        ({"settings": None}, ["maintenance", "settings", *END]),
        ({"files": {**DIGESTS, "buoy/app.mpy": "old"}}, ["maintenance", "files", "keys", *END]),
        ({"maintenance": True}, END),
        ({"state": "micropython"}, END),
    ],
)
def test_only_what_is_missing_is_planned(changes, wanted):
    assert steps(in_service(**changes)) == wanted


def test_a_bare_board_needs_everything_and_a_passed_one_nothing():
    bare = State(Found("/dev/x", "empty", MAC))
    assert steps(bare, passed=False) == ["interpreter", "files", "keys", "settings", "identity", *END]
    assert steps(in_service(), passed=False) == ["self-test", "record"]
    assert steps(in_service(), options=Options(test=True)) == ["self-test", "record"]
    assert steps(in_service(), options=Options(erase=True))[1] == "interpreter"
    assert steps(in_service(), options=Options(force=frozenset({"all"}))) == [
        "maintenance", "interpreter", "files", "keys", "identity", *END
    ]  # fmt: skip


def test_another_firmware_is_replaced_with_both_versions_named():
    state = in_service(files={**DIGESTS, "buoy/app.mpy": "old"})
    software = replace(SOFTWARE, firmware="1.0.0+22222222")
    (step,) = [
        step for step in missing(WANTED, state, software, None, True, Options()) if step.name == "files"
    ]
    assert step.why == "firmware 1.0.0+22222222, 1.0.0 runs, 1 of 3"


def test_files_that_do_not_belong_any_more_are_removed_and_others_stay():
    state = in_service(complete=True)
    state.files |= {"buoy/old.mpy": "x", "buoy/app.mpy.new": "x", "settings.json": "x", "certs/key.der": "-"}
    state.files["certs/cert.der.new"] = "x"
    assert to_remove(state, SOFTWARE) == ["buoy/app.mpy.new", "buoy/old.mpy", "certs/cert.der.new"]


def test_the_library_is_sent_where_the_interpreter_has_none():
    state = in_service(complete=True, umqtt_frozen=False)
    state.files["certs/key.der"] = "-"
    assert "files" in steps(state)


def test_a_board_with_an_interpreter_that_is_too_old_is_refused_where_no_image_is_named():
    refuse_old_board("1.24.0", "/dev/x")
    with pytest.raises(BoardError, match=r"MicroPython 1\.23\.0 runs, older than 1\.24\.0") as caught:
        refuse_old_board("1.23.0", "/dev/x")
    assert caught.value.next_step == "--interpreter 1.26.1"


@pytest.mark.parametrize(
    ("runs", "image", "before", "missing_it"),
    [
        ("1.25.0", "1.25.0", "", False),
        ("1.25", "1.25.0", "", False),
        ("1.25.0", "1.26.1", "", True),
        ("1.26.0-preview.12.gabc", "1.26.0", "", True),
        ("1.25.0-dirty", "1.25.0", "", True),
        ("1.25.0", "", "", True),
        ("", "", "digest", True),
        ("1.25.0", "", "digest", False),  # by the records this very image was written
    ],
)
def test_an_interpreter_is_missing_where_another_runs_and_empty_equals_nothing(
    runs, image, before, missing_it
):
    software = replace(SOFTWARE, micropython=image, image="digest")
    state = in_service(micropython=runs)
    planned = missing(WANTED, state, software, KEYS, True, Options(), before)
    assert ("interpreter" in [step.name for step in planned]) == missing_it


def nobody(_certificate):
    return ""


def test_keys_are_made_once_and_belong_to_the_user_alone(tmp_path):
    source = OwnAuthority(tmp_path / "certs")
    assert source.get("buoy-1", MAC, nobody, make=False) is None
    first = source.get("buoy-1", MAC, nobody)
    assert source.get("buoy-1", MAC, nobody) == first
    for name in ("buoy-1.key", "ca.key"):
        assert stat.S_IMODE((tmp_path / "certs" / name).stat().st_mode) == 0o600
    assert first.ca == source.get("buoy-2", MAC, nobody).ca
    assert list(first.files())[-1] == "certs/cert.der"


def test_a_board_that_takes_over_a_thing_gets_a_certificate_of_its_own(tmp_path):
    source = OwnAuthority(tmp_path / "certs")
    first = source.get("buoy-1", MAC, nobody)
    other = source.get("buoy-1", "240ac4000081", lambda c: MAC if c == first.fingerprint else "")
    assert other.fingerprint != first.fingerprint
    assert len(list((tmp_path / "certs").glob("buoy-1*.pem"))) == 2


def test_a_key_shows_itself_nowhere():
    credentials = Credentials(b"ca", b"certificate", b"very-private")
    assert "very-private" not in repr(credentials)
    with pytest.raises(TypeError, match="not to be serialised"):
        pickle.dumps(credentials)


def test_files_of_somebody_else_are_checked_before_they_are_used(tmp_path):
    OwnAuthority(tmp_path).get("buoy-1", MAC, nobody)
    OwnAuthority(tmp_path).get("buoy-2", MAC, nobody)
    files = CredentialFiles(TlsSpec("ca.pem", "{thing}.pem", "{thing}.key"), tmp_path)
    assert files.get("buoy-1", MAC, nobody).certificate
    ca, certificate, key = tmp_path / "ca.pem", tmp_path / "buoy-1.pem", tmp_path / "buoy-1.key"
    with pytest.raises(PreflightError, match="not that of the certificate"):
        load(ca, certificate, tmp_path / "buoy-2.key")
    with pytest.raises(PreflightError, match="no certificate"):
        load(key, certificate, key)
    key.chmod(0o644)
    with pytest.raises(PreflightError, match="others may use the key"):
        load(ca, certificate, key)
    key.chmod(0o600)
    secret = key.read_text()
    key.write_text("-----BEGIN nothing\n" + secret[30:60])
    with pytest.raises(PreflightError) as caught:
        load(ca, certificate, key)
    assert secret[30:60] not in str(caught.value)


def test_a_version_is_downloaded_once_and_then_found_without_a_network(tmp_path, monkeypatch):
    name = RELEASES["1.26.1"]
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / name).write_bytes(synthetic_image("1.26.1", 90_000))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("BUOY_IMAGES", f"http://127.0.0.1:{server.server_port}/")
    shares = []
    try:
        image = get_image(
            "1.26.1", tmp_path / "images", progress=lambda done, whole: shares.append((done, whole))
        )
    finally:
        server.shutdown()
        server.server_close()
    assert image.version == "1.26.1"
    assert shares[-1][0] == shares[-1][1] == len(image.data)
    assert get_image("v1.26.1", tmp_path / "images").digest == image.digest
    with pytest.raises(PreflightError, match="cannot be downloaded") as caught:
        get_image("1.25.0", tmp_path / "images")
    assert RELEASES["1.25.0"] in caught.value.next_step


def test_another_checksum_than_wanted_is_refused_and_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / RELEASES["1.26.1"]).write_bytes(synthetic_image("1.26.1", 90_000))
    monkeypatch.setenv("BUOY_IMAGES", str(tmp_path))
    with pytest.raises(PreflightError, match=f"not {'0' * 64}"):
        get_image("1.26.1", tmp_path / "images", sha256="0" * 64)
    assert not list((tmp_path / "images").glob("*.bin"))
    file = write_synthetic(tmp_path / "mine.bin", size=90_000)
    with pytest.raises(PreflightError, match="SHA-256"):
        get_image(str(file), tmp_path / "images", sha256="0" * 64)


def test_a_cached_image_that_was_changed_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("BUOY_IMAGES", str(tmp_path / "nowhere"))
    image = read_image(write_synthetic(tmp_path / "i.bin", "1.26.1", 90_000))
    kept = remember(image, "1.26.1", tmp_path / "images")
    assert get_image("1.26.1", tmp_path / "images").digest == image.digest
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    with pytest.raises(PreflightError, match="cannot be downloaded"):
        get_image("1.26.1", tmp_path / "images")


def test_an_unknown_version_is_told_with_those_there_are(tmp_path):
    with pytest.raises(UsageError, match=r"1\.26\.1"):
        get_image("9.9.9", tmp_path)


def test_boards_run_side_by_side_and_a_hang_holds_back_nobody():
    release = threading.Event()
    ended = []

    def hang():
        assert release.wait(90)

    def note(outcome):
        ended.append(outcome.key)
        if len(ended) == 3:
            release.set()

    jobs = [Job("hangs", "", hang), *(Job(str(n), "", lambda: None) for n in range(3))]
    outcomes = run_all(jobs, Limits(), Stop(), note)
    assert ended[-1] == "hangs"
    assert all(outcome.passed for outcome in outcomes)


@pytest.mark.parametrize(("limits", "most"), [(Limits(boards=2), 2), (Limits(per_hub=1), 2), (Limits(), 6)])
def test_limits_of_machine_and_hub_are_kept(limits, most):
    guard = threading.Lock()
    now = {"a": 0, "b": 0}
    seen = []
    together = threading.Barrier(most)

    def work(hub):
        with guard:
            now[hub] += 1
            seen.append((sum(now.values()), now[hub]))
        together.wait(90)  # passes only if so many are at work at once
        with guard:
            now[hub] -= 1

    jobs = [Job(str(n), hub, partial(work, hub)) for n, hub in enumerate("ababab")]
    assert all(outcome.passed for outcome in run_all(jobs, limits, Stop()))
    assert max(total for total, _ in seen) <= most
    if limits.per_hub:
        assert max(own for _, own in seen) == 1


def test_stopping_ends_boards_that_wait_and_those_that_work():
    stop = Stop()

    def work():
        stop.set()
        stop.wait(30, "port")

    outcomes = run_all([Job("a", "", work), Job("b", "", work)], Limits(boards=1), stop)
    assert [type(outcome.error) for outcome in outcomes] == [Stopped, Stopped]


def test_a_boards_failure_and_a_defect_of_ours_are_told_apart():
    def fail():
        raise BoardError("no", where="port")

    outcomes = run_all([Job("a", "", fail), Job("b", "", lambda: 1 / 0)], Limits(), Stop())
    assert [is_defect(outcome.error) for outcome in outcomes] == [False, True]


class WithoutLink:
    """A board's console: its Wi-Fi is joined and it reaches no broker."""

    port = "/dev/ttyUSB0"

    def request(self, do, *_, **__):
        trouble = "cannot connect: The certificate is not correctly signed by the trusted CA"
        return {"clock": {}, "health": {"link": 1, "wifi": True, "link_trouble": trouble}}[do]


@pytest.mark.parametrize(
    ("host", "cause"), [("127.0.0.1", "that address is the board itself"), ("mqtt.harbour.lan", "")]
)
def test_the_boards_own_reason_is_the_headline_when_it_cannot_connect(host, cause):
    test = SelfTest("aws/0/131/data/", object(), (), connect_s=0.0, broker_host=host)
    with pytest.raises(BoardError) as raised:
        run_self_test(WithoutLink(), test, Stop())
    assert f"broker on {host}: cannot connect: The certificate is not correctly" in raised.value.what
    assert cause in raised.value.cause
    assert raised.value.next_step


class ReadsMacs:
    """A session whose chip says these MACs, one after the other; None is no answer."""

    port = "/dev/ttyUSB0"
    stop = Stop()

    def __init__(self, macs):
        self._macs = list(macs)

    def esptool(self):
        return self

    def identify(self, flash):  # noqa: ARG002
        mac = self._macs.pop(0)
        if mac is None:
            raise BoardError("esptool: The chip stopped responding.", where=self.port)
        return ChipInfo("ESP32", mac, 0)


@pytest.mark.parametrize("further", [[MAC], ["240a00000000", MAC]])
def test_a_mac_counts_when_two_readings_agree(further):
    assert confirmed_mac(ReadsMacs(further), MAC) == MAC


def test_a_mac_that_the_line_had_changed_is_not_taken():
    assert confirmed_mac(ReadsMacs([MAC, MAC]), "240a00000000") == MAC


@pytest.mark.parametrize("further", [["240a00000000", "000000000000"], [None]])
def test_a_chip_that_is_not_understood_is_asked_again_later(further):
    with pytest.raises(TRANSIENT):
        confirmed_mac(ReadsMacs(further), MAC)


class FailsAtFirst(Session):
    """esptool gets no answer from the chip the first times."""

    failures = 0

    def esptool(self):
        return self

    def reappear(self, error):
        """The board is there all the time."""

    def answer(self):
        if self.failures:
            self.failures -= 1
            raise BoardError("esptool: Failed to start stub flasher.", where=self.port, next_step="again")
        return "table"


@pytest.fixture
def late(monkeypatch, tmp_path):
    monkeypatch.setattr(bench_session, "_PAUSE_S", 0.0)

    def with_failures(count):
        session = FailsAtFirst(parse_name("/dev/ttyUSB0"), log=BoardLog(tmp_path / "board.log"))
        session.failures = count
        return session

    return with_failures


def test_a_chip_that_answered_too_late_for_esptool_is_asked_again(late, tmp_path):
    assert patiently(late(2), FailsAtFirst.answer) == "table"
    assert len((tmp_path / "board.log").read_text().splitlines()) == 2, "each failure is in the board's log"


def test_a_chip_that_does_not_answer_fails_with_the_last_reason(late):
    with pytest.raises(TRANSIENT) as raised:
        patiently(late(3), FailsAtFirst.answer)
    assert "stub flasher" in raised.value.what
    assert raised.value.next_step == "again"
