"""Rows of a store on their way into a run's folder: `stores/<store>/part-000000.parquet`, …

The rows of objects, which every target with an S3 backup reads the same way, come from a folder that holds
them under their keys.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from buoyfleet.cloud import s3_reader
from buoyfleet.cloud.local.segments import write_parquet
from buoyfleet.cloud.measure_rows import VERSION_COLUMN, MeasureRows

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_PART = 1_000_000


def write_parts(tables: "Iterable[pa.Table]", target: Path) -> None:
    """Write tables of `buoyfleet.model.store.SCHEMA`, a file each; empty ones are left out.

    Raises:
        OSError: the folder cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    number = 0
    for table in tables:
        if table.num_rows:
            write_parquet(table, target / f"part-{number:06d}.parquet")
            number += 1


def rows_in_parts(rows: MeasureRows) -> "Iterator[pa.Table]":
    """What `rows` holds, as a table of the store's schema."""
    detached = rows.detach()
    if detached is not None:
        yield detached.table().drop_columns([VERSION_COLUMN])


def object_rows(
    folder: Path,
    objects: Iterable[s3_reader.ObjectInfo],
    on_problem: Callable[[str], None],
    index: Mapping[str, tuple[list[int], list[int]]],
    wanted: Callable[[int, int | None, int], bool],
) -> "Iterator[pa.Table]":
    """The measures of data objects; arguments as of `buoyfleet.cloud.s3_reader.read_object`."""
    rows = MeasureRows()
    for info in objects:
        s3_reader.read_object(
            info, object_body(folder / info.key, on_problem), rows, on_problem, index.get(info.key), wanted
        )
        if len(rows) >= ROWS_PER_PART:
            yield from rows_in_parts(rows)
    yield from rows_in_parts(rows)


def object_body(path: Path, on_problem: Callable[[str], None]) -> bytes:
    """The bytes of an object's file; what cannot be read is reported and empty."""
    try:
        return path.read_bytes()
    except OSError as error:
        on_problem(f"S3 object {path.name} cannot be read: {error.strerror}")
        return b""
