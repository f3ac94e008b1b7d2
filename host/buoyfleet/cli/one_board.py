"""Commands for one board: `id`, `settings`, `wipe`, `files`."""

from pathlib import Path
from typing import Annotated

import typer

from buoyfleet.cli.options import BENCH, FLEET, Board, FleetFile, Folder, Ports


def identity(
    board: Board,
    buoy: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="Its new id; without it: who it is.")
    ] = None,
    reassign: Annotated[
        bool, typer.Option("--reassign", help="Though records name another board or id.")
    ] = False,
    fleet: FleetFile = FLEET,
    ports: Ports = None,
    folder: Folder = BENCH,
) -> None:
    """Show or set a board's buoy id; what is set is read back after a reboot and recorded.

    \b
    buoy id /dev/ttyUSB0          who is it?
    buoy id /dev/ttyUSB0 131      it is buoy 131 from now on
    """  # fmt: skip
    from buoyfleet.bench.folder import BenchFolder
    from buoyfleet.bench.single import look, open_session, set_id
    from buoyfleet.model.board_names import mac_text

    with open_session(board, fleet, ports or (), "buoy id") as session:
        if buoy is None:
            found = look(session)
            typer.echo(f"{session.port}  {mac_text(found.mac)}  {found.runs}")
            if found.buoy is not None:
                wifi = "set" if found.wifi else "unset"
                typer.echo(f"buoy {found.buoy}, thing {found.thing or 'unset'}, Wi-Fi {wifi}")
            return
        record = set_id(session, BenchFolder(folder).records, buoy, reassign)
        typer.echo(f"{session.port}  {mac_text(record.mac)} is buoy {buoy}")


settings_app = typer.Typer(
    help="Read and change the settings of a board's firmware.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@settings_app.command("get")
def get_settings(
    board: Board,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Some of them.")] = None,
    fleet: FleetFile = FLEET,
    ports: Ports = None,
) -> None:
    """Print settings as NAME=VALUE lines; secrets are not among them.

    \b
    buoy settings get 131
    buoy settings get /dev/ttyUSB0 broker_host sensors
    """  # fmt: skip
    import json

    from buoyfleet.bench.single import get_settings as read
    from buoyfleet.bench.single import open_session
    from buoyfleet.model.errors import UsageError

    with open_session(board, fleet, ports or (), "buoy settings") as session:
        found = read(session)
    unknown = [name for name in names or () if name not in found]
    if unknown:
        raise UsageError(f"no setting {', '.join(unknown)}; there are {', '.join(sorted(found))}")
    for name in names or sorted(found):
        typer.echo(f"{name}={json.dumps(found[name])}")


@settings_app.command("set")
def set_settings(
    board: Board,
    changes: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Values as JSON, or plain text.")
    ],
    fleet: FleetFile = FLEET,
    ports: Ports = None,
) -> None:
    """Change settings: checked as a whole, written as a whole, read back after a reboot.

    \b
    buoy settings set 131 publish_interval_s=300 log_level=debug
    buoy settings set 131 'sensors={"temp": {"mode": "hardware"}}'
    """  # fmt: skip
    import json

    from buoyfleet.bench.single import open_session
    from buoyfleet.bench.single import set_settings as write
    from buoyfleet.model.errors import UsageError

    wanted = {}
    for change in changes:
        name, mark, text = change.partition("=")
        if not mark or not name:
            raise UsageError(f"`{change}` is not NAME=VALUE")
        try:
            wanted[name] = json.loads(text)
        except ValueError:
            wanted[name] = text
    with open_session(board, fleet, ports or (), "buoy settings") as session:
        now = write(session, wanted)
    for name in sorted(wanted):
        typer.echo(f"{name}={json.dumps(now[name])}")


def wipe(
    board: Board,
    flash: Annotated[
        bool, typer.Option("--flash", help="Erase the whole flash, interpreter and files too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    fleet: FleetFile = FLEET,
    ports: Ports = None,
    folder: Folder = BENCH,
) -> None:
    """Take a board out of service: its id, Wi-Fi, keys, settings and waiting messages are removed.

    \b
    buoy wipe /dev/ttyUSB0            the firmware stays
    buoy wipe 131 --flash --yes       nothing stays
    """  # fmt: skip
    from buoyfleet.bench.folder import BenchFolder
    from buoyfleet.bench.single import look, open_session
    from buoyfleet.bench.single import wipe as do_wipe
    from buoyfleet.cli.consent import ask
    from buoyfleet.model.board_names import mac_text

    with open_session(board, fleet, ports or (), "buoy wipe") as session:
        found = look(session)
        who = f"buoy {found.buoy}" if found.buoy is not None else "a board without id"
        what = "everything on it" if flash else "its identity, keys, settings and waiting messages"
        if not yes:
            ask(f"{session.port} is {mac_text(found.mac)}, {who}. Remove {what}?", f"{what} would be removed")
        do_wipe(session, BenchFolder(folder).records, flash=flash)
    typer.echo(f"{session.port}  {mac_text(found.mac)}, {who}: wiped")


files_app = typer.Typer(
    help="Files on a board: list, fetch, put, remove. A board in service is stopped and started again.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@files_app.command("ls")
def list_board_files(
    board: Board,
    path: Annotated[str, typer.Argument(help="A folder.")] = "/",
    fleet: FleetFile = FLEET,
    ports: Ports = None,
) -> None:
    """List files with size and the start of their SHA-256; keys show no hash.

    \b
    buoy files ls 131 certs
    """  # fmt: skip
    from buoyfleet.bench.single import held_repl, open_session
    from buoyfleet.serial.board_files import list_files

    folder = "/" + path.strip("/") + ("/" if path.strip("/") else "")
    with open_session(board, fleet, ports or (), "buoy files") as session, held_repl(session) as repl:
        listing = list_files(repl, [folder])
    for name in sorted(listing.files):
        file = listing.files[name]
        typer.echo(f"{file.size:>8}  {file.digest[:12]:<12}  {name}")
    typer.echo(f"{listing.free:>8}  free")


@files_app.command("get")
def get_board_file(
    board: Board,
    path: Annotated[str, typer.Argument(help="On the board.")],
    to: Annotated[Path | None, typer.Argument(help="File here. [its name]")] = None,
    fleet: FleetFile = FLEET,
    ports: Ports = None,
) -> None:
    """Fetch a file, its hash compared. Private keys stay on the board.

    \b
    buoy files get 131 settings.json
    """  # fmt: skip
    from buoyfleet.bench.single import held_repl, open_session
    from buoyfleet.serial.board_files import fetch_file

    with open_session(board, fleet, ports or (), "buoy files") as session, held_repl(session) as repl:
        data = fetch_file(repl, path)
    target = to or Path(Path(path).name)
    target.write_bytes(data)
    typer.echo(f"{len(data)} bytes in {target}")


@files_app.command("put")
def put_board_files(
    board: Board,
    sources: Annotated[list[Path], typer.Argument(help="Files or folders here.")],
    to: Annotated[str, typer.Option("--to", help="Folder on the board.")] = "/",
    fleet: FleetFile = FLEET,
    ports: Ports = None,
) -> None:
    """Send files and folders in one batch, put in place together.

    \b
    buoy files put 131 notes.txt
    buoy files put 131 lib/ --to /
    """  # fmt: skip
    from buoyfleet.bench.single import held_repl, open_session
    from buoyfleet.model.errors import UsageError
    from buoyfleet.serial.board_files import send_files

    batch: dict[str, bytes] = {}
    base = to.strip("/")
    for source in sources:
        if not source.exists():
            raise UsageError("there is no such file", where=str(source))
        members = (
            sorted(file for file in source.rglob("*") if file.is_file()) if source.is_dir() else [source]
        )
        for file in members:
            name = file.relative_to(source.parent).as_posix()
            batch[f"{base}/{name}" if base else name] = file.read_bytes()
    with open_session(board, fleet, ports or (), "buoy files") as session, held_repl(session) as repl:
        sent = send_files(repl, batch)
    typer.echo(f"{len(batch)} files, {sum(map(len, batch.values()))} bytes ({sent} over the line)")


@files_app.command("rm")
def remove_board_files(
    board: Board,
    paths: Annotated[list[str], typer.Argument(help="On the board.")],
    fleet: FleetFile = FLEET,
    ports: Ports = None,
) -> None:
    """Remove files, and folders that they leave empty.

    \b
    buoy files rm 131 extra/note.txt
    """  # fmt: skip
    from buoyfleet.bench.single import held_repl, open_session
    from buoyfleet.serial.board_files import remove_files

    with open_session(board, fleet, ports or (), "buoy files") as session, held_repl(session) as repl:
        remove_files(repl, [path.lstrip("/") for path in paths])
    typer.echo(f"removed {', '.join(paths)}")


@files_app.command("sync")
def sync_board_files(board: Board, fleet: FleetFile = FLEET, ports: Ports = None) -> None:
    """Bring our firmware's files: compiled, only what differs, in one batch; what is old is removed.

    \b
    buoy files sync 131
    """  # fmt: skip
    from buoyfleet.bench.install import install, is_installed
    from buoyfleet.bench.prepare import make_software
    from buoyfleet.bench.single import held_repl, look, open_session
    from buoyfleet.bench.survey import survey, survey_by_repl

    software = make_software(None)
    with open_session(board, fleet, ports or (), "buoy files") as session:
        found = look(session)
        state = session.persevere(lambda: survey(session, found, tuple(software.digests)))
        if is_installed(state, software):
            typer.echo("nothing to do")
            return
        with held_repl(session) as repl:
            done = install(repl, survey_by_repl(repl), software)
    sent, removed = len(done.sent), len(done.removed)
    typer.echo(f"{sent} files sent ({done.line_bytes} bytes on the line), {removed} removed")
