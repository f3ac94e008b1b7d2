"""Preflight: what this machine must have before the first message. Each failure says what to type."""

import os
import resource
import shutil
import time
from pathlib import Path

from buoyfleet.cloud.target import Check
from buoyfleet.model.errors import PreflightError
from buoyfleet.model.fleet import Fleet

# Per board one socket in its pack and one in a local twin; the rest is pipes, files and libraries. A twin of
# 18,600 boards had 405 others open; one of 19,800 with 200 to spare refused boards and lost records.
_SPARE_DESCRIPTORS = 128
_BOARDS_PER_SPARE = 16
# A ledger row, a stored measure, its evidence and the S3 object: measured below this on the original test.
_BYTES_PER_MESSAGE = 4096
_MIN_FREE_BYTES = 50 << 20
# A clock before this was never set: the release of this tool is younger.
_EARLIEST_CLOCK_S = 1_700_000_000


def raise_descriptor_limit(wanted: int) -> int:
    """Raise the soft limit of descriptors as far as needed and allowed; returns the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted and (hard == resource.RLIM_INFINITY or soft < hard):
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        return limit
    return soft


def check_machine(fleet: Fleet, folder: Path, planned_messages: int | None) -> list[Check]:
    """Descriptors, disk, clock."""
    return [
        _descriptors(len(fleet.boards)),
        _disk(folder, planned_messages),
        _writable(folder),
        _clock(),
    ]


def require(checks: list[Check]) -> None:
    """Fail if a check failed.

    Raises:
        PreflightError: names every failed check and what to type.
    """
    failed = [check for check in checks if not check.passed]
    if failed:
        raise PreflightError(
            "; ".join(f"{check.name}: {check.detail}" for check in failed),
            where="preflight",
            next_step="; ".join(check.next_step for check in failed if check.next_step),
        )


def _descriptors(boards: int) -> Check:
    wanted = boards + boards // _BOARDS_PER_SPARE + _SPARE_DESCRIPTORS
    limit = raise_descriptor_limit(wanted)
    return Check(
        "descriptors",
        limit >= wanted,
        f"{wanted} needed, {limit} allowed",
        f"ulimit -Hn {wanted}   (as root, or raise nofile in /etc/security/limits.conf)",
    )


def _existing(folder: Path) -> Path:
    for candidate in (folder, *folder.parents):
        if candidate.exists():
            return candidate
    return Path("/")


def _disk(folder: Path, planned_messages: int | None) -> Check:
    needed = _MIN_FREE_BYTES + (planned_messages or 0) * _BYTES_PER_MESSAGE
    free = shutil.disk_usage(_existing(folder)).free
    return Check(
        "disk",
        free >= needed,
        f"about {needed >> 20} MiB needed in {folder}, {free >> 20} MiB free",
        "delete old run folders, or give another place with --out",
    )


def _writable(folder: Path) -> Check:
    place = _existing(folder)
    return Check(
        "run folder",
        place.is_dir() and os.access(place, os.W_OK | os.X_OK),
        f"{folder} can be made" if place != folder else f"{folder} can be written",
        f"make {place} writable, or give another place with --out",
    )


def _clock() -> Check:
    now_s = time.time()
    return Check(
        "clock",
        now_s > _EARLIEST_CLOCK_S,
        time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s)),
        "set the clock: timedatectl set-ntp true",
    )
