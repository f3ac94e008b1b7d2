"""Runs listed, tagged and held against one another: folders as runs leave them, ledgers of known waits."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_results import latency, lost, passed

from buoyfleet.cli.main import invoke
from buoyfleet.model.errors import UsageError
from buoyfleet.model.ledger import COMPACTED, SCHEMA, Event
from buoyfleet.model.result import Result
from buoyfleet.report.write import result_json
from buoyfleet.runs.compare_runs import compare_runs
from buoyfleet.runs.noise import latencies_of, ratio_bands

MS = 1_000_000
START_NS = 1_790_000_000_000_000_000


def write_ledger(folder: Path, waits_ms: np.ndarray) -> None:
    """`waits_ms`: boards x messages."""
    boards, messages = waits_ms.shape
    planned = START_NS + np.arange(messages, dtype=np.int64) * 1000 * MS
    rows = boards * messages
    columns = {
        "event": np.full(rows, int(Event.ACKNOWLEDGED), np.uint8),
        "buoy": np.repeat(np.arange(100, 100 + boards, dtype=np.int32), messages),
        "seq": np.tile(np.arange(messages, dtype=np.int32), boards),
        "attempt": np.zeros(rows, np.uint16),
        "planned_ns": np.tile(planned, boards),
        "at_ns": np.tile(planned, boards) + (waits_ms.ravel() * MS).astype(np.int64) - 7 * MS,
        "offset_ns": np.full(rows, 7 * MS),
        "uncertainty_ns": np.zeros(rows, np.int64),
        "payload": pa.nulls(rows, pa.binary()),
        "reason": pa.nulls(rows, pa.string()),
    }
    pq.write_table(pa.table(columns, schema=SCHEMA), folder / COMPACTED)


def waits(seed: int, boards: int = 30, messages: int = 100, factor: float = 1.0) -> np.ndarray:
    """Boards that differ among one another."""
    random = np.random.default_rng(seed)
    return factor * random.lognormal(1.0, 0.2, (boards, 1)) * random.lognormal(0.0, 0.5, (boards, messages))


def a_run(
    runs: Path, number: int, result: Result | None = None, factor: float = 1.0, **settings: object
) -> Path:
    """A run's folder; later numbers are later runs."""
    result = result or passed()
    name = f"2026120{number}T100000Z-harbour"
    folder = runs / name
    folder.mkdir(parents=True)
    run = {"run_id": name, "fleet": "harbour", "started_ns": START_NS + number}
    update = {"run": result.run.model_copy(update=run), "ack_latency": latency(3000, factor)}
    (folder / FILE).write_bytes(result_json(result.model_copy(update=update)))
    document = {"fleet": "harbour", "run": {"qos": 1, **settings}, "boards": [{"kind": "virtual"}]}
    (folder / "fleet.yaml").write_text(json.dumps(document))
    write_ledger(folder, waits(number, factor=factor))
    return folder


FILE = "result.json"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.mark.soak
def test_bands_of_runs_that_differ_by_chance_alone_hold_1_and_others_do_not(tmp_path):
    missed = 0
    for seed in range(40):
        for name, run in (("a", waits(2 * seed)), ("b", waits(2 * seed + 1))):
            (tmp_path / name).mkdir(exist_ok=True)
            write_ledger(tmp_path / name, run)
        low, high = ratio_bands(latencies_of(tmp_path / "a"), latencies_of(tmp_path / "b"))["p95"]
        missed += not low <= 1.0 <= high
    assert missed <= 6  # 95 of 100 hold it: 7 of 40 would be seen once in 200 times
    write_ledger(tmp_path / "b", waits(1, factor=2.0))
    low, high = ratio_bands(latencies_of(tmp_path / "a"), latencies_of(tmp_path / "b"))["p50"]
    assert low > 1.2


def test_percentiles_of_a_ledger_are_those_of_its_waits(tmp_path):
    found = waits(5, boards=3, messages=1000)
    write_ledger(tmp_path, found)
    counts = latencies_of(tmp_path).counts
    assert counts.sum() == found.size
    assert counts.shape[0] >= 20  # three boards, cut into slices of time
    median_bin = int(np.searchsorted(np.cumsum(counts.sum(axis=0)), found.size / 2))
    assert 0.01 * 1.01**median_bin == pytest.approx(np.median(found), rel=0.02)


def test_a_few_messages_give_no_band(tmp_path):
    write_ledger(tmp_path, waits(1, boards=9, messages=11))
    assert latencies_of(tmp_path) is None
    assert latencies_of(tmp_path / "nowhere") is None


def test_a_comparison_shows_figures_causes_and_settings_that_differ(runs):
    found = compare_runs(a_run(runs, 1), a_run(runs, 2, lost(), qos=0, seed=4))
    by_metric = {figure.metric: figure for figure in found.figures}
    assert by_metric["s3.missing"].base == 0
    assert by_metric["s3.missing"].other > 0
    assert by_metric["s3.missing"].ratio == float("inf")
    assert by_metric["ack.p99"].band is not None
    assert by_metric["s3.missing"].band is None
    assert {(one.place, one.base, one.other) for one in found.settings} == {
        ("run.qos", "1", "0"),
        ("run.seed", "", "4"),
    }
    assert [cause for cause in found.causes if cause.store == "s3" and cause.other > cause.base == 0]
    assert (found.base.verdict, found.other.verdict) == ("passed", "failed")


@pytest.mark.parametrize(
    ("factor", "condition", "code"),
    [
        (1.0, "ack.p99 > 1.2 x", 0),
        (2.0, "ack.p99 > 1.2 x", 5),
        (2.0, "ack.p99 > 9 x", 0),
        (0.4, "ack.p50 < 0.7 x", 5),
        (1.0, "ack.p99 > 1 ms", 5),
        (1.0, "s3.missing > 0", 0),
        (1.0, "cpu.message > 1.1 x", 5),  # not measured: what cannot be decided is no pass
    ],
)
def test_a_condition_that_holds_gives_exit_code_5(factor, condition, code, runs, capsys):
    a_run(runs, 1)
    a_run(runs, 2, factor=factor)
    assert invoke(["compare", "20261201", "20261202", "--fail-if", condition]) == code
    assert f"{'✗' if code else '✓'}  {condition}" in capsys.readouterr().out


def test_a_ratio_that_chance_explains_fails_nothing(runs, capsys):
    first, second = a_run(runs, 1), a_run(runs, 2)
    result = json.loads((second / FILE).read_text())
    result["ack_latency"]["p99_ms"] *= 1.05
    (second / FILE).write_text(json.dumps(result))
    assert invoke(["compare", str(first), str(second), "--fail-if", "ack.p99 > 1.04 x"]) == 0
    assert "chance can explain it" in capsys.readouterr().out


def test_all_wrong_conditions_are_named_at_once(runs):
    first, second = a_run(runs, 1), a_run(runs, 2)
    with pytest.raises(UsageError) as caught:
        compare_runs(first, second, ["ack.p9 > 2 x", "nonsense", "ack.p99 > 2 x"])
    assert "ack.p9" in str(caught.value)
    assert "'nonsense'" in str(caught.value)


def test_the_last_run_is_held_against_the_baseline_of_its_fleet(runs, capsys):
    a_run(runs, 1)
    assert invoke(["compare"]) == 2
    assert "no earlier run of fleet harbour is tagged baseline" in capsys.readouterr().err
    a_run(runs, 2)
    a_run(runs, 3)
    assert invoke(["tag", "20261201", "baseline"]) == 0
    assert invoke(["compare", "--json"]) == 0
    text = capsys.readouterr().out.split("\n", 1)[1]
    (document,) = json.loads(text)
    assert document["base"]["run_id"] == "20261201T100000Z-harbour"
    assert document["other"]["run_id"] == "20261203T100000Z-harbour"
    assert document["passed"] is True


def test_runs_are_listed_in_order_with_what_was_asked_for(runs, capsys):
    a_run(runs, 2, lost())
    a_run(runs, 1)
    (runs / "20261209T100000Z-killed").mkdir()
    (runs / "20261209T100000Z-killed" / "fleet.yaml").write_text("{}")
    (runs / "notes").mkdir()
    invoke(["tag", "20261201", "quiet", "baseline"])
    capsys.readouterr()
    assert invoke(["runs", "--show", "s3.missing"]) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert ["20261201T100000Z-harbour", "passed"] in rows
    assert rows.index(["20261201T100000Z-harbour", "passed"]) < rows.index(
        ["20261202T100000Z-harbour", "failed"]
    )
    assert ["20261209T100000Z-killed", "no"] in rows
    assert len(rows) == 3
    for words, expected in (
        (["failed"], ["20261202T100000Z-harbour"]),
        (["tag=baseline"], ["20261201T100000Z-harbour"]),
        (["harbour", "passed"], ["20261201T100000Z-harbour"]),
        (["since=2030-01-01"], []),
    ):
        assert invoke(["runs", *words, "--json"]) == 0
        assert [json.loads(line)["run"] for line in capsys.readouterr().out.splitlines()] == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs", "since=yesterday"], "is no date"),
        (["runs", "colour=red"], "is no filter"),
        (["runs", "--show", "ack.p98"], "unknown metric 'ack.p98'"),
        (["tag", "20261201", "<b>"], "no tag: '<b>'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(words, said, runs, capsys):
    a_run(runs, 1)
    assert invoke(words) == 2
    assert said in capsys.readouterr().err


def test_a_tag_is_taken_away_again(runs, capsys):
    folder = a_run(runs, 1)
    invoke(["tag", str(folder), "one", "two"])
    assert invoke(["tag", str(folder), "--remove", "one"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(": two")


def test_an_unpaced_run_counts_from_the_first_sending_as_its_percentiles_do(tmp_path):
    found = waits(3)
    write_ledger(tmp_path, found)
    acknowledged = pq.read_table(tmp_path / COMPACTED)
    held_ns = 50 * MS  # between planned and sent: the window was full
    planned = acknowledged["planned_ns"].to_numpy()
    parts = [_with(acknowledged, at_ns=acknowledged["at_ns"].to_numpy() + held_ns)]
    for attempt, late_ns in ((1, 0), (2, MS)):
        at_ns = planned + held_ns + late_ns - 7 * MS
        one = np.ones(len(planned))
        parts.append(_with(acknowledged, event=int(Event.SENT) * one, attempt=attempt * one, at_ns=at_ns))
    pq.write_table(pa.concat_tables(parts), tmp_path / COMPACTED)
    waited = [latencies_of(tmp_path, paced=paced).counts.sum(axis=0) for paced in (True, False)]
    median_bins = [int(np.searchsorted(np.cumsum(counts), found.size / 2)) for counts in waited]
    planned_ms, sent_ms = (0.01 * 1.01**number for number in median_bins)
    assert sent_ms == pytest.approx(np.median(found), rel=0.02)
    assert planned_ms == pytest.approx(np.median(found) + 50, rel=0.02)


def _with(table, **columns):
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        table = table.set_column(place, field, pa.array(values.astype(field.type.to_pandas_dtype())))
    return table
