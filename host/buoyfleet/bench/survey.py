"""What a board is and has, without changing anything on it."""

import json
from binascii import crc32
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from buoy.identity import CERTS
from buoy.settings import FILE as SETTINGS_FILE

from buoyfleet.bench.credentials import BOARD_CA, BOARD_CERTIFICATE, BOARD_KEY
from buoyfleet.bench.session import Session
from buoyfleet.boards.program_file import START, SWITCH
from buoyfleet.model.errors import UsageError
from buoyfleet.model.places import FILES
from buoyfleet.model.syntax_trees import SYNTAX_TREES
from buoyfleet.serial.board_files import fetch_file, list_files
from buoyfleet.serial.probe import Found, ask_repl
from buoyfleet.serial.raw_repl import RawRepl
from buoyfleet.serial.repl_errors import LineError, ReplError
from buoyfleet.serial.trouble import Refusal

PLACES = (
    *("app-*", SWITCH, START, "boot.py", "main.py", SETTINGS_FILE, "lib/umqtt/", f"{CERTS}/"),
    # Of programs that were not one file yet.
    *("buoy/", "sensors/"),
)
_IDENTITY_SOURCE = FILES / "firmware" / "buoy" / "identity.py"
ASK_S = 5.0


@dataclass(slots=True)
class State:
    """A board as it is."""

    found: Found
    files: dict[str, str] = field(default_factory=dict)
    """Path → SHA-256; where only some were asked for, those."""
    complete: bool = False
    """Every file of ours on the board is in `files`."""
    settings: dict[str, Any] | None = None
    """None: none, or unreadable."""
    ssid: str | None = None
    """Wi-Fi, where it could be read; the console does not tell it."""
    umqtt_frozen: bool = True
    switch: tuple[str, ...] = ()
    """Words of the file that names the program, see firmware/start.py; known where `complete`."""
    files_free: int = 0
    """Bytes free in the file system; known where `complete`."""

    @property
    def mac(self) -> str:
        """Twelve hex digits; empty if not known."""
        return self.found.mac

    @property
    def certificate(self) -> str:
        """SHA-256 of the certificate on the board."""
        return self.files.get(BOARD_CERTIFICATE, "")


def survey(session: Session, found: Found, wanted_files: tuple[str, ...]) -> State:
    """Look at everything; a running firmware is asked and goes on, a prompt is used.

    Args:
        session: open.
        found: what the first look at the port told.
        wanted_files: paths to hash.

    Raises:
        BoardError: the board does not answer.
    """
    if found.state == "firmware":
        return _by_console(session, found, wanted_files)
    if found.state == "micropython":
        return survey_by_repl(session.repl())
    return State(found)


def _by_console(session: Session, found: Found, wanted_files: tuple[str, ...]) -> State:
    console = session.console()
    state = State(found)
    for path in (*wanted_files, BOARD_CA, BOARD_CERTIFICATE):
        session.stop.check(session.port)
        try:
            state.files[path] = str(console.request("hash", ASK_S, tries=3, path=path))
        except Refusal:
            continue  # not there
    answer = console.request("get", ASK_S, tries=3)
    state.settings = answer if isinstance(answer, dict) else None
    return state


def survey_by_repl(repl: RawRepl) -> State:
    """Look through the raw REPL."""
    found = ask_repl(repl)
    state = State(found)
    survey_files(repl, state)
    try:
        state.settings = json.loads(fetch_file(repl, SETTINGS_FILE)) if SETTINGS_FILE in state.files else None
    except ValueError:
        state.settings = None  # damaged: written anew
    who = read_identity(repl)
    found.buoy, found.thing, found.wifi = who["buoy"], who["thing"] or "", bool(who["ssid"])
    state.ssid = who["ssid"]
    state.umqtt_frozen = who["umqtt"]
    return state


def survey_files(repl: RawRepl, state: State) -> None:
    """Look at files alone, which is a second less on the line, and put them into a state."""
    listing = list_files(repl, PLACES)
    state.complete = True
    state.files = {path: file.digest for path, file in listing.files.items()}
    state.files_free = listing.free
    state.switch = ()
    if SWITCH in state.files:
        state.switch = tuple(fetch_file(repl, SWITCH).decode("ascii", "replace").split())


def read_identity(repl: RawRepl) -> dict[str, Any]:
    """Id, thing and Wi-Fi name in NVS, read by the firmware's own code; the password stays there.

    Raises:
        LineError: the board's answer was changed on its way.
    """
    code = (
        f"{identity_code()}\n"
        "import json, sys\n"
        "_path = sys.path[:]\n"
        "sys.path[:] = [p for p in _path if p not in ('', '/', '/lib', 'lib')]\n"
        "try:\n    import umqtt.simple\n    _frozen = True\n"
        "except ImportError:\n    _frozen = False\n"
        "sys.path[:] = _path\n"
        "_text = json.dumps({'buoy': me.buoy_id(), 'thing': me.text('thing'), 'ssid': me.text('ssid'),"
        " 'umqtt': _frozen})\n"
        "from binascii import crc32\n"
        "print('%08x' % (crc32(_text.encode()) & 0xffffffff), _text)"
    )
    crc, _, text = repl.run(code, 15.0).strip().partition(" ")
    if crc != f"{crc32(text.encode()):08x}":
        # An id that noise has changed would be another buoy's.
        raise LineError(
            f"the board says {text[:80]!r} to who it is, and its checksum is wrong",
            where=repl.port,
            cause="a line that changes bytes",
        )
    return dict(json.loads(text))


@cache
def identity_code() -> str:
    """Code that leaves the board's identity in `me`, whatever files the board has."""
    source = _IDENTITY_SOURCE.read_text()
    with SYNTAX_TREES:
        return f"{_for_any_board(source)}\nimport esp32\nme = Identity(esp32.NVS(NAMESPACE))"


def write_identity(repl: RawRepl, buoy: int, thing: str, ssid: str, password: str) -> None:
    """Write id, thing and Wi-Fi; what is as it shall be is not written again.

    Raises:
        BoardError: the board refused; the text shows no secret.
    """
    code = (
        f"{identity_code()}\n"
        f"if me.buoy_id() != {buoy}: me.set_buoy_id({buoy})\n"
        f"_new = {{'thing': {thing!r}, 'ssid': {ssid!r}, 'password': {password!r}}}\n"
        "if any([(me.text(n) or '') != _new[n] for n in _new]): me.set_texts(**_new)\n"
        "_new = None"
    )
    try:
        repl.run(code, 15.0)
    except ReplError as error:
        raise LineError(error.what, where=error.where) from None  # without what was sent


def set_maintenance(repl: RawRepl, seconds: int) -> None:
    """Ask for maintenance from the next start on; 0 ends it."""
    repl.run(f"{identity_code()}\nif me.maintenance_s() != {seconds}: me.set_maintenance({seconds})", 15.0)


def check_host_settings(settings: dict[str, Any]) -> None:
    """Refuse settings whose file would not fit on a line of the console later on."""
    if len(json.dumps(settings)) > 16384:
        raise UsageError("the settings are too long for a board")


def _for_any_board(source: str) -> str:
    """A module of the firmware as code that needs no file of it, without what only people read."""
    import ast

    tree = ast.parse(source)
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.ImportFrom) and node.module == "sensors")
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            # Marks for the installed program.
            node.decorator_list = [
                mark
                for mark in node.decorator_list
                if not (isinstance(mark, ast.Name) and mark.id in ("seldom", "once"))
            ]
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            del body[0]
            if not body:
                body.append(ast.Pass())
    return ast.unparse(tree)


__all__ = [
    "BOARD_KEY", "PLACES", "SETTINGS_FILE", "State", "identity_code", "read_identity", "set_maintenance",
    "survey", "survey_by_repl", "survey_files", "write_identity",
]  # fmt: skip
