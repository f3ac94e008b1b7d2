"""`buoy`, and what befalls it when its run enters a phase: `python ending_program.py FAULT PHASE …`

What is done is done by the run's own process, so that it hits the phase that it is meant for.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from run_bench import sending, until

from buoyfleet.boards.unit import PackUnit
from buoyfleet.cli import main
from buoyfleet.runs.run_state import RunRecord

STOPPED_S = float(os.environ.get("STOPPED_S", "15"))
FEW_BYTES = 4096

packs: list[PackUnit] = []


def twin_pid(record: RunRecord) -> int:
    return int(json.loads((record.run_folder / "twin-address.json").read_text())["pid"])


def pack_pid(_record: RunRecord) -> int:
    pids = [pack.pid for pack in packs if pack.pid is not None]
    return pids[0]


def worker_pid(record: RunRecord) -> int:
    """Of the Lambda handler: the twin's only child, whichever of its threads started it."""
    tasks = Path(f"/proc/{twin_pid(record)}/task")
    found: list[int] = []

    def look() -> bool:
        found[:] = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        return bool(found)

    until(look, "the handler's process", 60)
    return found[0]


def interrupt(_record: RunRecord) -> None:
    signal.raise_signal(signal.SIGINT)


def interrupt_twice(record: RunRecord) -> None:
    threading.Thread(target=interrupt_again, args=(record,), daemon=True).start()
    interrupt(record)


def interrupt_again(record: RunRecord) -> None:
    """Once the first was taken: the system merges signals that wait."""
    until(lambda: record.interrupted or stopped_at_once(), "the first Ctrl-C", 60)
    interrupt_main()


def stopped_at_once() -> bool:
    """A run that only reads stores ends with the first."""
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def interrupt_main() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def kill(_record: RunRecord) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stop_for_a_while(pid: int) -> None:
    # Another process lets it go on: this one may be the one that is stopped.
    os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", f"sleep {STOPPED_S}; kill -CONT {pid}")
    os.kill(pid, signal.SIGSTOP)


def fill_disk(record: RunRecord, left_bytes: int = 0) -> None:
    """Writes fail as on a full disk, here and in the run's other processes."""
    pids = [os.getpid(), *(pack.pid for pack in packs if pack.pid is not None)]
    if (record.run_folder / "twin-address.json").exists():
        pids.append(twin_pid(record))
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (left_bytes, resource.RLIM_INFINITY))


FAULTS: dict[str, Callable[[RunRecord], None]] = {
    "ctrl-c": interrupt,
    "ctrl-c-twice": interrupt_twice,
    "kill": kill,
    "kill-twin": lambda record: os.kill(twin_pid(record), signal.SIGKILL),
    "kill-pack": lambda record: os.kill(pack_pid(record), signal.SIGKILL),
    "kill-lambda": lambda record: os.kill(worker_pid(record), signal.SIGKILL),
    "stop-twin": lambda record: stop_for_a_while(twin_pid(record)),
    "stop-pack": lambda record: stop_for_a_while(pack_pid(record)),
    "stop": lambda _record: stop_for_a_while(os.getpid()),
    "full-disk": fill_disk,
    "nearly-full-disk": lambda record: fill_disk(record, FEW_BYTES),
    "delete": lambda record: shutil.rmtree(record.run_folder),
}


def befall(fault: str, phase: str) -> None:
    note, begin = RunRecord.note, PackUnit.begin

    async def begin_and_tell(self: PackUnit) -> None:
        await begin(self)
        packs.append(self)

    def note_and_suffer(self: RunRecord, entered: str = "") -> None:
        note(self, entered)
        if entered == phase:
            if phase == "send":
                threading.Thread(target=when_sending, args=(self,)).start()
            else:
                FAULTS[fault](self)

    def when_sending(record: RunRecord) -> None:
        until(lambda: sending(record.run_folder.parent), "messages under way", 60)
        if fault.startswith("ctrl-c"):
            interrupt_main()
            if fault == "ctrl-c-twice":
                interrupt_again(record)
        else:
            FAULTS[fault](record)

    PackUnit.begin = begin_and_tell  # type: ignore[method-assign]
    RunRecord.note = note_and_suffer  # type: ignore[method-assign]


if __name__ == "__main__":
    befall(sys.argv[1], sys.argv[2])
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    sys.exit(main.invoke(sys.argv[3:]))
