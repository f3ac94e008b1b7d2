"""The query engine leaves nothing behind, and lets nobody else read what it spills."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from buoyfleet.verify.database import Database


def test_scratch_files_are_the_users_alone_and_gone_when_the_process_ends() -> None:
    program = (
        "from buoyfleet.verify.database import Database\n"
        "import os, stat\n"
        "with Database() as db:\n"
        "    folder = db.row(\"SELECT current_setting('temp_directory')\")[0]\n"
        "    print(folder, stat.S_IMODE(os.stat(folder).st_mode))\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    folder, mode = said.split()
    assert int(mode) == 0o700
    assert not Path(folder).exists()


def test_two_databases_know_not_of_each_other_and_leave_nothing() -> None:
    with Database() as one, Database() as other:
        one.run("CREATE TABLE message AS SELECT 1 AS id")
        other.run("CREATE TABLE message AS SELECT 2 AS id")
        assert [db.number("SELECT id FROM message") for db in (one, other)] == [1, 2]
    with Database() as later:
        assert later.number("SELECT count(*) FROM duckdb_tables()") == 0
        assert later.row("SELECT current_setting('memory_limit')") == ("381.4 MiB",)


def test_an_empty_table_has_the_columns_of_a_full_one() -> None:
    schema = pa.schema([("id", pa.int64()), ("said", pa.string()), ("raw", pa.binary()), ("on", pa.bool_())])
    row = {"id": 1, "said": "x", "raw": b"y", "on": True}
    with Database() as db:
        db.table("void", schema.empty_table())
        db.table("filled", pa.Table.from_pylist([row], schema))
        described = [db.rows(f"DESCRIBE {name}") for name in ("void", "filled")]
    assert described[0] == described[1]
