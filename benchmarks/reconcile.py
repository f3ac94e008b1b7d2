"""Reconciling a run, from a fresh process to the result: wall time, CPU time, peak memory.

    python benchmarks/reconcile.py [--measures 1000000 10000000]

Makes runs of one and ten million measures (ledger as one stream per 1 000 boards, two stores and full
evidence as the twin leaves them), then measures a fresh process that compacts the ledger, reconciles both
stores and writes `losses.parquet`: once with nothing wrong, once with a fifth of S3 lost in the Lambda.

Bars: 1 million measures ≤ 2 s, 10 million ≤ 10 s (stretch 5 s). Both stores are reconciled in that time, so
twice as many rows are.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_BATCH = 50_000
_MS = 1_000_000
_START_MS = 1_790_000_000_000
_MEASURES = 9
_PER_BOARD = 100


def make_run(folder: Path, measures: int, lost_share: float) -> None:
    """Write ledger streams, two stores and evidence of a run of so many measures."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from buoyfleet.model import evidence, ledger, store
    from sensors.catalog import BOOLEAN_KEYS, KEYS

    boards = measures // _MEASURES // _PER_BOARD
    (folder / ledger.STREAM_FOLDER).mkdir(parents=True)
    (folder / evidence.EVIDENCE_FOLDER).mkdir()
    writers = {}
    for name in ("timestream", "s3"):
        (folder / store.STORE_FOLDER / name).mkdir(parents=True)
    for file, schema in (
        (evidence.RECEIVED, evidence.RECEIVED_SCHEMA),
        (evidence.TRACE, evidence.TRACE_SCHEMA),
        (evidence.OUTCOMES, evidence.OUTCOMES_SCHEMA),
        (evidence.REFUSED, evidence.REFUSED_SCHEMA),
    ):
        writers[file] = pq.ParquetWriter(folder / evidence.EVIDENCE_FOLDER / file, schema, compression="zstd")
    types = pa.array(["BOOLEAN" if key in BOOLEAN_KEYS else "DOUBLE" for key in KEYS])
    random = np.random.default_rng(1)
    for pack, first in enumerate(range(0, boards, 1000)):
        buoys = np.arange(100 + first, 100 + min(first + 1000, boards))
        buoy = np.tile(buoys, _PER_BOARD)  # as sent: all boards, then all boards again
        seq = np.repeat(np.arange(_PER_BOARD), len(buoys))
        ts = _START_MS + seq * 100 + buoy % 100
        number = np.arange(len(buoy)) + pack * 1000 * _PER_BOARD
        values = np.round(2.0 * np.arange(10, 10 + _MEASURES) + seq[:, None] + (buoy % 97)[:, None] / 100, 2)
        values[:, [KEYS.index(key) for key in BOOLEAN_KEYS]] = (seq % 2)[:, None]
        texts = [
            "{"
            + ",".join(
                f'"{key}":{("true" if value else "false") if key in BOOLEAN_KEYS else f"{value:.2f}"}'
                for key, value in zip(KEYS, row, strict=True)
            )
            + f',"timestamp":{stamp}}}'
            for row, stamp in zip(values.tolist(), ts.tolist(), strict=True)
        ]
        payload = pa.array([text.encode() for text in texts], pa.binary())
        _write_ledger(folder / ledger.STREAM_FOLDER / f"pack-{pack}.arrows", buoy, seq, ts, payload)
        lost = random.random(len(buoy)) < lost_share
        for name in ("timestream", "s3"):
            kept = ~lost if name == "s3" else np.ones(len(buoy), np.bool_)
            rows = int(kept.sum())
            table = pa.table(
                {
                    "buoy": pa.array(np.repeat(buoy[kept], _MEASURES), pa.int32()),
                    "timestamp_ms": np.repeat(ts[kept], _MEASURES),
                    "measure": pa.array(KEYS).take(pa.array(np.tile(np.arange(_MEASURES), rows))),
                    "type": types.take(pa.array(np.tile(np.arange(_MEASURES), rows))),
                    "value": values[kept].ravel(),
                    "text": pa.nulls(rows * _MEASURES, pa.string()),
                    "visible_ns": np.repeat((ts[kept] + 20) * _MS, _MEASURES),
                    "message": np.repeat(number[kept], _MEASURES),
                },
                schema=store.SCHEMA,
            )
            pq.write_table(
                table, folder / store.STORE_FOLDER / name / f"part-{pack}.parquet", compression="zstd"
            )
        count = len(buoy)
        at_ns = (ts + 2) * _MS
        topics = pa.array([f"aws/0/{board}/data/" for board in buoy.tolist()])
        received = [
            number,
            pa.array(buoy, pa.int32()),
            topics,
            payload,
            at_ns,
            pa.array(np.zeros(count, np.bool_)),
        ]
        writers[evidence.RECEIVED].write_table(pa.table(received, schema=evidence.RECEIVED_SCHEMA))
        for stage in ("broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3"):
            entered = ~lost if stage == "s3" else np.ones(count, np.bool_)
            rows = int(entered.sum())
            columns = [pa.repeat(stage, rows), number[entered], at_ns[entered]]
            writers[evidence.TRACE].write_table(pa.table(columns, schema=evidence.TRACE_SCHEMA))
        gone = int(lost.sum())
        detail = (
            "Task timed out after 60 s: 500 records at 200 ms each (128 MB) and a cold start of 250 ms "
            "need 100.25 s; 4 attempts, now under processing-failed/"
        )
        columns = [
            pa.repeat("lambda", gone), number[lost], pa.nulls(gone, pa.string()), pa.repeat("failed", gone),
            pa.repeat("timeout", gone), pa.repeat(detail, gone), at_ns[lost],
        ]  # fmt: skip
        writers[evidence.OUTCOMES].write_table(pa.table(columns, schema=evidence.OUTCOMES_SCHEMA))
    for writer in writers.values():
        writer.close()


def _write_ledger(path, buoy, seq, ts, payload) -> None:  # type: ignore[no-untyped-def]
    """Planned, sent and acknowledged rows, in batches as small as a busy pack's."""
    import numpy as np
    import pyarrow as pa

    from buoyfleet.model.ledger import SCHEMA

    count = len(buoy)
    nothing = pa.nulls(count, pa.binary())
    zeros = np.zeros(count, np.int64)

    def rows(event, attempt, at_ns, what):  # type: ignore[no-untyped-def]
        columns = [
            pa.array(np.full(count, event, np.uint8)), pa.array(buoy, pa.int32()), pa.array(seq, pa.int32()),
            pa.array(np.full(count, attempt, np.uint16)), ts * _MS, at_ns, zeros, zeros, what,
            pa.nulls(count, pa.string()),
        ]  # fmt: skip
        return pa.table(columns, schema=SCHEMA)

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_table(rows(0, 0, ts * _MS, nothing))
        sent = rows(1, 1, ts * _MS + 50_000, payload).to_batches(max_chunksize=100)
        done = rows(2, 0, ts * _MS + 900_000, nothing).to_batches(max_chunksize=100)
        for one, other in zip(sent, done, strict=True):
            stream.write_batch(one)
            stream.write_batch(other)


def verify_run(folder: Path, boards: int) -> None:
    """What is measured: a fresh process from import to result; prints one JSON line."""
    began = time.monotonic()
    from buoyfleet.model.evidence import StageCount
    from buoyfleet.model.fleet import BoardSpec, Fleet, LinkSpec, RunSpec, TargetSpec
    from buoyfleet.verify.ledger import compact_ledger
    from buoyfleet.verify.verdict import Case, verify

    imported = time.monotonic()
    compacted = compact_ledger(folder)
    ready = time.monotonic()
    specs = tuple(
        BoardSpec(100 + n, "virtual", f"b{n}", (), LinkSpec(), _PER_BOARD, 100.0) for n in range(boards)
    )
    fleet = Fleet("bench", "", TargetSpec("local"), "aws/0", specs, RunSpec(), ())
    names = ("broker", "rules", "timestream", "kinesis", "firehose", "lambda", "s3")
    result = verify(
        Case(
            run_folder=folder,
            fleet=fleet,
            stores=("timestream", "s3"),
            stages=[StageCount(name, "messages", 1, 1) for name in names],
            since_ns=_START_MS * _MS,
            until_ns=(_START_MS + 100_000) * _MS,
            ledger=compacted,
        )
    )
    print(
        json.dumps(
            {
                "import_s": imported - began,
                "compact_s": ready - imported,
                "verify_s": time.monotonic() - ready,
                "expected": sum(store.expected for store in result.stores),
                "missing": sum(store.missing for store in result.stores),
                "sentences": [diagnosis.sentence for diagnosis in result.diagnoses],
            }
        )
    )


def main() -> None:
    """Make runs, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measures", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--verify", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--lost", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_run(options.make, options.measures[0], options.lost)
        return
    if options.verify:
        verify_run(options.verify, options.measures[0] // _MEASURES // _PER_BOARD)
        return
    print("measures x stores   lost      wall     CPU   peak   import  compact  verify")
    for measures in options.measures:
        for lost_share in (0.0, 0.2):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                subprocess.run([*_command(measures), "--make", name, "--lost", str(lost_share)], check=True)
                _measure(folder, measures)


def _command(measures: int) -> list[str]:
    return [sys.executable, __file__, "--measures", str(measures)]


def _measure(folder: Path, measures: int) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    command = [*_command(measures), "--verify", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate()
    wall_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"the measured process failed with {process.returncode}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = json.loads(output)
    print(
        f"{measures:>10,} x 2 {report['missing']:>12,} {wall_s:7.2f} s {cpu_s:6.2f} s "
        f"{after.ru_maxrss / 1024:5.0f} MB {report['import_s']:6.2f} {report['compact_s']:7.2f} "
        f"{report['verify_s']:7.2f}"
    )
    for sentence in report["sentences"]:
        print(f"    {sentence}")


if __name__ == "__main__":
    main()
