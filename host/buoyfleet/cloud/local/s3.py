"""The S3 bucket: a folder laid out as Firehose lays it out.

    2026/11/23/10/buoys-1-2026-11-23-10-15-02-<uuid>        records one after another
    processing-failed/2026/11/23/10/buoys-1-…               what could not be transformed

The prefix is the UTC hour of the oldest record's arrival in Firehose, or a custom one
(`buoyfleet.cloud.local.bucket_layout`); the name holds delivery stream,
version, time of delivery and a UUID (Firehose guide, Amazon S3 object name format). Objects appear complete
or not at all. An object's modification time is its `LastModified`: the time of delivery by Firehose's own
clock.
"""

import gzip
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from buoyfleet.cloud.local.bucket_layout import BucketLayout
from buoyfleet.cloud.local.folders import S3_INDEX_FOLDER
from buoyfleet.cloud.local.segments import TEMPORARY_SUFFIX, ColumnRows, SegmentLog
from buoyfleet.cloud.s3_reader import ObjectInfo

if TYPE_CHECKING:
    import pyarrow as pa

DELIVERY_STREAM = "buoys"
VERSION = 1


def index_schema() -> "pa.Schema":
    """Rows of the index: the record of `message` begins at byte `offset` of the object's content."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("object", pa.string(), nullable=False),
            pa.field("offset", pa.int64(), nullable=False),
            pa.field("message", pa.int64(), nullable=False),
        ]
    )


def list_objects(folder: Path) -> Iterator[ObjectInfo]:
    """The complete objects of a bucket's folder, in order of their keys; none where there is no folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != TEMPORARY_SUFFIX:
            yield ObjectInfo(path.relative_to(folder).as_posix(), path.stat().st_mtime_ns)


class Bucket:
    """Writes objects into a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        layout: BucketLayout | None = None,
        delimiter: str = "",
        compress: bool = False,
    ) -> None:
        self.layout = layout or BucketLayout()
        self._folder = folder
        self._delimiter = delimiter.encode()
        self._compress = compress
        self._index = ColumnRows(index_schema)
        self.log = SegmentLog(folder.parent / S3_INDEX_FOLDER, self._index)
        folder.mkdir(parents=True, exist_ok=True)

    def put(
        self, prefix: str, records: list[tuple[int, bytes]], at_ns: int, *, index: bool = True
    ) -> tuple[str, int]:
        """Write one object of (message, data) and return its key and size.

        Args:
            prefix: of the key, from `layout`.
            records: in the order they shall stand in.
            at_ns: time of delivery.
            index: whether to note which message is where, and to append the delimiter.

        Raises:
            OSError: the object could not be written; nothing of it is there.
        """
        moment = datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d-%H-%M-%S")
        key = f"{prefix}{DELIVERY_STREAM}-{VERSION}-{moment}-{uuid.uuid4()}"
        if self._compress:
            key += ".gz"
        delimiter = self._delimiter if index else b""
        content = b"".join(data + delimiter for _, data in records)
        body = gzip.compress(content, 6, mtime=0) if self._compress else content
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        try:
            temporary.write_bytes(body)
            os.utime(temporary, ns=(at_ns, at_ns))
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        if index:
            offset = 0
            for message, data in records:
                self._index.append(key, offset, message)
                offset += len(data) + len(delimiter)
        return key, len(body)

    def put_plain(self, key: str, body: bytes) -> None:
        """One object that is no record of the stream, e.g. what a rule's error action leaves.

        Raises:
            OSError: it could not be written.
        """
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        temporary.write_bytes(body)
        os.replace(temporary, path)
