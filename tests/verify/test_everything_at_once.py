"""Runs in which every board suffers something else: each is found, and nothing besides."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import MS, START_NS, S, SyntheticRun, all_of, found

from buoyfleet.verify.boards import BoardFacts
from buoyfleet.verify.verdict import Verification
from sensors.catalog import KEYS

LATE_NS = 900 * S


def seen_after(run: SyntheticRun, buoy: int, seq: int, ns: int, *keys: str) -> None:
    for row in run.chosen("s3", buoy, seq, *keys):
        row["visible_ns"] = run.sent[buoy, seq].sent_ns + ns


def stranger(run: SyntheticRun, name: str, buoy: int, ts: int | None, visible_ns: int, measure: str) -> None:
    row = {"timestamp_ms": ts, "visible_ns": visible_ns, "measure": measure, "message": None}
    run.rows[name].append({**run.row(name, run.sent[buoy, 0], "ph"), **row})


def send(run: SyntheticRun, buoy: int, seq: int, raw: bytes, *rows: tuple[str, str, Any, str | None]) -> None:
    """A payload of other bytes, and what the stores make of it."""
    message = run.sent[buoy, seq]
    message.raw = raw
    for row in run.received:
        if row["message"] == message.number:
            row["payload"] = raw
    for name in run.stores:
        like = run.row(name, message, "ph")
        run.remove(name, buoy, seq)
        run.rows[name] += [
            {**like, "measure": measure, "type": kind, "value": value, "text": text}
            for measure, kind, value, text in rows
        ]


def not_sent(run: SyntheticRun, buoy: int, seq: int, reason: str | None) -> None:
    run.lose(buoy, seq, "broker")
    run.sent[buoy, seq].sent, run.sent[buoy, seq].dropped = False, reason


def spoiled() -> SyntheticRun:
    run = SyntheticRun(
        boards=(*range(100, 147), 199),
        unlisted=(199,),
        facts={
            135: BoardFacts(planned=6),
            136: BoardFacts(failed="its process was killed"),
            137: BoardFacts(incomplete="2 console lines lost"),
            138: BoardFacts(planned=9, incomplete="2 console lines lost"),
            143: BoardFacts(planned=4),
        },
        thresholds=("send.late == 2", "send.dropped == 1", "boards.failed == 11", "boards.unproven == 3"),
    )
    run.remove("s3", 101, 0)
    run.remove("s3", 102, 1, "ph")
    run.alter("timestream", 103, 2, "ph", 1.5)
    run.alter("timestream", 104, 2, "ph", "x")
    run.alter("timestream", 105, 2, "liqlev", 0.0)  # a number where a boolean was sent
    run.duplicate("s3", 106, 0, copies=2)
    run.duplicate("s3", 107, 3, "ph")
    run.redeliver(108, 0)
    run.redeliver(109, 0)
    run.duplicate("s3", 109, 0, "ph")  # two attempts and three copies
    run.delay("s3", 110, 2, 1000.0)
    run.delay("s3", 111, 2, 950.0, "ph")
    seen_after(run, 112, 0, LATE_NS)
    seen_after(run, 112, 1, LATE_NS + 1)
    run.remove("s3", 112, 0, "temp")  # something is wrong with it, and yet it is not late
    run.sent[113, 0].uncertainty_ns = run.sent[113, 1].uncertainty_ns = 5 * MS
    seen_after(run, 113, 0, LATE_NS + 5 * MS)
    seen_after(run, 113, 1, LATE_NS + 5 * MS + 1)
    run.remove("s3", 113, 0, "temp")
    seen_after(run, 114, 1, -10 * S)  # clocks differ
    stranger(run, "s3", 115, run.sent[115, 1].ts, START_NS + S, "zz")
    stranger(run, "s3", 116, START_NS // MS + 55, START_NS + S, "ph")
    stranger(run, "s3", 116, START_NS // MS + 55, START_NS + S, "ph")
    stranger(run, "s3", 117, START_NS // MS - 10_000, START_NS + S, "ph")  # of an earlier run
    stranger(run, "s3", 118, None, START_NS - 2 * S, "ph")
    run.sent[119, 2].ts = run.sent[119, 2].values["timestamp"] = run.sent[119, 1].ts
    for name in run.stores:
        run.remove(name, 119, 2)
    send(run, 120, 1, b"[1]")
    send(run, 121, 1, b"\xff")
    ts = run.sent[122, 1].ts
    text = b'{"ph": "x", "zz": 1, "liqlev": 3, "timestamp": %d}' % ts
    rows = (("ph", "VARCHAR", None, "x"), ("zz", "BIGINT", 1.0, None), ("liqlev", "DOUBLE", 3.0, None))
    send(run, 122, 1, text, *rows)
    send(run, 123, 1, text.replace(b"%d" % ts, b"%d" % run.sent[123, 1].ts), *rows[:2])
    send(run, 124, 1, b'{"timestamp": %d}' % run.sent[124, 1].ts)
    not_sent(run, 125, 1, "outbox full")
    not_sent(run, 126, 1, None)
    run.lose(127, 1, "broker")
    run.sent[127, 1].acknowledged = False
    run.sent[128, 1].acknowledged = False
    run.lose(129, 1, "broker")
    run.lose(129, 2, "broker")
    run.lose(130, 1, "kinesis")
    run.reject(131, 1, "lambda", "function-error", "KeyError: x", "failed")
    run.reject(132, 1, "timestream", "type-conflict", "ph is VARCHAR")
    for seq, late_ms, unsure_ms in ((0, 99, 0), (1, 99, 0), (2, 149, 50)):
        run.sent[133, seq].planned_ns = run.sent[133, seq].sent_ns - (late_ms + 1) * MS
        run.sent[133, seq].uncertainty_ns = unsure_ms * MS
    for seq in (0, 1):
        run.sent[134, seq].planned_ns = run.sent[134, seq].sent_ns - 100 * MS - 1
    stranger(run, "s3", 137, START_NS // MS + 55, START_NS + S, "ph")
    run.sent[139, 3].attempts = 3
    run.sent[139, 3].planned_ns = run.sent[139, 3].sent_ns - 99 * MS  # the first of them was not late
    run.redeliver(140, 0)
    for row in run.rows["s3"]:
        if row["buoy"] == 140 and row["message"] >= 1000:
            row["visible_ns"] += 1000 * S  # the first copy was in time
    for buoy in (141, 142):
        send(run, buoy, 1, b'{"zz": 1, "timestamp": %d}' % run.sent[buoy, 1].ts, ("zz", "BIGINT", 1.0, None))
    run.lose(141, 1, "broker")
    run.remove("s3", 142, 1)
    stranger(run, "s3", 143, START_NS // MS + 55, START_NS + S, "ph")  # of a board that sent nothing
    for seq in range(run.count):
        run.lose(143, seq, "broker")
        del run.sent[143, seq]
        run.sent[144, seq].offset_ns = -300 * MS  # its clock is ahead
    for buoy, zz in ((145, 1.0), (146, 0.0)):
        # Of a key that comes twice the last counts.
        text = b'{"liqlev": true, "zz": false, "zz": true, "timestamp": %d}' % run.sent[buoy, 1].ts
        send(run, buoy, 1, text, ("liqlev", "BOOLEAN", 1.0, None), ("zz", "BOOLEAN", zz, None))
    return run


def states(verification: Verification) -> dict[str, list[int]]:
    by_state: dict[str, list[int]] = {}
    for board in verification.boards:
        by_state.setdefault(board.state, []).append(board.buoy_id)
    return by_state


def whys(verification: Verification) -> set[tuple[str, str, str, str, int, int]]:
    return {(d.store, d.kind, d.stage, d.cause, d.measures, d.messages) for d in verification.diagnoses}


def figures(verification: Verification) -> dict[str, dict[str, int]]:
    names = ("expected", "found", "missing", "altered", "duplicated", "redelivered", "late", "unexpected")
    return {
        store.name: {name: getattr(store, name) for name in names if getattr(store, name)}
        for store in verification.stores
    }


def whole(name: str, kind: str, *messages: tuple[int, int]) -> set[tuple[str, str, int, int, str]]:
    return {one for buoy, seq in messages for one in all_of(name, kind, buoy, seq)}


def test_every_fault_of_a_run_is_found_and_none_besides(tmp_path: Path) -> None:
    verification = spoiled().verify(tmp_path)
    nowhere = ((119, 2), (127, 1), (129, 1), (129, 2))
    assert found(verification) == {
        *whole("s3", "missing", *nowhere, (101, 0), (130, 1), (131, 1)),
        *whole("timestream", "missing", *nowhere, (132, 1)),
        *whole("s3", "duplicated", (106, 0)),
        *whole("s3", "late", (110, 2), (112, 1), (113, 1)),
        ("s3", "missing", 102, 1, "ph"),
        ("s3", "missing", 112, 0, "temp"),
        ("s3", "missing", 113, 0, "temp"),
        ("s3", "missing", 141, 1, "zz"),
        ("timestream", "missing", 141, 1, "zz"),
        ("s3", "missing", 142, 1, "zz"),
        ("s3", "missing", 123, 1, "liqlev"),
        ("timestream", "missing", 123, 1, "liqlev"),
        ("timestream", "altered", 103, 2, "ph"),
        ("timestream", "altered", 104, 2, "ph"),
        ("timestream", "altered", 105, 2, "liqlev"),
        ("s3", "duplicated", 107, 3, "ph"),
        ("s3", "duplicated", 109, 0, "ph"),
        ("s3", "late", 111, 2, "ph"),
        ("s3", "unexpected", 115, 1, "zz"),
        ("s3", "unexpected", 116, -1, "ph"),
        ("s3", "unexpected", 137, -1, "ph"),
        ("s3", "unexpected", 143, -1, "ph"),
        ("s3", "altered", 146, 1, "zz"),
        ("timestream", "altered", 146, 1, "zz"),
    }
    # 43 boards with 4 messages: 2 were not sent, 2 cannot be read, and 5 have 3, 3, 1, 1 and no measures.
    # Of the 5 other boards one sent nothing, and 2 messages have 2 measures.
    expected = (43 * 4 - 9) * 9 + 8 + (4 * 4 - 2) * 9 + 4
    assert figures(verification) == {
        "timestream": {
            "expected": expected,
            "found": expected - 47,
            "missing": 47,
            "altered": 4,
            "redelivered": 27,
        },
        "s3": {
            "expected": expected,
            "found": expected - 69,
            "missing": 69,
            "altered": 1,
            "duplicated": 20,
            "redelivered": 27,
            "late": 28,
            "unexpected": 5,
        },
    }
    assert states(verification) == {
        "affected": [101, 102, 103, 104, 105, 106, 107, 109, 112, 113, 123, 130, 131, 132, 142, 146],
        "failed": [115, 116, 119, 125, 126, 127, 128, 129, 135, 136, 141, 143],
        "unproven": [120, 121, 137, 138],
        "passed": [100, 108, 110, 111, 114, 117, 118, 122, 124, 133, 134, 139, 140, 144, 145, 199],
    }
    errors = {board.buoy_id: board.errors for board in verification.boards if board.errors}
    both = ["9 measures missing in s3", "9 measures missing in timestream"]
    assert errors == {
        101: both[:1],
        **{buoy: ["1 measure missing in s3"] for buoy in (102, 112, 113, 142)},
        **{buoy: ["1 measure altered in timestream"] for buoy in (103, 104, 105)},
        106: ["18 measures duplicated in s3"],
        107: ["1 measure duplicated in s3"],
        109: ["1 measure duplicated in s3"],
        115: ["1 measure unexpected in s3"],
        116: ["2 measures unexpected in s3"],
        119: both,
        120: ["1 payload in its ledger cannot be read"],
        121: ["1 payload in its ledger cannot be read"],
        123: ["1 measure missing in s3", "1 measure missing in timestream"],
        125: ["1 message dropped"],
        126: ["1 planned message neither sent nor dropped"],
        127: ["1 message not acknowledged", *both],
        128: ["1 message not acknowledged"],
        129: ["18 measures missing in s3", "18 measures missing in timestream"],
        130: both[:1],
        131: both[:1],
        132: both[1:],
        135: ["2 planned messages neither sent nor dropped"],
        136: ["its process was killed"],
        137: ["2 console lines lost"],
        138: ["2 console lines lost"],
        141: ["1 measure missing in s3", "1 measure missing in timestream"],
        143: ["4 planned messages neither sent nor dropped", "1 measure unexpected in s3"],
        146: ["1 measure altered in s3", "1 measure altered in timestream"],
    }
    assert whys(verification) == {
        ("", "not-sent", "board", "unaccounted", 0, 1),
        ("", "not-sent", "board", "dropped", 0, 1),
        ("", "late-send", "board", "computer-busy", 0, 2),
        ("s3", "missing", "lambda", "function-error", 9, 1),
        ("s3", "missing", "kinesis", "lost-between", 9, 1),
        ("s3", "missing", "s3", "lost-inside", 10, 2),
        ("s3", "missing", "kinesis–s3", "measure-lost", 3, 3),
        ("s3", "duplicated", "s3", "copied-inside", 20, 3),
        ("s3", "late", "s3", "delayed", 28, 4),
        ("s3", "unexpected", "", "unexplained", 3, 2),
        ("s3", "unexpected", "", "cut-short", 1, 1),
        ("s3", "unexpected", "", "extra-measure", 1, 1),
        ("timestream", "missing", "timestream", "type-conflict", 9, 1),
        ("timestream", "altered", "timestream", "retyped", 2, 2),
        ("timestream", "altered", "timestream", "altered", 1, 1),
        ("timestream", "altered", "rules", "altered", 1, 1),
        ("s3", "altered", "rules", "altered", 1, 1),
        *(
            (store, "missing", stage, cause, measures, messages)
            for store in ("timestream", "s3")
            for stage, cause, measures, messages in (
                ("broker", "not-received", 19, 3),
                ("broker", "unacknowledged", 9, 1),
                ("board", "same-identity", 9, 1),
                ("rules", "measure-lost", 1, 1),
            )
        ),
    }
    kinds = [one.kind for one in verification.diagnoses]
    # First what was lost or changed, then the two messages that were not sent, and what was only late.
    assert list(dict.fromkeys(kinds)) == [
        "missing",
        "altered",
        "duplicated",
        "unexpected",
        "late",
        "not-sent",
        "late-send",
    ]
    largest = [one.measures for one in verification.diagnoses if one.kind == "missing"]
    assert largest == sorted(largest, reverse=True)
    assert [(one.value, one.passed) for one in verification.thresholds] == [
        (2, True),
        (1, True),
        (12, False),
        (4, False),
    ]
    assert [warning.split(":")[0] for warning in verification.warnings] == [
        "board 119",
        "board 120",
        "board 121",
    ]
    assert (verification.data_complete, verification.strange) == (False, 4)
    boards = {board.buoy_id: board for board in verification.boards}
    assert (boards[144].ack_p99_ms, boards[144].clock_offset_ms) == (pytest.approx(6.0), -300.0)
    assert (boards[199].kind, boards[199].planned, boards[143].planned) == ("unknown", 4, 4)
    assert (boards[113].clock_uncertainty_ms, boards[143].sent, boards[143].acknowledged) == (5.0, 0, 0)
    measures = {board.buoy_id: board.measures for board in verification.boards}
    assert (measures[101]["s3"]["ph"], measures[101]["timestream"]["ph"]) == (3, 4)
    assert measures[122]["s3"] == {**dict.fromkeys(KEYS, 3), "ph": 4, "liqlev": 4, "zz": 1}
    assert [board.late_sends for board in verification.boards if board.late_sends] == [2]
    assert [board.redelivered for board in verification.boards if board.redelivered] == [1, 1, 1, 1]
    delays = [loss.delay_s for loss in verification.losses if loss.kind == "late"]
    assert [round(delay, 6) for delay in delays if delay] == [1000.0, 950.0, 900.0, 900.005]


def test_a_store_that_holds_nothing_but_what_strangers_wrote(tmp_path: Path) -> None:
    run = SyntheticRun()
    run.rows["s3"] = []
    stranger(run, "s3", 101, START_NS // MS + 55, START_NS + S, "ph")
    verification = run.verify(tmp_path)
    assert figures(verification)["s3"] == {"expected": 108, "missing": 108, "unexpected": 1}


def test_every_fault_of_a_run_without_identity_is_counted_and_none_besides(tmp_path: Path) -> None:
    run = SyntheticRun(
        boards=tuple(range(100, 120)),
        payload="original",
        facts={114: BoardFacts(incomplete="2 console lines lost")},
    )
    run.remove("s3", 101, 0)
    run.remove("s3", 102, 1, "ph")
    run.alter("s3", 103, 2, "ph", 1.5)
    run.duplicate("s3", 104, 0, copies=2)
    run.redeliver(105, 0)
    run.redeliver(106, 0)
    run.duplicate("s3", 106, 0, "ph")
    run.delay("s3", 107, 2, 1000.0)
    seen_after(run, 108, 1, LATE_NS, "ph")
    seen_after(run, 108, 2, LATE_NS + 1, "ph")
    run.sent[109, 1].uncertainty_ns = run.sent[109, 2].uncertainty_ns = 5 * MS
    seen_after(run, 109, 1, LATE_NS + 5 * MS, "ph")
    seen_after(run, 109, 2, LATE_NS + 5 * MS + 1, "ph")
    for seq in (1, 3):  # with the same value of `liqlev`
        run.lose(110, seq, "broker")
        run.sent[110, seq].acknowledged = False
    run.lose(111, 1, "broker")
    run.reject(112, 1, "lambda", "function-error", "KeyError: x", "failed")
    run.sent[113, 1].acknowledged = False
    stranger(run, "s3", 114, None, START_NS + S, "zz")
    stranger(run, "s3", 115, None, START_NS + S, "zz")
    stranger(run, "s3", 116, None, START_NS - 2 * S, "zz")
    # Twice the same value: one of the two is missing, one copy too many of the other board's.
    for buoy in (117, 118):
        for name in run.stores:
            for row in run.chosen(name, buoy, 2, "ph"):
                row["value"] = run.sent[buoy, 1].values["ph"]
        run.sent[buoy, 2].values["ph"] = run.sent[buoy, 1].values["ph"]
        for row in run.received:
            if row["message"] == run.sent[buoy, 2].number:
                row["payload"] = run.sent[buoy, 2].payload
    run.remove("s3", 117, 2, "ph")
    run.duplicate("s3", 118, 2, "ph")
    verification = run.verify(tmp_path)
    counted = Counter(
        {
            (loss.store, loss.kind, loss.buoy_id, measure): loss.copies
            for loss in verification.losses
            for measure in loss.measures
            if loss.kind != "late"
        }
    )
    nine = {(store, buoy) for store in ("s3", "timestream") for buoy in (110, 111)}
    missing = {
        (store, "missing", buoy, key): 1 for store, buoy in {*nine, ("s3", 101), ("s3", 112)} for key in KEYS
    }
    assert counted == {
        **missing,
        ("s3", "missing", 110, "liqlev"): 2,
        ("timestream", "missing", 110, "liqlev"): 2,
        ("s3", "missing", 102, "ph"): 1,
        ("s3", "missing", 103, "ph"): 1,
        ("s3", "unexpected", 103, "ph"): 1,
        **{("s3", "duplicated", 104, key): 2 for key in KEYS},
        ("s3", "duplicated", 106, "ph"): 1,
        ("s3", "unexpected", 114, "zz"): 1,
        ("s3", "unexpected", 115, "zz"): 1,
        ("s3", "missing", 117, "ph"): 1,
        ("s3", "duplicated", 118, "ph"): 1,
    }
    late = {(loss.buoy_id, *loss.measures) for loss in verification.losses if loss.kind == "late"}
    delays = {round(loss.delay_s, 6) for loss in verification.losses if loss.delay_s is not None}
    assert delays == {1000.0, 900.0, 900.005}
    assert late == {*((107, key) for key in KEYS if key != "liqlev"), (108, "ph"), (109, "ph")}
    assert figures(verification) == {
        "timestream": {"expected": 720, "found": 693, "missing": 27, "redelivered": 18},
        "s3": {
            "expected": 720,
            "found": 672,
            "missing": 48,
            "duplicated": 20,
            "redelivered": 18,
            "late": 10,
            "unexpected": 3,
        },
    }
    # Where a copy or a stranger's value came in nothing can tell: it may have been the board.
    assert states(verification) == {
        "affected": [101, 102, 112, 117],
        "failed": [103, 104, 106, 110, 111, 113, 115, 118],
        "unproven": [114],
        "passed": [100, 105, 107, 108, 109, 116, 119],
    }
    assert whys(verification) == {
        ("s3", "missing", "broker", "not-received", 9, 0),
        ("s3", "missing", "broker", "unacknowledged", 18, 0),
        ("s3", "missing", "lambda", "function-error", 9, 1),
        ("s3", "missing", "s3", "lost-inside", 9, 1),
        ("s3", "missing", "kinesis–s3", "measure-lost", 2, 2),
        ("s3", "missing", "kinesis–s3", "altered", 1, 1),
        ("s3", "duplicated", "", "copied", 20, 0),
        ("s3", "late", "", "delayed", 10, 0),
        ("s3", "unexpected", "", "cut-short", 1, 0),
        ("s3", "unexpected", "", "unexplained", 2, 0),
        ("timestream", "missing", "broker", "not-received", 9, 0),
        ("timestream", "missing", "broker", "unacknowledged", 18, 0),
    }
