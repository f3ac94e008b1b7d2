"""The InfluxDB path: line protocol into a real InfluxDB, rows back, and refusals named with their cause."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from influxdb_server import InfluxServer
from run_bench import buoy, result_of
from twin_bench import Bench, drive, payload, values

from buoyfleet.cloud.influxdb import (
    Credentials,
    InfluxClient,
    InfluxError,
    PartialWrite,
    line,
)
from buoyfleet.cloud.local import influx_secrets
from buoyfleet.cloud.local.collect import Window
from buoyfleet.cloud.local.influx_collect import collect_influxdb
from buoyfleet.cloud.measure_rows import MeasureRows
from buoyfleet.model.exit_codes import ExitCode
from buoyfleet.model.fleet import TwinSpec
from buoyfleet.model.twin import ErrorAction, InfluxSpec, RuleSettings
from sensors.catalog import KEYS

NOW_MS = 1_800_000_000_000
ALL = (0, NOW_MS * 2)


@pytest.fixture(scope="module")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    server = InfluxServer(tmp_path_factory.mktemp("influxdb"))
    yield server
    server.stop()


@pytest.fixture
def spec(influxdb: InfluxServer, request: pytest.FixtureRequest) -> InfluxSpec:
    """A database of this test's own."""
    name = f"t{abs(hash(request.node.nodeid))}"
    client = InfluxClient(InfluxSpec(influxdb.url, name))
    client._request("POST", f"/query?q=CREATE%20DATABASE%20{name}")
    client.close()
    return client.spec


def read(client: InfluxClient, buoys: frozenset[int] = frozenset(range(1000))) -> list[dict[str, Any]]:
    rows = MeasureRows()
    client.read(*ALL, buoys, rows, lambda _buoy, time_ms: time_ms * 10**6, lambda _buoy, _time_ms: 7)
    detached = rows.detach()
    return [] if detached is None else detached.table().to_pylist()


def test_points_come_back_with_their_types_and_times(spec: InfluxSpec) -> None:
    client = InfluxClient(spec)
    fields = {
        "ph": 7.0,
        "n": 7,
        "liqlev": True,
        "note": 'a "b", c=d \\ e',
        "nothing": None,
        "odd name,=": 1.5,
    }
    client.write(
        [line(spec.measurement, "100", fields, NOW_MS), line(spec.measurement, "101", {"ph": 6.5}, NOW_MS)]
    )
    found = {(row["buoy"], row["measure"]): (row["type"], row["value"], row["text"]) for row in read(client)}
    assert found == {
        (100, "ph"): ("DOUBLE", 7.0, None),
        (100, "n"): ("BIGINT", 7.0, None),
        (100, "liqlev"): ("BOOLEAN", 1.0, None),
        (100, "note"): ("VARCHAR", None, 'a "b", c=d \\ e'),
        (100, "odd name,="): ("DOUBLE", 1.5, None),
        (101, "ph"): ("DOUBLE", 6.5, None),
    }
    assert {row["timestamp_ms"] for row in read(client)} == {NOW_MS}
    assert {row["buoy"] for row in read(client, frozenset({101}))} == {101}
    assert client.count(*ALL, ("ph",)) == 2
    client.close()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 99), st.integers(NOW_MS, NOW_MS + 10**6)),
        st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 2)),
        min_size=1,
        max_size=50,
    )
)
def test_any_numbers_come_back_as_they_were(spec: InfluxSpec, points: dict[tuple[int, int], float]) -> None:
    client = InfluxClient(spec)
    client.write(
        [line(spec.measurement, str(buoy), {"ph": value}, at) for (buoy, at), value in points.items()]
    )
    found = {(row["buoy"], row["timestamp_ms"]): row["value"] for row in read(client)}
    assert {key: found[key] for key in points} == points
    client.close()


@pytest.mark.parametrize("text", ["a\nb", "a\rb"])
def test_a_line_break_cannot_smuggle_in_a_second_point(text: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        line("m", "100", {"note": text}, 1)
    with pytest.raises(ValueError, match="no name"):
        line("m", text, {"ph": 1.0}, 1)


def test_a_conflicting_point_is_dropped_whole_and_alone(spec: InfluxSpec) -> None:
    client = InfluxClient(spec)
    client.write([line(spec.measurement, "100", {"ph": 7.5, "ec": 1.5}, NOW_MS)])
    with pytest.raises(PartialWrite, match=r"type conflict.*ph.*type integer.*float"):
        client.write(
            [
                line(spec.measurement, "100", {"ph": 8.5}, NOW_MS + 1),
                line(spec.measurement, "100", {"ph": 9, "ec": 2.5}, NOW_MS + 2),
            ]
        )
    assert {(row["timestamp_ms"], row["measure"]) for row in read(client)} == {
        (NOW_MS, "ph"),
        (NOW_MS, "ec"),
        (NOW_MS + 1, "ph"),
    }
    client.close()


def test_a_database_that_is_not_there_is_named_with_what_to_do(influxdb: InfluxServer) -> None:
    client = InfluxClient(InfluxSpec(influxdb.url, "nowhere"))
    with pytest.raises(InfluxError, match="nowhere") as caught:
        client.types()
    assert "CREATE DATABASE" in caught.value.next_step
    client.close()


# The stage of the twin


def test_the_pipeline_feeds_it_and_names_what_it_refuses(spec: InfluxSpec, tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        pipeline = bench.pipeline
        pipeline.start()
        start_ms = bench.now_ms
        for number in range(40):
            bench.send(100, payload(number, start_ms + number))
        bench.send(101, json.dumps({**values(40), "ph": 7, "timestamp": start_ms}).encode())
        bench.send(102, payload(41))
        await pipeline.hurry()
        assert pipeline.influxdb is not None
        run = bench.collected()
        reasons = {(row["message"], row["reason"], row["outcome"]) for row in run.outcomes("influxdb")}
        assert reasons == {(40, "type-conflict", "failed"), (41, "no-timestamp", "rejected")}
        window = Window(0, (start_ms + 1000) * 10**6, frozenset({100, 101, 102}))
        client = pipeline.influxdb.reader()
        folder = Path(pipeline.config.folder)
        assert collect_influxdb(folder, run.folder, window, client) == []
        assert run.found("influxdb") == {
            (100, start_ms + number, key, float(value))
            for number in range(40)
            for key, value in values(number).items()
        }
        assert {row["message"] for row in run.store("influxdb")} == set(range(40))
        counted = pipeline.influxdb.stage_count()
        assert (counted.entered, counted.left) == (42, 40)
        assert pipeline.stored()["influxdb"] == 40 * len(KEYS)
        # A rule action that failed at once has its error action; a refused write comes too late for that.
        pipeline.errors.write()
        (failed,) = (folder / "s3" / "rule-errors").glob("buoy_influxdb-*.json")
        assert json.loads(failed.read_text())["failures"][0]["failedAction"] == "InfluxDBAction"

    rule = RuleSettings(error_action=ErrorAction(s3="rule-errors/"))
    drive(tmp_path, work, TwinSpec(influxdb=spec, timestream_rule=rule))


# Versions 2 and 3, and trouble: a stub in place of a server


class Stub:
    """Answers with what a test prepared, and keeps what it was asked."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self.asked: list[tuple[str, str | None, bytes]] = []
        pending = list(answers)
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked.append((self.path, self.headers.get("Authorization"), body))
                status, document = pending.pop(0)
                text = b"" if status == 204 else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Stub":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def test_with_a_token_the_write_is_that_of_version_2() -> None:
    with Stub((204, {})) as stub:
        client = InfluxClient(InfluxSpec(stub.url, "bucket", "bench"), Credentials(token="tok"))
        client.write(["m,buoy_id=1 ph=7.5 1"])
        client.close()
    ((path, authorization, body),) = stub.asked
    assert path == "/api/v2/write?bucket=bucket&org=bench&precision=ms"
    assert authorization == "Token tok"
    assert body == b"m,buoy_id=1 ph=7.5 1"


def test_version_2_says_a_partial_write_in_its_own_form() -> None:
    said = "failure writing points to database: partial write: field type conflict: … dropped=1"
    with Stub((422, {"code": "unprocessable entity", "message": said})) as stub:
        client = InfluxClient(InfluxSpec(stub.url, "bucket"), Credentials(token="t"))
        with pytest.raises(PartialWrite, match="type conflict"):
            client.write(["m,buoy_id=1 ph=7 1"])
        client.close()


def test_a_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("buoyfleet.cloud.influxdb.time.sleep", waits.append)
    with Stub((503, {}), (429, {}), (204, {})) as stub:
        client = InfluxClient(InfluxSpec(stub.url, "d"))
        client.write(["m,buoy_id=1 ph=7.5 1"])
        client.close()
    assert waits == [0.5, 1.0]
    assert len(stub.asked) == 3


def test_nobody_there_and_a_wrong_password_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buoyfleet.cloud.influxdb.time.sleep", lambda _: None)
    with pytest.raises(InfluxError, match="does not answer") as nobody:
        InfluxClient(InfluxSpec("http://127.0.0.1:1", "d")).ping()
    assert "/ping" in nobody.value.next_step
    with Stub((401, {"error": "authorization failed"})) as stub:
        client = InfluxClient(InfluxSpec(stub.url, "d", username="bob"), Credentials("secret"))
        with pytest.raises(InfluxError, match="authorization failed") as refused:
            client.write(["m,buoy_id=1 ph=7.5 1"])
        client.close()
    assert "password" in refused.value.next_step
    assert "secret" not in repr(Credentials("secret", "token"))


def test_secrets_reach_the_twin_by_its_environment_and_are_taken_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in influx_secrets.environment("p", "t").items():
        monkeypatch.setenv(name, value)
    assert influx_secrets.take() == ("p", "t")
    assert influx_secrets.take() == ("", "")
    assert influx_secrets.environment("", "") == {}


def test_points_that_cannot_be_written_are_failed_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buoyfleet.cloud.influxdb.time.sleep", lambda _: None)

    async def work(bench: Bench) -> None:
        bench.pipeline.start()
        bench.fleet(1, 2, interval_s=0.001)
        await bench.pipeline.hurry()
        run = bench.collected()
        assert {(row["message"], row["reason"]) for row in run.outcomes("influxdb")} == {
            (0, "write-failed"),
            (1, "write-failed"),
        }
        assert "does not answer" in run.outcomes("influxdb")[0]["detail"]
        assert len(run.store("timestream")) == len(run.store("s3")) == 18

    drive(tmp_path, work, TwinSpec(influxdb=InfluxSpec("http://127.0.0.1:1", "d")))


# The whole of a run


def test_a_run_reads_it_back_for_the_same_verdict(spec: InfluxSpec, tmp_path: Path) -> None:
    fleet = {
        "fleet": "influx",
        "target": {
            "kind": "local",
            "twin": {
                "influxdb": {"url": spec.url, "database": spec.database, "password": "${env:SECRET}"},
                "timestream_rule": {"sql_version": "2016-03-23"},
            },
        },
        "run": {"messages": 60, "rate": "100/s", "start_spread": "100 ms"},
        "boards": [{"kind": "virtual", "ids": "100-104", "sensors": "walk"}],
        "thresholds": ["influxdb.missing == 0"],
    }
    (tmp_path / "fleet.yaml").write_text(json.dumps(fleet))
    out = tmp_path / "runs"
    run = buoy(
        "run", str(tmp_path / "fleet.yaml"), "--out", str(out), environment={"SECRET": "not-to-be-written"}
    )
    assert run.process.returncode == ExitCode.VERDICT_FAILED, run.out + run.err
    result = result_of(out)
    stores = {store["name"]: store for store in result["stores"]}
    assert stores["s3"]["missing"] == 0
    # A field of the wrong type costs Timestream a record, and InfluxDB the whole point.
    assert stores["influxdb"]["missing"] == 9 * stores["timestream"]["missing"] > 0
    (diagnosis,) = [one for one in result["diagnoses"] if one["store"] == "influxdb"]
    assert (diagnosis["kind"], diagnosis["stage"], diagnosis["cause"]) == (
        "missing",
        "influxdb",
        "type-conflict",
    )
    assert "field type conflict" in diagnosis["sentence"]
    assert "2015-10-08" in diagnosis["change"]
    held = [path for path in out.rglob("*") if path.is_file() and b"not-to-be-written" in path.read_bytes()]
    assert held == []
