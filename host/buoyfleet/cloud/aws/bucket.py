"""Fetches a run's objects from the bucket into a folder, where the reader of S3 objects takes over.

Listed are only the hours that can hold the run, under the pipeline's own prefixes; an object is fetched once.
Its modification time in the folder is its `LastModified`.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from buoyfleet.cloud.aws.account import Account
from buoyfleet.cloud.local.segments import TEMPORARY_SUFFIX

MAX_BYTES = 4 << 30
"""Of all objects of a run; what is beyond is reported and not fetched."""
_NS_PER_S = 1_000_000_000
_SKEW_NS = 300 * _NS_PER_S
"""Hours are by AWS's clock, the run's times by this computer's."""


class BucketReader:
    """One bucket and the folder that its objects are fetched to."""

    def __init__(self, account: Account, bucket: str, folder: Path) -> None:
        self._account = account
        self._bucket = bucket
        self.folder = folder
        self._known: dict[str, str] = {}
        """Key → ETag of what was fetched."""
        self.bytes = 0
        self.refused = 0
        """Objects left alone because of MAX_BYTES."""

    def fetch(
        self, prefixes: tuple[str, ...], since_ns: int, until_ns: int, progress: Callable[[int], None]
    ) -> list[str]:
        """Fetch what is new; returns their paths in the folder.

        Args:
            prefixes: `data/` and the like; objects lie under `<prefix>YYYY/MM/DD/HH/`.
            since_ns: start of the run, UTC.
            until_ns: now.
            progress: called with the number of objects fetched so far.

        Raises:
            AwsError: no such bucket, not allowed, no answer.
            OSError: the folder cannot be written.
        """
        new: list[str] = []
        for prefix in prefixes:
            for hour in _hours(since_ns - _SKEW_NS, until_ns + _SKEW_NS):
                for key, tag, size, modified_ns in self._list(f"{prefix}{hour}/"):
                    if modified_ns < since_ns - _NS_PER_S or self._known.get(key) == tag:
                        continue
                    if self.bytes + size > MAX_BYTES:
                        self.refused += 1
                        continue
                    self._get(key, modified_ns)
                    self._known[key] = tag
                    self.bytes += size
                    new.append(safe_path(key))
                    progress(len(self._known))
        return new

    def _list(self, prefix: str) -> Iterator[tuple[str, str, int, int]]:
        for page in self._account.pages(
            "s3",
            "list_objects_v2",
            on=self._bucket,
            token=("ContinuationToken", "NextContinuationToken"),
            Bucket=self._bucket,
            Prefix=prefix,
        ):
            for entry in page.get("Contents", []):
                modified_ns = round(entry["LastModified"].timestamp() * 1000) * 1_000_000
                yield entry["Key"], entry["ETag"], int(entry["Size"]), modified_ns

    def _get(self, key: str, modified_ns: int) -> None:
        answer = self._account.call(
            "s3", "get_object", on=f"{self._bucket}/{key}", Bucket=self._bucket, Key=key
        )
        path = self.folder / safe_path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        with temporary.open("wb") as file:
            for chunk in answer["Body"].iter_chunks(1 << 20):
                file.write(chunk)
        os.utime(temporary, ns=(modified_ns, modified_ns))
        os.replace(temporary, path)


def safe_path(key: str) -> str:
    """A key as a path below a folder: `..` and empty levels, which a key may have, lead nowhere else."""
    return "/".join(level if level.strip(".") else f"_{level}" for level in key.split("/"))


def _hours(since_ns: int, until_ns: int) -> Iterator[str]:
    """`YYYY/MM/DD/HH` of each UTC hour (Firehose guide, object name format)."""
    moment = datetime.fromtimestamp(since_ns / _NS_PER_S, UTC).replace(minute=0, second=0, microsecond=0)
    end = datetime.fromtimestamp(until_ns / _NS_PER_S, UTC)
    while moment <= end:
        yield moment.strftime("%Y/%m/%d/%H")
        moment += timedelta(hours=1)
