"""Parquet segments: rows gathered in memory, written under a temporary name and renamed when complete.

A segment is either there as a whole or not at all, so that whoever reads the folder (also after the twin was
killed) sees only complete ones.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from buoyfleet.cloud.measure_rows import VERSION_COLUMN

if TYPE_CHECKING:
    import pyarrow as pa

TEMPORARY_SUFFIX = ".part"

MIN_AGE_S = 1.0
MAX_AGE_S = 30.0
AGE_SHARE = 1 / 60
"""A segment closes at this share of the time since the start, within the bounds above: what a crash can lose
grows with the run, and the number of files stays in the hundreds even after days."""

_FEW_VALUES = ("measure", "type", "stage", "object", "reason", "detail", "outcome")
_ASKED_FOR = (VERSION_COLUMN,)
"""Columns of which a reader looks at least and most (`buoyfleet.cloud.local.collect`)."""

MAX_ROWS = 200_000
"""Rows at which a segment closes whatever its age; a few MB each, so that memory stays flat."""


class Detached(Protocol):
    """Rows taken out of their gatherer; `table` is the dear part and may run in another thread."""

    def table(self) -> "pa.Table":
        """The rows as one table."""
        ...


class Rows(Protocol):
    """What gathers rows for a segment log."""

    def __len__(self) -> int: ...

    def detach(self) -> Detached | None:
        """All rows gathered so far, which are then no longer kept; None where there are none. Cheap."""
        ...


class SegmentLog:
    """The segments of one folder."""

    def __init__(self, folder: Path, rows: Rows) -> None:
        self.folder = folder
        self.rows = rows
        self._number = 0
        self._unwritten: list[Detached] = []
        folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        """Rows that are not in a segment yet; those that could not be written count as one each."""
        return len(self.rows) + len(self._unwritten)

    def detach(self) -> None:
        """Close the present segment; `write` will write it. Runs where rows are gathered."""
        detached = self.rows.detach()
        if detached is not None:
            self._unwritten.append(detached)

    def write(self) -> None:
        """Write what was detached. May run in another thread, one call at a time.

        Raises:
            OSError: the disk is full or the folder is gone; the rows are kept for the next try.
        """
        while self._unwritten:
            write_parquet(self._unwritten[0].table(), self.folder / f"{self._number:06d}.parquet")
            self._number += 1
            del self._unwritten[0]

    def flush(self) -> None:
        """`detach` and `write`.

        Raises:
            OSError: as `write`.
        """
        self.detach()
        self.write()


def write_parquet(table: "pa.Table", path: Path) -> None:
    """Write a table under a temporary name and rename it.

    Raises:
        OSError: it could not be written; nothing is left behind.
    """
    import pyarrow.parquet as pq

    names = table.schema.names
    temporary = path.with_suffix(TEMPORARY_SUFFIX)
    try:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=1,
            # Dictionaries and statistics of columns that nobody asks them of cost a third of the time.
            use_dictionary=[name for name in _FEW_VALUES if name in names] or False,
            write_statistics=[name for name in _ASKED_FOR if name in names] or False,
        )
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def segment_paths(folder: Path) -> list[Path]:
    """The complete segments of a folder, in order; none where there is no folder."""
    return sorted(folder.glob("*.parquet"))


def due_age_s(running_s: float) -> float:
    """Age at which an unfinished segment is written, by the time since the start."""
    return min(MAX_AGE_S, max(MIN_AGE_S, running_s * AGE_SHARE))


class ColumnRows:
    """Keeps rows as tuples and makes columns of them when it writes: for logs that are only copied."""

    def __init__(self, schema: Callable[[], "pa.Schema"]) -> None:
        # The schema is asked for when a table is made: pyarrow is dear to import.
        self._schema = schema
        self._rows: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, *values: Any) -> None:
        """One row, values in the order of the schema."""
        self._rows.append(values)

    def extend(self, *columns: Iterable[Any]) -> None:
        """Many rows, given as columns of equal length."""
        self._rows.extend(zip(*columns, strict=True))

    def detach(self) -> Detached | None:
        """See `Rows`."""
        if not self._rows:
            return None
        rows, self._rows = self._rows, []
        return _Columns(self._schema, rows)


class _Columns:
    def __init__(self, schema: Callable[[], "pa.Schema"], rows: list[tuple[Any, ...]]) -> None:
        self._schema = schema
        self._rows = rows

    def table(self) -> "pa.Table":
        import pyarrow as pa

        schema = self._schema()
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        return pa.table(arrays, schema=schema)
