"""Flashing alone: a board gets an interpreter and keeps its identity and files."""

import time
from collections.abc import Callable

from buoyfleet.bench.batch_context import BoardResult, ProgressEvent, StepFailed, require_usable
from buoyfleet.bench.flashing import require_version, write_image
from buoyfleet.bench.images import notes_on
from buoyfleet.bench.plan import Step, StepName
from buoyfleet.bench.session import Session
from buoyfleet.bench.survey import read_identity
from buoyfleet.bench.wanted import Wanted
from buoyfleet.model.board_names import BoardName
from buoyfleet.model.errors import BoardError, BuoyError
from buoyfleet.model.micropython import same_version
from buoyfleet.serial.esp_image import FlashImage
from buoyfleet.serial.probe import Found


class FlashOnly:
    """One board. Runs in a thread of its own.

    Args:
        name: of the board.
        image: checked.
        session: not open yet.
        baud: bits per second to begin with.
        force: also where this version runs.
        erase: everything, identity too.
        show: takes what happens.
    """

    def __init__(
        self,
        name: BoardName,
        image: FlashImage,
        session: Session,
        *,
        baud: int,
        force: bool,
        erase: bool,
        show: Callable[[ProgressEvent], None],
    ) -> None:
        self._name = name
        self._image = image
        self._session = session
        self._baud = baud
        self._force = force
        self._erase = erase
        self._show = show
        self._step: StepName = "find"

    def run(self) -> BoardResult:
        """Flash it if need be.

        Raises:
            StepFailed: where it ended.
        """
        began = time.monotonic()
        result = BoardResult(Wanted(self._name, 0, "", ""))
        try:
            with self._session:
                self._work(result)
        except BuoyError as error:
            self._show(ProgressEvent(self._name.text, "failed", self._step, str(error)))
            raise StepFailed(self._step, error) from error
        result.seconds = time.monotonic() - began
        text = "" if result.done else f"MicroPython {self._image.version} runs already"
        self._show(ProgressEvent(self._name.text, "done", self._step, text))
        return result

    def _work(self, result: BoardResult) -> None:
        session = self._session
        self._begin("find")
        self._begin("identify")
        found = session.persevere(lambda: session.look(ask_rom=self._erase))
        require_usable(found, self._erase)
        result.port, result.mac = session.port, found.mac
        if same_version(found.micropython, self._image.version) and not (self._force or self._erase):
            return
        before = None if self._erase else self._identity(found)
        result.plan.append(Step("interpreter", f"MicroPython {self._image.version or self._image.path.name}"))
        self._begin("interpreter")
        for note in notes_on(self._image):
            self._show(ProgressEvent(self._name.text, "note", "interpreter", note))
        write_image(
            session,
            self._image,
            baud=self._baud,
            mac=found.mac,
            erase=self._erase,
            progress=lambda share: self._show(
                ProgressEvent(self._name.text, "progress", "interpreter", "", share)
            ),
        )
        self._begin("restart")
        after = session.persevere(session.look)
        result.mac = after.mac
        if after.state not in ("firmware", "micropython"):
            raise BoardError(f"after flashing: {after.runs}", where=session.port)
        require_version(after.micropython, self._image, session.port)
        if before is not None and self._identity(after) != before:
            raise BoardError(
                f"the id was {before} before flashing and is {self._identity(after)} now",
                where=session.port,
                cause="the image was not written around the identity",
            )
        result.done.append("interpreter")

    def _identity(self, found: Found) -> int | None:
        if found.state == "firmware":
            return found.buoy
        if found.state != "micropython":
            return None
        buoy = self._session.persevere(lambda: read_identity(self._session.repl()))["buoy"]
        return buoy if isinstance(buoy, int) else None

    def _begin(self, step: StepName) -> None:
        self._session.stop.check(self._session.port)
        self._step = step
        self._show(ProgressEvent(self._name.text, "step", step))
