"""Bringing files onto a board: only what differs, in one batch; what does not belong any more goes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from buoyfleet.bench.plan import Software, fallback, is_chosen, to_remove, wanted_digests
from buoyfleet.bench.survey import State, survey_files
from buoyfleet.boards.program_file import SWITCH, switch_to
from buoyfleet.model.errors import BoardError
from buoyfleet.serial.board_files import remove_files, send_files
from buoyfleet.serial.raw_repl import RawRepl


@dataclass(frozen=True, slots=True)
class Installed:
    """What was done."""

    sent: tuple[str, ...]
    removed: tuple[str, ...]
    line_bytes: int
    """That went over the line."""


def install(
    repl: RawRepl,
    now: State,
    software: Software,
    extra: dict[str, bytes] | None = None,
    everything: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Installed:
    """Make the board's files what they shall be, and compare them afterwards.

    Args:
        repl: of a board in maintenance.
        now: what `survey_by_repl` found.
        software: what belongs there.
        extra: further files, e.g. settings and keys; sent as they are.
        everything: send also what is there already.
        progress: takes bytes sent and all bytes.

    Raises:
        BoardError: no room, or the files are not as they were sent.
    """
    content = {**software.files, **({} if now.umqtt_frozen else software.umqtt)}
    wanted = wanted_digests(now, software)
    batch = {
        path: content[path] for path, digest in wanted.items() if everything or now.files.get(path) != digest
    }
    batch.update(extra or {})
    if everything or not is_chosen(now, software):
        # The last: until it is in place, the program before is the one that starts.
        batch[SWITCH] = switch_to(software.program, fallback(now, software))
    needed = sum(map(len, batch.values()))
    if needed > now.files_free:
        raise BoardError(
            f"{needed} bytes of files do not fit: {now.files_free} are free",
            where=repl.port,
            next_step=f"buoy files ls {repl.port}, and remove what is not ours",
        )
    line_bytes = send_files(repl, batch, progress) if batch else 0
    gone = to_remove(now, software)
    remove_files(repl, gone)
    if batch or gone:
        _compare(repl, now, software)
    return Installed(tuple(batch), tuple(gone), line_bytes)


def is_installed(now: State, software: Software) -> bool:
    """Whether every file is as it shall be, as far as `now` knows the board."""
    wanted = wanted_digests(now, software)
    right = all(now.files.get(path) == digest for path, digest in wanted.items())
    right = right and is_chosen(now, software)
    return right and not (now.complete and to_remove(now, software))


def _compare(repl: RawRepl, now: State, software: Software) -> None:
    after = replace(now)
    survey_files(repl, after)
    wanted = wanted_digests(after, software)
    wrong = [path for path, digest in wanted.items() if after.files.get(path) != digest]
    if not wrong and not is_chosen(after, software):
        wrong = [SWITCH]
    if wrong:
        raise BoardError(
            f"{len(wrong)} files are not as they were sent, first {wrong[0]}",
            where=repl.port,
            cause="a worn or full flash",
        )
