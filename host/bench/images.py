"""Interpreter images: a file, or a version that is kept in the bench's cache or downloaded.

    images/<sha256>.bin        the image
    images/versions.json       version → {"sha256": …, "url": …}

A version is downloaded once; its checksum is kept and holds from then on. `sha256` beside the version in
boards.yaml (or --sha256) is compared with the first download too. Without a network the cache is used.
"""

import hashlib
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host.model.errors import PreflightError, UsageError
from host.model.file_lock import file_lock
from host.serial.esp_image import FlashImage, read_image

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
_VERSION = re.compile(r"v?(\d+\.\d+(?:\.\d+)?)")


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
    match = _VERSION.fullmatch(wanted)
    if match is None or Path(wanted).exists():
        image = read_image(Path(wanted))
        _check(image.digest, sha256, wanted)
        return image
    version = match[1] + (".0" if match[1].count(".") == 1 else "")
    known = _index(cache).get(version)
    if known is not None:
        kept = cache / f"{known.digest}.bin"
        if kept.exists() and _digest(kept) == known.digest:
            _check(known.digest, sha256, f"MicroPython {version} in {cache}")
            return read_image(kept)
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
            f"MicroPython {version} is not known here; {', '.join(RELEASES)} are",
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
        image = read_image(part)
    finally:
        part.unlink()
    kept = remember(image, version, cache, url)
    return read_image(kept)


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
