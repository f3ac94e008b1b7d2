"""The query engine leaves nothing behind, and lets nobody else read what it spills."""

import stat
from pathlib import Path

from buoyfleet.model.spreadsheet import cell
from buoyfleet.verify.database import Database


def test_scratch_files_are_the_users_alone_and_gone_at_the_end() -> None:
    with Database() as one, Database() as other:
        folders = [Path(db.row("SELECT current_setting('temp_directory')")[0]) for db in (one, other)]
        assert folders[0] != folders[1]
        assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700, 0o700]
    assert not any(folder.exists() for folder in folders)


def test_a_text_that_a_spreadsheet_would_compute_is_text() -> None:
    assert cell("=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"
    assert [cell(value) for value in ("@x", "+1", "plain", -3, 1.5, None)] == [
        "'@x",
        "'+1",
        "plain",
        -3,
        1.5,
        None,
    ]
