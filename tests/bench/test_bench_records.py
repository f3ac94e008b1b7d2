"""Records survive crashes and parallel writers; what they say decides who a board may become."""

import csv
import io
import json
import subprocess
import sys

import pytest

from buoyfleet.bench.identity import Claim, conflicts
from buoyfleet.bench.records import Book, Record, Records, as_csv, matching
from buoyfleet.cli.main import invoke
from buoyfleet.model.errors import PreflightError, UsageError

A, B, C = "240ac4000080", "240ac4000081", "240ac4000082"


def record(mac=A, buoy=131, kind="commissioned", **more):
    return Record(kind, mac, buoy, f"buoy-{buoy}", **more)


def test_a_record_is_read_back_with_time_operator_and_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("BUOY_OPERATOR", "ada")
    records = Records(tmp_path)
    written = records.append(record(self_test={"connect_s": 1.5}))
    read, damaged = records.read()
    assert (read, damaged) == ([written], [])
    assert (written.operator, written.time[:2], written.tool.split()[0]) == ("ada", "20", "buoyfleet")


def test_a_crash_in_mid_write_costs_the_line_it_cut_and_no_other(tmp_path):
    records = Records(tmp_path)
    records.append(record(A, 131))
    whole = records.path.read_bytes()
    for cut in (1, 20, len(whole) - 2):
        records.path.write_bytes(whole + whole[:cut])
        records.append(record(B, 132))
        read, damaged = records.read()
        assert [one.mac for one in read] == [A, B]
        assert len(damaged) == 1
        assert damaged[0].startswith(f"{records.path}:2:")


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    code = (
        "import sys; from pathlib import Path; from buoyfleet.bench.records import Record, Records\n"
        "for n in range(40):\n"
        "    Records(Path(sys.argv[1])).append(Record('commissioned', sys.argv[2], n, 'x' * 3000))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, tmp_path, mac]) for mac in (A, B, C)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    read, damaged = Records(tmp_path).read()
    assert damaged == []
    for mac in (A, B, C):
        assert [one.buoy for one in read if one.mac == mac] == list(range(40))


def test_a_locked_file_is_given_up_with_its_name(tmp_path, monkeypatch):
    import fcntl

    import buoyfleet.bench.records as module

    monkeypatch.setattr(module, "_LOCK_S", 0.1)
    records = Records(tmp_path)
    records.append(record())
    with records.path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(PreflightError, match="keeps it locked") as caught:
            records.append(record())
    assert caught.value.where == str(records.path)


def test_records_of_a_later_version_are_still_read(tmp_path):
    records = Records(tmp_path)
    records.append(record())
    document = json.loads(records.path.read_text()) | {"schema": 2, "colour": "yellow"}
    records.path.write_text(json.dumps(document) + "\n")
    assert records.read()[0][0].buoy == 131


def test_filters_choose_and_mistakes_are_told():
    rows = [record(A, 131, time="2026-01-01"), record(B, 132, time="2026-02-01", passed=False)]
    rows.append(Record("wiped", A, None, "buoy-131", time="2026-03-01"))

    def chosen(*words):
        return [rows.index(one) for one in matching(rows, words)]

    assert chosen("131") == [0]
    assert chosen("mac:24:0a:c4:00:00:80") == [0, 2]
    assert chosen("failed") == [1]
    assert chosen("since=2026-02-01", "wiped") == [2]
    assert chosen("thing=buoy-132") == [1]
    with pytest.raises(UsageError, match="filters nothing"):
        chosen("colour=blue")


def test_the_table_has_a_column_for_every_figure():
    rows = [
        record(self_test={"connect_s": 1.5, "sensors": {"ph": 7.0}}),
        record(B, 132, self_test={"heap_size": 56030}),
    ]
    table = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert table[0]["sensors.ph"] == "7.0"
    assert (table[0]["heap_size"], table[1]["heap_size"]) == ("", "56030")


@pytest.mark.parametrize(
    ("history", "claim", "others", "sentences"),
    [
        ([], Claim("p", A, 131, None), {}, []),
        ([], Claim("p", A, 131, 131), {}, []),
        ([record(A, 131)], Claim("p", A, 131, 131), {}, []),
        ([], Claim("p", A, 131, 7), {}, ["(p) says it is buoy 7; it was asked to become 131"]),
        (
            [record(A, 130)],
            Claim("p", A, 131, None),
            {},
            ["24:0a:c4:00:00:80 (p) is buoy 130 (by record", "it was asked to become 131"],
        ),
        (
            [record(B, 131)],
            Claim("p", A, 131, None),
            {},
            ["buoy 131 is 24:0a:c4:00:00:81", "it was asked for 24:0a:c4:00:00:80 (p)"],
        ),
        ([record(B, 131), record(B, None, "wiped")], Claim("p", A, 131, None), {}, []),
        ([record(B, 131), record(B, 140)], Claim("p", A, 131, None), {}, []),
        (
            [],
            Claim("p", A, 131, None),
            {B: (131, "q")},
            ["buoy 131 is also 24:0a:c4:00:00:81 (q), besides 24:0a:c4:00:00:80 (p)"],
        ),
        (
            [record(B, 140, certificate="ab" * 32)],
            Claim("p", A, 131, None, "ab" * 32),
            {},
            ["certificate abababababab… belongs to 24:0a:c4:00:00:81; it was asked for 24:0a:c4:00:00:80"],
        ),
        ([record(A, 131, certificate="ab" * 32)], Claim("p", A, 131, 131, "ab" * 32), {}, []),
    ],
)
def test_an_identity_is_refused_with_both_sides_named(history, claim, others, sentences):
    found = conflicts(claim, Book(history), others, reassign=False)
    assert bool(found) == bool(sentences)
    for sentence in sentences:
        assert any(sentence in one for one in found), found


def test_reassign_overrules_records_but_neither_a_twin_nor_a_certificate():
    book = Book([record(A, 130), record(B, 131, certificate="ab" * 32)])
    claim = Claim("p", A, 131, 130)
    assert conflicts(claim, book, {}, reassign=True) == []
    assert conflicts(claim, book, {B: (131, "q")}, reassign=True) != []
    assert conflicts(Claim("p", A, 131, 130, "ab" * 32), book, {}, reassign=True) != []


def test_after_a_reassignment_the_id_is_the_new_boards():
    book = Book([record(A, 131), record(B, 131)])
    assert book.of_id(131).mac == B
    assert conflicts(Claim("p", A, 131, 131), book, {}, reassign=False) != []
    assert conflicts(Claim("q", B, 131, 131), book, {}, reassign=False) == []


def test_the_list_shows_a_failure_as_one_and_the_board_keeps_its_id_and_has_not_passed(tmp_path, capsys):
    records = Records(tmp_path)
    records.append(record(A, 131))
    records.append(record(B, 132, passed=False, self_test={"failed": {"step": "self-test", "what": "ec"}}))
    assert invoke(["records", "--folder", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "commissioned" in lines[1]
    assert "FAILED at self-test" in lines[2]
    book = records.book()
    assert book.failed == {B}
    assert book.of_id(132).mac == B
    assert conflicts(Claim("port", C, 132, None), book, {}, reassign=False)
    records.append(record(B, 132))
    assert records.book().failed == set()
