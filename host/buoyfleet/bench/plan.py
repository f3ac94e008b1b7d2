"""What is missing on a board: from what it is and what it shall be, the steps that lead there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from buoy.identity import CERTS

from buoyfleet.bench.credentials import BOARD_CERTIFICATE, BOARD_KEY, Credentials
from buoyfleet.bench.survey import SETTINGS_FILE, State
from buoyfleet.bench.wanted import Wanted, differing
from buoyfleet.boards.program_file import SWITCH, program_path, program_version
from buoyfleet.model.micropython import same_version

StepName = Literal[
    "find", "identify", "check", "maintenance", "interpreter", "files", "keys", "settings", "identity",
    "restart", "self-test", "record",
]  # fmt: skip
STEPS: tuple[StepName, ...] = (
    "find", "identify", "check", "maintenance", "interpreter", "files", "keys", "settings", "identity",
    "restart", "self-test", "record",
)  # fmt: skip
ABOUT: dict[StepName, str] = {
    "find": "find the port and lock it",
    "identify": "ask what runs on it",
    "check": "compare with the records",
    "maintenance": "stop the application, without watchdog and sleep",
    "interpreter": "write MicroPython around the identity",
    "files": "bring the files that differ",
    "keys": "bring key and certificates",
    "settings": "write the settings",
    "identity": "write id, thing name and Wi-Fi",
    "restart": "reboot, read id and settings back",
    "self-test": "read the sensors, connect, publish one message, see it arrive",
    "record": "write down what was done",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, and why."""

    name: StepName
    why: str


@dataclass(frozen=True, slots=True)
class Software:
    """What belongs on every board."""

    micropython: str
    """Version of the image; empty where the image does not say."""
    image: str
    """SHA-256 of it; empty: whatever runs stays."""
    files: dict[str, bytes]
    """Path → content of firmware and sensors."""
    digests: dict[str, str]
    umqtt: Mapping[str, bytes]
    """The library, where it is not frozen into the interpreter."""
    firmware: str = ""
    """Version of `files`."""

    @property
    def program(self) -> str:
        """Version of the program among `files`; empty if there is none."""
        return next((found for path in self.files if (found := program_version(path))), "")


@dataclass(frozen=True, slots=True)
class Options:
    """What a command was told beyond the fleet file."""

    force: frozenset[str] = frozenset()
    """Steps to do although nothing seems to be missing; `all`."""
    erase: bool = False
    test: bool = False
    """Self-test also where nothing is missing."""

    def forces(self, step: StepName) -> bool:
        """Whether a step is to be done in any case."""
        return step in self.force or "all" in self.force


def missing(
    wanted: Wanted,
    state: State,
    software: Software,
    credentials: Credentials | None,
    passed_before: bool,
    options: Options,
    image_before: str = "",
) -> list[Step]:
    """The steps that a board needs; empty if it is in service as it should be.

    Args:
        wanted, state, software, credentials, options: what shall be, and what is.
        passed_before: the records tell of a self-test of what the board is now.
        image_before: SHA-256 of the image that was written last by the records; empty if none.
    """
    steps: list[Step] = []
    runs = state.found.micropython
    new = f"MicroPython {software.micropython}" if software.micropython else "the image without a version"
    if options.erase:
        steps.append(Step("interpreter", "everything is erased and written anew (--erase)"))
    elif not runs:
        steps.append(Step("interpreter", f"{new}, nothing runs"))
    elif software.image and not _runs_already(runs, software, image_before):
        steps.append(Step("interpreter", f"{new}, {runs} runs"))
    elif options.forces("interpreter"):
        steps.append(Step("interpreter", f"{new} again"))
    steps += _files(state, software, options)
    if credentials is not None:
        other = credentials.differing(state.files)
        if options.erase or BOARD_CERTIFICATE in other:
            steps.append(Step("keys", f"certificate {credentials.fingerprint[:12]}…"))
        elif other:
            steps.append(Step("keys", "another CA"))
        elif state.complete and BOARD_KEY not in state.files:
            steps.append(Step("keys", "the key is missing"))
        elif options.forces("keys"):
            steps.append(Step("keys", f"certificate {credentials.fingerprint[:12]}… again"))
    changed = differing(None if options.erase else state.settings, wanted.settings(state.settings))
    if changed:
        names = ", ".join(changed[:4]) + (f" and {len(changed) - 4} more" if len(changed) > 4 else "")
        steps.append(Step("settings", names))
    steps += _identity(wanted, state, options)
    by_prompt = bool(steps)
    if by_prompt and (state.found.firmware or "main.py" in state.files):
        steps.insert(0, Step("maintenance", "the application runs" if state.found.state == "firmware" else
                             "a program starts by itself"))  # fmt: skip
    if not by_prompt and state.found.maintenance:
        steps.append(Step("restart", "it is in maintenance"))
    elif by_prompt or state.found.state == "micropython":
        steps.append(Step("restart", "with what is new" if by_prompt else "the application is stopped"))
    if steps or not passed_before or options.test:
        why = "" if not steps else "after what was done"
        steps.append(Step("self-test", why or ("--test" if passed_before else "not passed yet by record")))
        steps.append(Step("record", ""))
    return steps


def _runs_already(runs: str, software: Software, image_before: str) -> bool:
    """Whether the image is on the board; one without a version is known by the records alone."""
    if software.micropython:
        return same_version(runs, software.micropython)
    return software.image == image_before


def wanted_digests(state: State, software: Software) -> dict[str, str]:
    """Path → SHA-256 of all files that belong on this board."""
    import hashlib

    wanted = dict(software.digests)
    if not state.umqtt_frozen:
        wanted.update({path: hashlib.sha256(data).hexdigest() for path, data in software.umqtt.items()})
    return wanted


def is_chosen(state: State, software: Software) -> bool:
    """Whether the board runs the program that it should, or will at its next start."""
    if not software.program:
        return True
    if state.found.state == "firmware":
        return state.found.firmware == software.program
    return state.switch[:1] == (software.program,)


def fallback(state: State, software: Software) -> str:
    """Version of the program that comes back if the wanted one does not start; empty if there is none.

    It is the last that has proved that it starts: the one that runs, unless it is new itself.
    """
    there = [program_version(path) for path in state.files]
    proved = state.switch[1:2] if len(state.switch) == 3 else state.switch[:2]
    return next((one for one in proved if one != software.program and one in there), "")


def to_remove(state: State, software: Software) -> list[str]:
    """Files of ours on the board that do not belong there any more, and what a cut transfer left."""
    wanted = wanted_digests(state, software)
    return sorted(
        path
        for path in state.files
        if path not in (*wanted, SETTINGS_FILE, SWITCH, program_path(fallback(state, software)))
        and not path.startswith(f"{CERTS}/")
    ) + sorted(path for path in state.files if path.startswith(f"{CERTS}/") and path.endswith(".new"))


def _files(state: State, software: Software, options: Options) -> list[Step]:
    wanted = wanted_digests(state, software)
    # Files lie outside what an image of the interpreter covers.
    changed = [path for path, digest in wanted.items() if options.erase or state.files.get(path) != digest]
    gone = [] if options.erase or not state.complete else to_remove(state, software)
    chosen = is_chosen(state, software)
    if not changed and not gone and chosen:
        return [Step("files", "all again")] if options.forces("files") else []
    parts = [f"{len(changed)} of {len(wanted)}"] if changed else []
    if (changed or not chosen) and state.found.firmware not in ("", software.firmware):
        parts.insert(0, f"firmware {software.firmware}, {state.found.firmware} runs")
    elif not chosen and not changed:
        parts.append(f"firmware {software.firmware} is there and not chosen")
    parts += [f"{len(gone)} to remove"] if gone else []
    return [Step("files", ", ".join(parts))]


def _identity(wanted: Wanted, state: State, options: Options) -> list[Step]:
    found = state.found
    why: list[str] = []
    if options.erase or found.buoy != wanted.buoy:
        why.append(f"id {wanted.buoy}" + ("" if found.buoy is None else f", was {found.buoy}"))
    if options.erase or found.thing != wanted.thing:
        why.append(f"thing {wanted.thing}")
    if options.erase or not found.wifi:
        why.append("Wi-Fi")
    elif state.ssid is not None and state.ssid != wanted.ssid:
        why.append(f"Wi-Fi {wanted.ssid}")
    if not why and options.forces("identity"):
        why.append("again")
    return [Step("identity", ", ".join(why))] if why else []
