"""Results as real runs give them: passed, lost, interrupted, `original` payloads, a thousand boards."""

from buoyfleet.model.exit_codes import MEANINGS, ExitCode
from buoyfleet.model.result import (
    BoardResult,
    Diagnosis,
    Latency,
    Loss,
    Outcome,
    RatePoint,
    Result,
    RunInfo,
    StageResult,
    StoreResult,
    ThresholdResult,
    WitnessResult,
)
from sensors.catalog import KEYS

STARTED_NS = 1_795_478_257_000_000_000
STORES = ("timestream", "s3")
LAMBDA_CAUSE = "the Lambda function timed out after 3 s on a batch of 500 records"


def board(buoy_id: int, messages: int, **changes: object) -> BoardResult:
    """A board whose every measure arrived everywhere."""
    counts = dict.fromkeys(KEYS, messages)
    values: dict[str, object] = {
        "buoy_id": buoy_id,
        "kind": "virtual",
        "state": "passed",
        "planned": messages,
        "sent": messages,
        "acknowledged": messages,
        "dropped": 0,
        "late_sends": 0,
        "redelivered": 0,
        "measures": {store: dict(counts) for store in STORES},
        "measures_expected": dict(counts),
        "ack_p99_ms": 3.0 + buoy_id % 7 / 2,
        "clock_offset_ms": 0.0,
        "clock_uncertainty_ms": 0.01,
    }
    return BoardResult.model_validate({**values, **changes})


def store(name: str, expected: int, **changes: int | str) -> StoreResult:
    """A store that holds everything once."""
    values = dict.fromkeys(("missing", "duplicated", "redelivered", "altered", "late", "unexpected"), 0)
    found = expected - int(changes.get("missing", 0))
    return StoreResult.model_validate(
        {"name": name, "expected": expected, "found": found, "late_after_s": 60.0, **values, **changes}
    )


def stages(messages: int, *, failed: int = 0, rejected: int = 0, waiting: int = 0) -> list[StageResult]:
    """The twin's stages; `failed` records die in the Lambda, `rejected` measures at Timestream."""
    records = messages
    return [
        StageResult(
            name="broker",
            unit="messages",
            entered=messages,
            left=messages,
            metrics={"AWS/IoT PublishIn.Success": float(messages)},
            wall_s=10.2,
        ),
        StageResult(
            name="rules",
            unit="messages",
            entered=messages,
            left=messages * 2,
            metrics={"AWS/IoT RuleMessageThrottled": 0.0, "AWS/IoT TopicMatch": messages * 2.0},
            wall_s=10.2,
        ),
        StageResult(
            name="timestream",
            unit="measures",
            entered=messages * 9,
            left=messages * 9 - rejected,
            rejected={"type-conflict": rejected} if rejected else {},
            metrics={"AWS/Timestream SystemErrors": 0.0},
            wall_s=10.3,
        ),
        StageResult(
            name="kinesis",
            unit="records",
            entered=records,
            left=records,
            metrics={
                "AWS/Kinesis IncomingRecords": float(records),
                "AWS/Kinesis IncomingBytes": records * 187.0,
            },
            wall_s=10.3,
        ),
        StageResult(
            name="firehose",
            unit="records",
            entered=records,
            left=records - waiting,
            waiting=waiting,
            wall_s=0.4,
        ),
        StageResult(
            name="lambda",
            unit="records",
            entered=records - waiting,
            left=records - waiting - failed,
            rejected={"timeout": failed} if failed else {},
            metrics={
                "AWS/Lambda Invocations": 6.0,
                "AWS/Lambda Duration": 812.0,
                "AWS/Lambda Errors": failed / 100,
            },
            simulated_s=61.0,
            wall_s=0.3,
            notes=["Task timed out after 3.00 seconds"] if failed else [],
        ),
        StageResult(
            name="s3",
            unit="records",
            entered=records - waiting - failed,
            left=records - waiting - failed,
            simulated_s=61.0,
            wall_s=0.1,
        ),
    ]


def rate(messages: int, seconds: int, *, until: int | None = None) -> list[RatePoint]:
    """An even plan; sending wavers a little and acknowledgements follow."""
    each = messages // seconds
    points = []
    for second in range(seconds):
        live = until is None or second < until
        waver = (second * 37 % 11) - 5
        points.append(
            RatePoint(
                t_s=float(second),
                planned=each,
                sent=max(0, each + waver) if live else 0,
                acknowledged=max(0, each + waver - (second % 3)) if live else 0,
            )
        )
    return points


def latency(count: int, scale: float = 1.0) -> Latency:
    """A long-tailed distribution."""
    return Latency(
        count=count,
        mean_ms=1.9 * scale,
        p50_ms=1.4 * scale,
        p90_ms=3.1 * scale,
        p99_ms=8.6 * scale,
        p999_ms=31.0 * scale,
        max_ms=74.2 * scale,
    )


def outcome(code: ExitCode, sentence: str) -> Outcome:
    """As the verdict names it."""
    return Outcome(
        exit_code=int(code), name=code.name.lower().replace("_", "-"), sentence=sentence or MEANINGS[code]
    )


def thresholds(*, missing_s3: int = 0, p99: float = 8.6) -> list[ThresholdResult]:
    """What boards.yaml asks for."""
    return [
        ThresholdResult(
            text="timestream.missing == 0",
            metric="timestream.missing",
            value=0.0,
            unit="measures",
            passed=True,
        ),
        ThresholdResult(
            text="s3.missing == 0",
            metric="s3.missing",
            value=float(missing_s3),
            unit="measures",
            passed=missing_s3 == 0,
        ),
        ThresholdResult(text="ack.p99 < 500 ms", metric="ack.p99", value=p99, unit="ms", passed=p99 < 500),
        ThresholdResult(
            text="boards.failed == 0", metric="boards.failed", value=0.0, unit="boards", passed=True
        ),
    ]


def passed(boards: int = 30, messages: int = 100, first: int = 100) -> Result:
    """Every measure arrived."""
    total = boards * messages
    return Result(
        run=RunInfo(
            run_id="20261123T231737Z-original",
            fleet="original",
            fleet_file="boards.yaml",
            target="local",
            payload="stamped",
            qos=1,
            seed=1,
            paced=True,
            started_ns=STARTED_NS,
            ended_ns=STARTED_NS + 12_345_000_000,
            tool_version="0.1.0",
            python_version="3.11.7",
            machine="Linux x86_64, 2 cores",
            command="buoy run",
        ),
        outcome=outcome(ExitCode.OK, f"All {total * 9:,} measures arrived in timestream and s3."),
        boards=[board(first + n, messages) for n in range(boards)],
        stores=[store(name, total * 9) for name in STORES],
        stages=stages(total),
        losses=[],
        losses_total=0,
        diagnoses=[],
        thresholds=thresholds(),
        ack_latency=latency(total),
        rate=rate(total, 10),
        rate_interval_s=1.0,
        witness=WitnessResult(expected=total, seen=total, copies=0, connections=2, shortfall=0),
        phases_s={"start": 0.4, "send": 10.1, "drain": 0.3, "verify": 0.4, "report": 0.1},
    )


def lost(boards: int = 30, messages: int = 100) -> Result:
    """The original finding: S3 is short since the Lambda timed out; and a little of everything."""
    result = passed(boards, messages)
    total = boards * messages
    gone = [(n, seq) for n in range(boards) for seq in range(messages) if (n * messages + seq) % 10 == 3]
    result.outcome = outcome(
        ExitCode.VERDICT_FAILED,
        f"{len(gone) * 9:,} of {total * 9:,} measures are missing in s3: {LAMBDA_CAUSE}.",
    )
    result.losses = [
        Loss(
            store="s3",
            kind="missing",
            buoy_id=100 + n,
            seq=seq,
            timestamp_ms=STARTED_NS // 1_000_000 + seq * 100,
            measures=list(KEYS),
            stage="lambda",
            cause=LAMBDA_CAUSE,
        )
        for n, seq in gone
    ]
    for n, _ in gone:
        for key in KEYS:
            result.boards[n].measures["s3"][key] -= 1
    stamp = STARTED_NS // 1_000_000
    result.losses += [
        Loss(
            store="timestream", kind="altered", buoy_id=104, seq=7, timestamp_ms=stamp + 700,
            measures=["temp"],
            expected=["14.52"], found=["41.52"], stage="timestream",
            cause="the stored value differs from the one sent",
        ),
        Loss(
            store="timestream", kind="duplicated", buoy_id=105, seq=9, timestamp_ms=stamp + 900,
            measures=["ph", "do"], copies=2, stage="rules", cause="the rule fired twice for one message",
        ),
        Loss(
            store="timestream", kind="late", buoy_id=106, seq=1, timestamp_ms=stamp + 100,
            measures=list(KEYS), delay_s=73.2, stage="timestream", cause="delayed on entering timestream",
        ),
        Loss(
            store="s3", kind="unexpected", buoy_id=999, seq=None, timestamp_ms=stamp, measures=["ph"],
            found=["7.0"], cause="no board of this run sent it",
        ),
    ]  # fmt: skip
    result.losses_total = len(result.losses)
    result.stores = [
        store("timestream", total * 9, altered=1, duplicated=4, late=9, redelivered=18),
        store("s3", total * 9, missing=len(gone) * 9, unexpected=1),
    ]
    result.stages = stages(total, failed=len(gone), rejected=0)
    result.diagnoses = [
        Diagnosis(
            store="s3", kind="missing", stage="lambda", cause="timeout", measures=len(gone) * 9,
            messages=len(gone),
            sentence=f"{len(gone) * 9:,} measures of {len(gone):,} messages never reached s3: "
            f"{LAMBDA_CAUSE}, "
            "and Firehose gave up after 3 attempts.",
            change="Raise the Lambda's timeout to 60 s, or lower its buffer to 1 MB "
            "so that a batch holds fewer records.",
        ),
        Diagnosis(
            store="timestream", kind="altered", stage="timestream", cause="altered", measures=1, messages=1,
            sentence="1 measure of buoy 104 is stored with another value than was sent (14.52 became 41.52).",
            change="Look for a writer other than this run in table EMA_C22_main_data_v00.",
        ),
    ]  # fmt: skip
    result.thresholds = thresholds(missing_s3=len(gone) * 9)
    result.boards[12].state = "failed"
    result.boards[12].errors = ["connection reset by 127.0.0.1:1883", "refused: not authorised (CONNACK 5)"]
    result.boards[12].reconnects = 4
    result.boards[12].redelivered = 2
    result.boards[20].state = "unproven"
    result.boards[20].kind = "esp32"
    result.boards[20].errors = ["console lost 3 lines: the ledger is incomplete"]
    result.boards[20].clock_offset_ms, result.boards[20].clock_drift_ppm = -12.4, 18.0
    result.warnings = ["the disk has 2.1 GB left"]
    return result


def interrupted() -> Result:
    """Ctrl-C after four of ten seconds: what was sent arrived."""
    result = passed()
    result.run.interrupted = True
    result.outcome = outcome(
        ExitCode.INTERRUPTED, "Interrupted after 1,200 of 3,000 messages; all that was sent arrived."
    )
    result.boards = [board(100 + n, 40, planned=100) for n in range(30)]
    result.stores = [store(name, 10_800) for name in STORES]
    result.stages = stages(1_200, waiting=0)
    result.rate = rate(3_000, 10, until=4)
    result.ack_latency = latency(1_200)
    result.thresholds = [
        *thresholds(),
        ThresholdResult(
            text="send.rate > 100 /s", metric="send.rate", value=None, unit="messages/s", passed=False
        ),
    ]
    result.witness = None
    return result


def original() -> Result:
    """`original` payloads, unpaced: collisions in one millisecond, decidable as a multiset only."""
    result = passed()
    result.run.payload = "original"
    result.run.paced = False
    decidable = "without a timestamp, only how often each value of a board arrived can be compared"
    result.stores = [
        store("timestream", 27_000, missing=8_123, decidable=decidable),
        store("s3", 27_000, decidable=decidable),
    ]
    result.outcome = outcome(ExitCode.VERDICT_FAILED, "8,123 of 27,000 measures are missing in timestream.")
    result.losses = [
        Loss(
            store="timestream",
            kind="missing",
            buoy_id=100 + n % 30,
            seq=None,
            timestamp_ms=None,
            measures=[KEYS[n % 9]],
            stage="timestream",
            cause="another record of the same buoy and measure had the same millisecond",
        )
        for n in range(1000)
    ]
    result.losses_total = 8_123
    result.thresholds[0] = ThresholdResult(
        text="timestream.missing == 0",
        metric="timestream.missing",
        value=8_123.0,
        unit="measures",
        passed=False,
    )
    result.rate = [RatePoint(t_s=n / 10, planned=0, sent=300, acknowledged=290 + n) for n in range(10)]
    result.rate_interval_s = 0.1
    return result


def thousand() -> Result:
    """A thousand boards, a few of them in trouble."""
    result = passed(boards=1000, messages=20, first=1000)
    for n in range(0, 1000, 97):
        result.boards[n].state = "failed"
        result.boards[n].errors = ["no CONNACK within 10 s"]
        result.boards[n].measures["s3"]["wf"] = n % 20
    failed = sum(one.state == "failed" for one in result.boards)
    result.outcome = outcome(ExitCode.BOARDS_FAILED, f"{failed} of 1,000 boards failed.")
    result.thresholds[3] = ThresholdResult(
        text="boards.failed == 0", metric="boards.failed", value=float(failed), unit="boards", passed=False
    )
    return result


def hostile() -> Result:
    """Names that try to leave their place in HTML, XML and on a terminal."""
    result = lost(messages=10)
    evil = "<script>alert('x')</script>&\"'\x1b[31m\x00]]>--><b>"
    result.run.fleet = evil
    result.run.command = evil
    result.outcome.sentence = evil
    result.stores[0].name = evil
    result.stages[2].name = evil
    result.stages[3].notes = [evil]
    result.stages[3].rejected = {evil: 3}
    result.losses[0].cause = evil
    result.losses[0].measures = [evil]
    result.boards[0].errors = [evil]
    result.boards[0].kind = evil
    result.boards[0].measures_expected[evil] = 3
    result.boards[0].measures[evil] = {evil: 1}
    result.thresholds[0].text = evil
    result.diagnoses[0].sentence = evil
    result.warnings = [evil]
    result.phases_s = {evil: 1.0}
    return result
