"""Writes evidence about single messages and connections, in the files of `buoyfleet.model.evidence`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from buoyfleet.cloud.aws.failures import Noted
from buoyfleet.model.evidence import LINKS, LINKS_SCHEMA, NOTED, NOTED_SCHEMA


def write_noted(folder: Path, noted: Sequence[Noted], links: Sequence[dict[str, object]]) -> None:
    """Write what befell single messages, and what befell connections.

    Raises:
        OSError: the folder cannot be written.
    """
    table = pa.Table.from_pylist([dataclasses.asdict(one) for one in noted], schema=NOTED_SCHEMA)
    pq.write_table(table, folder / NOTED)
    pq.write_table(pa.Table.from_pylist(list(links), schema=LINKS_SCHEMA), folder / LINKS)
