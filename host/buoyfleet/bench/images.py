"""Interpreter images: a file, or a version that is kept in the bench's cache or downloaded.

    images/<sha256>.bin        the image
    images/versions.json       version → {"sha256": …, "url": …}

A version is downloaded once; its checksum is kept and holds from then on. `sha256` beside the version in
boards.yaml (or --sha256) is compared with the first download too. Without a network the cache is used.
"""

import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buoyfleet.model.errors import PreflightError, UsageError
from buoyfleet.model.file_lock import file_lock
from buoyfleet.model.micropython import parse_version, same_version
from buoyfleet.serial.esp_image import FlashImage, read_image

INDEX_FILE = "versions.json"
PAGE_VARIABLE = "BUOY_IMAGES"
"""A mirror: an address or a folder that holds files named as the vendor's."""
VENDOR = "https://micropython.org/resources/firmware/"
TIMEOUT_S = 30.0
MOST_BYTES = 16 << 20
# Names of the vendor's files carry the date of the release (github.com/micropython/micropython, tags).
RELEASES = {
    "1.24.0": "ESP32_GENERIC-20241025-v1.24.0.bin",
    "1.24.1": "ESP32_GENERIC-20241129-v1.24.1.bin",
    "1.25.0": "ESP32_GENERIC-20250415-v1.25.0.bin",
    "1.26.0": "ESP32_GENERIC-20250809-v1.26.0.bin",
    "1.26.1": "ESP32_GENERIC-20250911-v1.26.1.bin",
    "1.27.0": "ESP32_GENERIC-20251209-v1.27.0.bin",
}
OLDEST = (1, 24, 0)
NEWEST_TRIED = (1, 26, 1)
TOO_OLD = "the firmware is tried with 1.24 and later; before 1.23 there is no module `tls`"
"""Why an interpreter older than `OLDEST` is refused."""


@dataclass(frozen=True, slots=True)
class _Known:
    digest: str
    url: str


def get_image(
    wanted: str, cache: Path, *, sha256: str = "", progress: Callable[[int, int], None] | None = None
) -> FlashImage:
    """The image of a file or version, checked as a whole.

    Args:
        wanted: path of a file, or a version such as `1.26.1`.
        cache: the bench's images.
        sha256: what the file must have; empty: what was seen at the first download.
        progress: called with bytes so far and in all (0 if not known) while downloading.

    Raises:
        UsageError: no such file or version, or it is no image for an ESP32.
        PreflightError: it cannot be downloaded, or its checksum is another.
    """
    asked = parse_version(wanted)
    if asked is None or Path(wanted).exists():
        image = read_image(Path(wanted))
        _check(image.digest, sha256, wanted)
        _refuse_old(image.version, wanted)
        return image
    version = str(asked)
    _refuse_old(version, wanted)
    known = _index(cache).get(version)
    if known is not None:
        kept = cache / f"{known.digest}.bin"
        if kept.exists() and _digest(kept) == known.digest:
            _check(known.digest, sha256, f"MicroPython {version} in {cache}")
            return _as_asked(read_image(kept, Path(known.url).name), version)
    return _download(version, cache, sha256 or (known.digest if known else ""), progress)


def remember(image: FlashImage, version: str, cache: Path, url: str = "") -> Path:
    """Keep an image under a version, so that it is found without a network."""
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{image.digest}.bin"
    with file_lock(cache / "lock", TIMEOUT_S, "writing the list of images"):
        if not kept.exists():
            part = kept.with_suffix(".part")
            part.write_bytes(image.data)
            part.replace(kept)
        index = {name: {"sha256": one.digest, "url": one.url} for name, one in _index(cache).items()}
        index[version] = {"sha256": image.digest, "url": url}
        part = cache / f"{INDEX_FILE}.part"
        part.write_text(json.dumps(index, indent=1, sort_keys=True))
        part.replace(cache / INDEX_FILE)
    return kept


def _download(
    version: str, cache: Path, sha256: str, progress: Callable[[int, int], None] | None
) -> FlashImage:
    name = RELEASES.get(version)
    if name is None:
        raise UsageError(
            f"no release of MicroPython {version} is known; known are {', '.join(RELEASES)}",
            next_step="download the image (ESP32_GENERIC) and give its file name instead of a version",
        )
    page = os.environ.get(PAGE_VARIABLE) or VENDOR
    if "://" not in page:
        page = Path(page).resolve().as_uri() + "/"
    url = urllib.parse.urljoin(page, name)
    try:
        data = _fetch(url, progress)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise PreflightError(
            f"MicroPython {version} cannot be downloaded: {reason}",
            where=url,
            cause="no connection to the internet; the cache has no copy",
            next_step=f"bring the file {name} here and give its path, or set {PAGE_VARIABLE} to a mirror",
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    _check(digest, sha256, url)
    cache.mkdir(parents=True, exist_ok=True)
    part = cache / f"{digest}.{os.getpid()}.part"
    part.write_bytes(data)
    try:
        image = _as_asked(read_image(part, name), version)
    finally:
        part.unlink()
    kept = remember(image, version, cache, url)
    return read_image(kept, name)


def notes_on(image: FlashImage) -> list[str]:
    """What a user should know about an image before it is written."""
    version = parse_version(image.version)
    if version is None:
        return [
            "the image does not say its version, neither inside nor in its name; it is written in any case"
        ]
    if version.release > NEWEST_TRIED:
        tried = ".".join(map(str, NEWEST_TRIED))
        return [f"MicroPython {version} is newer than {tried}, the newest that this firmware was tried with"]
    return []


def is_too_old(version: str) -> bool:
    """Whether a version is known and older than the firmware needs."""
    parsed = parse_version(version)
    return parsed is not None and parsed.release < OLDEST


def _refuse_old(version: str, where: str) -> None:
    if is_too_old(version):
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(
            f"MicroPython {version} is older than {oldest}, the oldest that works",
            where=where,
            cause=TOO_OLD,
            next_step=f"--interpreter {'.'.join(map(str, NEWEST_TRIED))}; nothing was written",
        )


def _as_asked(image: FlashImage, version: str) -> FlashImage:
    """The image, if it is of the version that was asked for.

    Raises:
        PreflightError: it says another one.
    """
    if same_version(image.version, version):
        return image
    raise PreflightError(
        f"it is MicroPython {image.version or 'without a version'}, not {version}",
        where=str(image.path),
        cause="a mirror with wrong files",
        next_step="do not flash it; give the file of another source",
    )


def _fetch(url: str, progress: Callable[[int, int], None] | None) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        whole = int(answer.headers.get("Content-Length") or 0)
        data = bytearray()
        while piece := answer.read(1 << 16):
            data += piece
            if len(data) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES >> 20} MB, which no image has")
            if progress is not None:
                progress(len(data), whole)
    if whole and len(data) < whole:
        raise ValueError(f"broke off after {len(data)} of {whole} bytes")
    return bytes(data)


def _index(cache: Path) -> dict[str, _Known]:
    try:
        document = json.loads((cache / INDEX_FILE).read_text())
        return {name: _Known(entry["sha256"], entry.get("url", "")) for name, entry in document.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PreflightError(
            f"the list of images is damaged: {error}",
            where=str(cache / INDEX_FILE),
            next_step="remove it; images are found or downloaded again",
        ) from None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check(found: str, wanted: str, what: str) -> None:
    if wanted and found != wanted.lower():
        raise PreflightError(
            f"the SHA-256 is {found}, not {wanted.lower()}",
            where=what,
            cause="another file, a damaged download, or one that somebody changed",
            next_step="do not flash it; compare with the vendor's page",
        )
