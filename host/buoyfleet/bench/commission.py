"""Commissioning one board: look, see what is missing, do that, test, write it down.

Every step looks at the board itself: a run that was cut anywhere is completed by the next.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

from buoyfleet.bench.batch_context import (
    BatchContext,
    BoardResult,
    ProgressEvent,
    StepFailed,
    refuse_in_the_way,
    require_usable,
)
from buoyfleet.bench.credentials import Credentials
from buoyfleet.bench.flashing import confirmed_mac, refuse_old_board, require_version, write_image
from buoyfleet.bench.hold import Hold
from buoyfleet.bench.identity import Claim
from buoyfleet.bench.images import notes_on
from buoyfleet.bench.install import install
from buoyfleet.bench.plan import Step, StepName, missing
from buoyfleet.bench.records import Record
from buoyfleet.bench.self_test import SelfTest, run_self_test
from buoyfleet.bench.session import BoardLog, Session
from buoyfleet.bench.survey import SETTINGS_FILE, State, survey, survey_by_repl, write_identity
from buoyfleet.bench.umqtt import Umqtt
from buoyfleet.bench.wanted import Wanted, differing
from buoyfleet.model.errors import BoardError, BuoyError, PreflightError

_AFTER_KEYS = ("settings", "identity", "restart", "self-test", "record")


class Commission:
    """One board, from its port to its record. Runs in a thread of its own."""

    def __init__(self, wanted: Wanted, bench: BatchContext, session: Session) -> None:
        self.wanted = wanted
        self.result = BoardResult(wanted)
        self._bench = bench
        self._session = session
        self._step: StepName = "find"
        self._credentials: Credentials | None = None
        self._hold = Hold(session)

    def run(self) -> BoardResult:
        """Do what is missing.

        Raises:
            StepFailed: where it ended.
        """
        began = time.monotonic()
        try:
            with self._session:
                self._find()
                state = self._survey()
                self._plan(state)
                if not self._bench.dry_run:
                    try:
                        self._carry_out(state)
                    except BuoyError as error:
                        self._record_failure(state, error)
                        raise
                    finally:
                        if left := self._hold.release():
                            self._note("note", left)
        except BuoyError as error:
            self._note("failed", str(error))
            raise StepFailed(self._step, error) from error
        finally:
            self.result.seconds = time.monotonic() - began
        steps = len(self.result.plan)
        if not steps:
            text = "nothing was missing"
        else:
            text = f"{steps} steps are missing" if self._bench.dry_run else ""
        self._note("done", text)
        return self.result

    # Looking

    def _find(self) -> None:
        with self._doing("find"):
            self.result.port = self._session.port
        with self._doing("identify"):
            found = self._session.persevere(lambda: self._session.look(wake=not self._bench.dry_run))
            require_usable(found, self._bench.options.erase)
            if found.state in ("empty", "stuck"):
                found.mac = self._session.persevere(lambda: confirmed_mac(self._session, found.mac))
            self.result.port, self.result.mac = self._session.port, found.mac
            self._found = found
            log = self._session.log
            if self._bench.logs is not None and log.path is None:
                self._session.log = BoardLog(self._bench.logs / f"{found.mac}.log")

    def _survey(self) -> State:
        paths = tuple(self._bench.software.digests)
        with self._doing("identify"):
            found = self._found

            def look() -> State:
                return survey(self._session, found, paths)

            state = self._session.persevere(look)
        with self._doing("check"):
            if not self._bench.options.erase:
                refuse_in_the_way(state.found)
            there = self._get_credentials(state, make=False)
            claim = Claim(
                self._session.port,
                state.mac,
                self.wanted.buoy,
                state.found.buoy,
                there.fingerprint if there else "",
            )
            self._bench.claim(claim)
            # Only now: a board that is refused must leave no trace, not even among the keys.
            self._credentials = there or self._get_credentials(state, make=not self._bench.dry_run)
        return state

    def _get_credentials(self, state: State, make: bool) -> Credentials | None:
        source = self.wanted.credentials
        if source is None:
            return None
        return source.get(self.wanted.thing, state.mac, self._bench.book.of_certificate, make)

    def _plan(self, state: State) -> None:
        self.result.plan = missing(
            self.wanted,
            state,
            self._bench.software,
            self._credentials,
            self._has_passed(state),
            self._bench.options,
            self._image_before(),
        )
        if not any(step.name == "interpreter" for step in self.result.plan):
            refuse_old_board(state.found.micropython, self._session.port)
        if self.wanted.credentials is not None and self._credentials is None:
            at = next((n for n, step in enumerate(self.result.plan) if step.name in _AFTER_KEYS), 0)
            self.result.plan.insert(at, Step("keys", "a new certificate"))

    def _has_passed(self, state: State) -> bool:
        """Whether the records tell of a self-test that passed with what the board is now.

        A command that was killed leaves no record, but maybe a board with something new.
        """
        book, last = self._bench.book, self._bench.book.installed.get(state.mac)
        return (
            last is not None
            and state.mac not in book.failed
            and last.buoy == self.wanted.buoy
            and last.certificate == (self._credentials.fingerprint if self._credentials else "")
            and last.files == self._bench.software.digests
            and not differing(state.settings, last.settings)
        )

    # Doing

    def _carry_out(self, state: State) -> None:
        names = [step.name for step in self.result.plan]
        if "maintenance" in names:
            self._do("maintenance", lambda: self._hold.take(remove_foreign=True))
        if "interpreter" in names:
            self._do("interpreter", lambda: self._flash(state))
        if {"files", "keys", "settings"} & set(names):
            self._bring(names)
        if "identity" in names:
            self._do("identity", self._identify)
        if "restart" in names:
            self._do("restart", self._restart)
        figures: dict[str, Any] = {}
        if "self-test" in names:
            figures = self._do("self-test", self._test)
        if "record" in names:
            with self._doing("record"):
                self.result.record = self._bench.records.append(self._record(figures))
                self.result.done.append("record")

    def _flash(self, state: State) -> None:
        image = self._bench.image
        if image is None:
            raise BoardError(
                "there is no image to write",
                where=self._session.port,
                next_step="name one: --interpreter FILE or VERSION, or `interpreter` in the fleet file",
            )
        for note in notes_on(image):
            self._note("note", note)
        keep = not self._bench.options.erase
        write_image(
            self._session,
            image,
            baud=self._bench.baud,
            mac=state.mac,
            erase=not keep,
            progress=lambda share: self._progress("interpreter", share),
        )
        after = self._session.persevere(lambda: survey_by_repl(self._session.repl()))
        require_version(after.found.micropython, image, self._session.port)
        if keep and state.found.buoy is not None and after.found.buoy != state.found.buoy:
            raise BoardError(
                f"the id was {state.found.buoy} before flashing and is {after.found.buoy} now",
                where=self._session.port,
                cause="the image was not written around the identity",
            )

    def _bring(self, names: list[StepName]) -> None:
        """Files, keys and settings in one transfer, put in place together."""
        first = next(name for name in ("files", "keys", "settings") if name in names)
        self._do(
            first, lambda: self._transfer(names), [n for n in names if n in ("files", "keys", "settings")]
        )

    def _transfer(self, names: list[StepName]) -> None:
        repl = self._session.repl()
        now = survey_by_repl(repl)
        refuse_in_the_way(now.found)
        extra: dict[str, bytes] = {}
        credentials = self._credentials
        if "settings" in names and differing(now.settings, self.wanted.settings(now.settings)):
            extra[SETTINGS_FILE] = json.dumps(self.wanted.settings(now.settings)).encode()
        if "keys" in names and credentials is not None:
            extra.update(credentials.files())
        library = self._bench.software.umqtt
        if not now.umqtt_frozen and isinstance(library, Umqtt):
            self._note("note", library.source)
        install(
            repl,
            now,
            self._bench.software,
            extra,
            everything=bool({"files", "all"} & self._bench.options.force),
            progress=lambda sent, whole: self._progress(self._step, sent / max(1, whole)),
        )

    def _identify(self) -> None:
        wanted = self.wanted
        # Straight from its keeper into the code, and nowhere else.
        write_identity(self._session.repl(), wanted.buoy, wanted.thing, wanted.ssid, wanted.password.reveal())

    def _restart(self) -> None:
        """Start the application, and see by its own console that it is who it should be."""
        session, bench = self._session, self._bench
        self._hold.restart()
        console = session.console()
        who = console.wait_until_ready(bench.patience.boot_s)
        wanted = self.wanted
        told = {"id": who.get("buoy"), "thing": who.get("thing"), "Wi-Fi": who.get("wifi")}
        expected = {"id": wanted.buoy, "thing": wanted.thing, "Wi-Fi": "set" if wanted.ssid else "unset"}
        wrong = [
            f"{name} {told[name]} instead of {expected[name]}"
            for name in told
            if told[name] != expected[name]
        ]
        own = console.request("get", tries=3)
        wrong += [f"setting {name}" for name in differing(own, wanted.settings(own))]
        if wrong:
            raise BoardError(f"after the reboot it has {', '.join(wrong)}", where=session.port)

    def _test(self) -> dict[str, Any]:
        console = self._session.console()
        console.wait_until_ready(self._bench.patience.boot_s)
        settings = console.request("get", tries=3)
        sensors = settings.get("sensors", {})
        test = SelfTest(
            f"{self._bench.topic_prefix}/{self.wanted.buoy}/data/",
            self._bench.arrivals(),
            tuple(key for key, given in sensors.items() if given.get("mode", "off") != "off"),
            tuple(key for key, given in sensors.items() if given.get("mode") == "hardware"),
            self._bench.connect_s,
            settings.get("broker_host", ""),
        )
        return run_self_test(console, test, self._session.stop)

    def _record(self, figures: dict[str, Any]) -> Record:
        bench, wanted = self._bench, self.wanted
        console = self._session.console()
        who = console.request("identify", tries=3)
        own = console.request("get", tries=3)
        flashed = "interpreter" in self.result.done
        return Record(
            "commissioned",
            self.result.mac,
            wanted.buoy,
            wanted.thing,
            port=self._session.port,
            micropython=str(who.get("micropython", "")),
            image=bench.software.image if flashed else self._image_before(),
            firmware=str(who.get("firmware", "")),
            files=dict(bench.software.digests),
            certificate=self._credentials.fingerprint if self._credentials else "",
            broker=bench.broker,
            settings=own if isinstance(own, dict) else {},
            self_test=figures,
        )

    def _record_failure(self, state: State, error: BuoyError) -> None:
        """Write down who a changed board is that is not in service: no other must become the same."""
        done = set(self.result.done)
        if not done - {"maintenance"} and self._step != "self-test":
            return
        wanted, bench, new = self.wanted, self._bench, self._credentials
        known = bench.book.of_mac(state.mac)
        buoy, thing = (known.buoy, known.thing) if known is not None else (None, "")
        if "identity" in done or state.found.buoy is not None:
            as_wanted = "identity" in done or state.found.buoy == wanted.buoy
            buoy, thing = (wanted.buoy, wanted.thing) if as_wanted else (state.found.buoy, state.found.thing)
        failure = {"step": self._step, "what": error.what}
        record = Record(
            "commissioned",
            state.mac,
            buoy,
            thing,
            passed=False,
            port=self._session.port,
            micropython=bench.software.micropython if "interpreter" in done else state.found.micropython,
            image=bench.software.image if "interpreter" in done else self._image_before(),
            files=dict(bench.software.digests) if "files" in done else dict(state.files),
            certificate=new.fingerprint if new and "keys" in done else state.certificate,
            firmware="" if "files" in done else state.found.firmware,
            broker=bench.broker,
            settings=wanted.settings(state.settings) if "settings" in done else state.settings or {},
            self_test={"failed": failure},
        )
        try:
            self.result.record = bench.records.append(record)
        except PreflightError as untold:
            self._note("note", str(untold))  # why the board failed is the error to end with

    def _image_before(self) -> str:
        last = self._bench.book.installed.get(self.result.mac)
        return last.image if last is not None else ""

    # Screen

    def _do(self, step: StepName, work: Callable[[], Any], also: list[StepName] | None = None) -> Any:
        with self._doing(step):
            value = self._session.persevere(work)
            self.result.done += also or [step]
            return value

    @contextlib.contextmanager
    def _doing(self, step: StepName) -> Iterator[None]:
        self._step = step
        self._session.stop.check(self._session.port)
        self._note("step")
        began = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - began
            self.result.timings[step] = self.result.timings.get(step, 0.0) + spent

    def _note(self, kind: Literal["step", "note", "done", "failed"], text: str = "") -> None:
        self._bench.show(ProgressEvent(self.wanted.key, kind, self._step, text))

    def _progress(self, step: StepName, share: float) -> None:
        self._session.stop.check(self._session.port)
        self._bench.show(ProgressEvent(self.wanted.key, "progress", step, "", share))
