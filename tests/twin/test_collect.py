"""Collecting a run from a twin's folder: its window and buoys and nothing else, whatever the files hold."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twin_bench import ALL_TIME, Bench, Run, drive, payload

from buoyfleet.cloud.local.collect import Window, collect
from buoyfleet.cloud.local.pipeline import Pipeline
from buoyfleet.cloud.local.segments import due_age_s


def test_a_second_run_of_the_same_buoys_in_one_store_is_not_confused_by_the_first(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        runs = []
        for name in ("first", "second"):
            since_ns = bench.clock.now_ns
            bench.fleet(3, 4)
            await bench.pipeline.hurry()
            runs.append((name, since_ns, bench.clock.now_ns))
            bench.clock.advance(5)
        for place, (name, since_ns, until_ns) in enumerate(runs):
            run = bench.collected(name, (since_ns, until_ns))
            numbers = list(range(12 * place, 12 * place + 12))
            for store in ("timestream", "s3"):
                assert len(run.store(store)) == 3 * 4 * 9
                assert {row["timestamp_ms"] for row in run.store(store)} == {
                    since_ns // 10**6 + 1000 * number for number in range(4)
                }
                assert sorted({row["message"] for row in run.store(store)}) == numbers
            assert [row["message"] for row in run.evidence("received")] == numbers
            assert run.reached("s3") == numbers

    drive(tmp_path, work)


def test_a_second_run_of_original_payloads_is_kept_apart_though_s3_knows_no_time(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for number in range(2):
            bench.send(100, payload(number))
            bench.clock.advance(1)
        await bench.pipeline.hurry()
        since_ns = bench.clock.now_ns
        bench.send(100, payload(7))
        await bench.pipeline.hurry()
        run = bench.collected("second", (since_ns, since_ns + 10**9))
        assert {row["message"] for row in run.store("s3")} == {2}
        assert len(run.store("s3")) == len(run.store("timestream")) == 9

    drive(tmp_path, work, payload="original")


def test_only_the_runs_buoys_are_collected_and_messages_of_no_buoy_are_evidence(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.fleet(3, 2)
        bench.send(0, b"{}", topic="aws/0/pier/data/")
        await bench.pipeline.hurry()
        run = bench.collected(buoys={100, 102})
        for store in ("timestream", "s3"):
            assert {row["buoy"] for row in run.store(store)} == {100, 102}
        assert {row["buoy"] for row in run.evidence("received")} == {100, 102, None}

    drive(tmp_path, work)


def test_many_segments_are_read_as_one_store(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        for _ in range(5):
            bench.fleet(2, 2)
            await bench.pipeline.hurry()
            for log in bench.pipeline.logs:
                log.flush()
        run = bench.collected()
        assert len(run.store("timestream")) == len(run.store("s3")) == 20 * 9
        assert run.reached("lambda") == list(range(20))

    drive(tmp_path, work)


def test_a_record_replaced_by_a_higher_version_is_collected_once_with_its_new_value(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.send(100, payload(0, bench.now_ms))
        for log in bench.pipeline.logs:
            log.flush()
        bench.pipeline.timestream.write_version(0, "100", bench.now_ms, {"temp": 99.5}, 2, bench.clock.now_ns)
        run = bench.collected()
        assert len(run.store("timestream")) == 9
        assert [row["value"] for row in run.store("timestream") if row["measure"] == "temp"] == [99.5]

    drive(tmp_path, work)


def test_a_broken_segment_an_unfinished_one_and_a_broken_object_are_said_and_the_rest_is_read(
    tmp_path: Path,
) -> None:
    async def work(bench: Bench) -> None:
        bench.fleet(1, 2)
        await bench.pipeline.hurry()
        bench.collected("before")
        folder = Path(bench.pipeline.config.folder)
        (folder / "timestream" / "000001.parquet").write_bytes(b"PAR1 and no more")
        (folder / "timestream" / "000002.part").write_bytes(b"half")
        (path,) = [path for path in (folder / "s3").rglob("buoys-*")]
        path.write_bytes(path.read_bytes()[:-5])
        os.utime(path, ns=(bench.clock.now_ns, bench.clock.now_ns))
        run = bench.collected()
        assert len(run.store("timestream")) == 18
        assert len(run.store("s3")) == 9
        for part in ("timestream/000001.parquet", "000002.part was not finished", "no JSON at byte"):
            assert any(part in problem for problem in run.problems)

    drive(tmp_path, work)


def test_rows_whose_evidence_was_not_written_yet_are_found_by_time_and_buoy(tmp_path: Path) -> None:
    """As after a crash between two segments: stores may know messages that the evidence does not."""

    async def work(bench: Bench) -> None:
        start_ns = bench.clock.now_ns
        bench.fleet(2, 3)
        await bench.pipeline.hurry()
        bench.pipeline.timestream.log.flush()
        run = bench.folder / "run"
        window = Window(start_ns + 10**9, start_ns + 2 * 10**9, frozenset({100}))
        collect(Path(bench.pipeline.config.folder), run, window)
        found = Run(run, [])
        for store in ("timestream", "s3"):
            assert {(row["buoy"], row["timestamp_ms"]) for row in found.store(store)} == {
                (100, start_ns // 10**6 + 1000),
                (100, start_ns // 10**6 + 2000),
            }

    drive(tmp_path, work)


def test_a_folder_without_anything_gives_empty_stores_and_evidence(tmp_path: Path) -> None:
    problems = collect(tmp_path / "nothing", tmp_path / "run", Window(*ALL_TIME, frozenset({1})))
    run = Run(tmp_path / "run", problems)
    assert problems == []
    assert run.store("timestream") == run.store("s3") == []
    assert run.evidence("received") == run.evidence("trace") == run.evidence("outcomes") == []


def test_collected_files_have_the_schemas_of_the_model(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from buoyfleet.model import evidence, store

    async def work(bench: Bench) -> None:
        bench.fleet(1, 2)
        await bench.pipeline.hurry()
        run = bench.collected().folder
        for name in ("timestream", "s3"):
            for path in (run / store.STORE_FOLDER / name).iterdir():
                assert pq.ParquetFile(path).schema_arrow.equals(store.SCHEMA)
        for name, schema in (
            (evidence.RECEIVED, evidence.RECEIVED_SCHEMA),
            (evidence.TRACE, evidence.TRACE_SCHEMA),
            (evidence.OUTCOMES, evidence.OUTCOMES_SCHEMA),
            (evidence.REFUSED, evidence.REFUSED_SCHEMA),
        ):
            assert pq.ParquetFile(run / evidence.EVIDENCE_FOLDER / name).schema_arrow.equals(schema)

    drive(tmp_path, work)


def test_received_payloads_are_the_bytes_that_came(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        odd = b'{ "temp" : 7.50, "timestamp" : %d }' % bench.now_ms
        bench.send(100, odd, dup=True)
        (row,) = bench.collected().evidence("received")
        assert (row["payload"], row["dup"], row["topic"]) == (odd, True, "aws/0/100/data/")
        assert (row["buoy"], row["at_ns"]) == (100, bench.clock.now_ns)

    drive(tmp_path, work)


@pytest.mark.parametrize(("running_s", "age_s"), [(0, 1), (30, 1), (600, 10), (86_400, 30)])
def test_segments_close_later_as_a_run_grows_longer(running_s: float, age_s: float) -> None:
    assert due_age_s(running_s) == age_s


def test_the_twins_modules_load_without_what_is_dear_to_import() -> None:
    code = (
        "import sys, buoyfleet.cloud.local.server, buoyfleet.cloud.local.target\n"
        "import buoyfleet.cli.twin, buoyfleet.cloud.broker_target\n"
        "print([name for name in ('numpy', 'pyarrow', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.soak
def test_a_pipeline_keeps_a_million_measures_in_little_memory(tmp_path: Path) -> None:
    probe = Path(__file__).with_name("memory_probe.py")
    done = subprocess.run(
        [sys.executable, str(probe), str(tmp_path)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 170


def test_a_configuration_is_refused_with_all_its_mistakes_at_once(tmp_path: Path) -> None:
    from buoyfleet.cloud.local.config import load
    from buoyfleet.model.errors import UsageError

    path = tmp_path / "c.json"

    def refused(document: Any) -> str:
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        with pytest.raises(UsageError) as raised:
            load(path)
        return raised.value.what

    assert "folder is missing" in refused({})
    assert "not JSON" in refused("{")
    assert "must be an object" in refused("[]")
    text = refused(
        {"folder": "x", "prot": 1, "limits": "none", "twin": {"lambda_timeout_s": "3", "shards": 1}}
    )
    for part in (
        "unknown key prot, did you mean port?",
        "limits is 'none'",
        "twin.lambda_timeout_s must be float",
        "unknown key twin.shards",
    ):
        assert part in text
    assert "loopback" in refused({"folder": "x", "host": "0.0.0.0"})
    assert "lambda_memory_mb must be above 0" in refused({"folder": "x", "twin": {"lambda_memory_mb": 0}})
    assert "twin.faults[0].stage is 'sky'" in refused(
        {"folder": "x", "twin": {"faults": [{"stage": "sky", "kind": "lost"}]}}
    )
    assert "port 70000 is no port" in refused({"folder": "x", "port": 70000})


def test_a_configuration_survives_the_way_through_json(tmp_path: Path) -> None:
    from twin_bench import fault

    from buoyfleet.cloud.local.config import TwinConfig, load, to_json
    from buoyfleet.model.secret import SecretRef
    from buoyfleet.model.twin import InfluxSpec, LimitSetting, TwinTls

    config = TwinConfig(
        "f",
        twin=dataclasses.replace(
            fault("s3", "altered", buoys=(1, 2), value=3.0),
            s3_delimiter="\n",
            limits=(LimitSetting("publishes_in_per_s", 5), LimitSetting("connects_per_s", None)),
            tls=TwinTls(alpn=True),
            influxdb=InfluxSpec("http://localhost:8086", "buoys", token=SecretRef("env", "TOKEN")),
        ),
        limits="aws",
    )
    path = tmp_path / "c.json"
    path.write_text(to_json(config))
    assert load(path) == config
    assert isinstance(Pipeline, type)
