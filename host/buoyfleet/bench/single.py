"""What is done to one board by name: identity, settings, files, wiping."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from buoy import settings as board_settings
from buoy.identity import FILES, FOLDERS, NAMESPACE, keys

from buoyfleet.bench.batch_context import require_usable
from buoyfleet.bench.flashing import patiently
from buoyfleet.bench.hold import Hold
from buoyfleet.bench.identity import Claim, conflicts, refuse
from buoyfleet.bench.records import Record, Records
from buoyfleet.bench.session import Session
from buoyfleet.bench.survey import SETTINGS_FILE, identity_code, read_identity, survey_by_repl
from buoyfleet.boards.board_settings import changes_between
from buoyfleet.boards.by_name import name_and_ports
from buoyfleet.model.errors import BoardError, UsageError
from buoyfleet.serial.board_files import send_files
from buoyfleet.serial.esptool import Esptool
from buoyfleet.serial.probe import Found
from buoyfleet.serial.raw_repl import RawRepl


@contextlib.contextmanager
def open_session(board: str, fleet: Path, ports: Iterable[str], purpose: str) -> Iterator[Session]:
    """A board's session, its port found and locked.

    Args:
        board: by any of its names.
        fleet: file that says which id is on which port; it need not exist.
        ports: to search as well.
        purpose: why the port is held; told to others who want it.

    Raises:
        BuoyError: no such board, or its port is taken.
    """
    name, more = name_and_ports(board, fleet, ports)
    with Session(name, more, purpose=purpose) as session:
        yield session


def look(session: Session) -> Found:
    """Who is there; what is at its prompt tells its identity too.

    Raises:
        BoardError: no board that answers.
    """
    found = session.persevere(session.look)
    require_usable(found)
    if found.state == "micropython":
        who = session.persevere(lambda: read_identity(session.repl()))
        found.buoy, found.thing, found.wifi = who["buoy"], who["thing"] or "", bool(who["ssid"])
    return found


def set_id(session: Session, records: Records, buoy: int, reassign: bool) -> Record:
    """Give a board an id, read it back after its reboot, and record it.

    Raises:
        BoardError: refused with both sides named; nothing was written.
    """
    found = look(session)
    if found.state == "empty":
        raise BoardError("nothing runs on it", where=session.port, next_step=f"buoy flash {session.port}")
    book = records.book()
    claim = Claim(session.port, found.mac, buoy, found.buoy)
    refuse(claim, conflicts(claim, book, {}, reassign))
    if found.buoy != buoy:
        if found.state == "firmware":
            session.console().request("id", tries=3, buoy=buoy)
            who = session.console().restart(session.patience.boot_s, soft=False)
            now = who.get("buoy")
        else:
            session.repl().run(f"{identity_code()}\nme.set_buoy_id({buoy})")
            session.repl().hard_reset()
            now = look(session).buoy
        if now != buoy:
            raise BoardError(f"after the reboot the id is {now}, not {buoy}", where=session.port)
    last = book.of_mac(found.mac)
    thing = found.thing or (last.thing if last is not None else "")
    return records.append(
        Record(
            "identity",
            found.mac,
            buoy,
            thing,
            port=session.port,
            micropython=found.micropython,
            firmware=found.firmware,
        )
    )


def get_settings(session: Session) -> dict[str, Any]:
    """All settings of the board.

    Raises:
        BoardError: it does not tell.
    """
    found = look(session)
    if found.state == "firmware":
        return dict(session.console().request("get", tries=3))
    state = session.persevere(lambda: survey_by_repl(session.repl()))
    return {**board_settings.defaults(), **(state.settings or {})}


def set_settings(session: Session, changes: dict[str, Any]) -> dict[str, Any]:
    """Change settings; in force and read back when this returns.

    Raises:
        UsageError: the firmware would refuse them; nothing was written.
        BoardError: the board did not take them.
    """
    own = get_settings(session)
    try:
        wanted = dict(board_settings.merge(own, changes))
    except board_settings.SettingsError as error:
        raise UsageError(
            f"the firmware would refuse that: {error}",
            where=session.port,
            next_step=f"buoy settings get {session.port}",
        ) from None
    found = session.look()
    if found.state == "firmware":
        console = session.console()
        for request in changes_between(own, wanted):
            console.request("set", tries=2, settings=request)
        console.restart(session.patience.boot_s, soft=False)
        now = dict(console.request("get", tries=3))
    else:
        repl = session.repl()
        send_files(repl, {SETTINGS_FILE: json.dumps(wanted).encode()})
        now = survey_by_repl(repl).settings or {}
        repl.hard_reset()
    plain = json.loads(json.dumps(wanted))
    wrong = sorted(name for name in changes if now.get(name) != plain.get(name))
    if wrong:
        raise BoardError(f"after the reboot {', '.join(wrong)} are not as they were set", where=session.port)
    return now


@contextlib.contextmanager
def held_repl(session: Session) -> Iterator[RawRepl]:
    """A REPL that no watchdog or sleep disturbs; the board is given back afterwards.

    Raises:
        BoardError: the board has no REPL.
    """
    found = session.persevere(session.look)
    require_usable(found)
    if found.state == "empty":
        raise BoardError("nothing runs on it", where=session.port, next_step=f"buoy flash {session.port}")
    hold = Hold(session)
    try:
        session.persevere(hold.take)
        yield session.repl()
    finally:
        if hold.taken:
            hold.release()
        elif found.state == "micropython":
            session.repl().leave()


def wipe(session: Session, records: Records, *, flash: bool) -> Found:
    """Take a board out of service: identity, keys and settings, or the whole flash.

    Args:
        session: open.
        records: told that nobody has the id any more.
        flash: erase everything, interpreter too.

    Raises:
        BoardError: it does not answer.
    """
    found = look(session)
    if flash or found.state == "empty":
        patiently(session, Esptool.erase)
    else:
        hold = Hold(session)
        session.persevere(hold.take)
        session.persevere(lambda: _forget(session.repl()))
        session.repl().hard_reset()
    last = records.book().of_mac(found.mac)
    records.append(
        Record(
            "wiped",
            found.mac,
            None,
            last.thing if last is not None else found.thing,
            port=session.port,
            micropython="" if flash else found.micropython,
        )
    )
    return found


def _forget(repl: RawRepl) -> None:
    """Remove the buoy's files and NVS keys; the program stays."""
    repl.run(
        f"""
import os, esp32, machine
def gone(path):
    try:
        for name in os.listdir(path):
            gone(path + "/" + name)
        os.rmdir(path)
    except OSError:
        try:
            os.remove(path)
        except OSError:
            pass
for name in os.listdir():
    if name in {FOLDERS!r} or any([name.startswith(start) for start in {FILES!r}]):
        gone(name)
n = esp32.NVS({NAMESPACE!r})
for k in {tuple(keys())!r}:
    try:
        n.erase_key(k)
    except OSError:
        pass
n.commit()
machine.RTC().memory(b"")
""",
        60.0,
    )
    left = repl.run("import os\nprint(os.listdir())", 15.0)
    names = [name for name in FOLDERS if repr(name) in str(left)]
    if names:
        raise BoardError(f"{', '.join(names)} cannot be removed", next_step="buoy wipe BOARD --flash")
