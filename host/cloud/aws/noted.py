"""Writes what stages noted about single messages, as `host.model.evidence.NOTED_SCHEMA`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from host.cloud.aws.failures import Noted
from host.model.evidence import NOTED, NOTED_SCHEMA


def write_noted(folder: Path, noted: Sequence[Noted]) -> None:
    """Write the file.

    Raises:
        OSError: the folder cannot be written.
    """
    table = pa.Table.from_pylist([dataclasses.asdict(one) for one in noted], schema=NOTED_SCHEMA)
    pq.write_table(table, folder / NOTED)
