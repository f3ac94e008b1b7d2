"""DuckDB as what it is here: a query engine in memory over the files of a run."""

import functools
import itertools
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from buoyfleet.model.errors import VerificationError

MEMORY_LIMIT = "400MB"
"""What DuckDB holds before it uses its scratch folder: memory does not grow with the run."""


# Types of the columns that this package has in Arrow schemas.
_TYPES = {
    pa.int8(): "TINYINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
}

_numbers = itertools.count()


@functools.cache
def _instance() -> tuple[duckdb.DuckDBPyConnection, tempfile.TemporaryDirectory[str]]:
    """The engine of this process and its scratch folder, which goes when the process ends.

    Starting an engine costs as much as ten statements; a database in it costs one.
    """
    # Without a folder DuckDB would spill into the working directory. This one is the user's alone (0700).
    scratch = tempfile.TemporaryDirectory(prefix="buoyfleet-verify-", ignore_cleanup_errors=True)
    engine = duckdb.connect(
        ":memory:",
        config={
            "temp_directory": scratch.name,
            "memory_limit": MEMORY_LIMIT,
            # Nothing here relies on the order of rows; keeping it costs memory and time.
            "preserve_insertion_order": "false",
        },
    )
    return engine, scratch


class Database:
    """A database of its own in memory, and the few ways in which this package uses it."""

    def __init__(self) -> None:
        self.connection = _instance()[0].cursor()
        self._name = f"run_{next(_numbers)}"
        self.connection.execute("SET enable_progress_bar = false")
        self.connection.execute(f"ATTACH ':memory:' AS {self._name}")
        self.connection.execute(f"USE {self._name}")

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.execute("USE memory")
        self.connection.execute(f"DETACH {self._name}")
        self.connection.close()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Execute one statement."""
        self.connection.execute(sql, list(parameters))

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        result: list[tuple[Any, ...]] = self.connection.execute(sql, list(parameters)).fetchall()
        return result

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The only row of a query."""
        (row,) = self.rows(sql, parameters)
        return row

    def number(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """A query's only value, as an integer; 0 for NULL."""
        return int(self.row(sql, parameters)[0] or 0)

    def files(self, name: str, paths: Iterable[Path], schema: pa.Schema) -> None:
        """A view over Parquet files, with the columns of `schema`; empty where there are no files.

        Raises:
            BuoyError: one of them is damaged, or has other columns.
        """
        paths = list(paths)
        if not paths:
            self.table(name, schema.empty_table())
            return
        for path in paths:
            _check(path, schema)
        listed = ", ".join(text(str(path)) for path in paths)
        columns = ", ".join(column(field) for field in schema.names)
        self.run(f"CREATE VIEW {name} AS SELECT {columns} FROM read_parquet([{listed}])")

    def table(self, name: str, content: pa.Table) -> None:
        """A table with the rows of an Arrow table."""
        if not content.num_rows:
            columns = ", ".join(f"{column(field.name)} {_TYPES[field.type]}" for field in content.schema)
            self.run(f"CREATE TABLE {name}({columns})")
            return
        self.connection.register("_arrow", content)
        self.run(f"CREATE TABLE {name} AS SELECT * FROM _arrow")
        self.connection.unregister("_arrow")


def _check(path: Path, schema: pa.Schema) -> None:
    """Read the end of a Parquet file: it is where a broken one shows."""
    try:
        present = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _unusable(path, str(error).splitlines()[0]) from error
    other = [
        field.name
        for field in schema
        if field.name not in present.names or not present.field(field.name).type.equals(field.type)
    ]
    if other:
        raise _unusable(path, f"column {', '.join(other)} is not there or of another type")


def _unusable(path: Path, what: str) -> VerificationError:
    return VerificationError(
        f"this file of the run cannot be read: {what}",
        where=str(path),
        cause="it is damaged, or was written by another version of buoyfleet",
        next_step="run again, or read the run with the version that made it",
    )


def text(value: str) -> str:
    """An SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def column(name: str) -> str:
    """A quoted column name: `do` and `ec` are ordinary names here, but SQL has its own view of `do`."""
    return '"' + name.replace('"', '""') + '"'
