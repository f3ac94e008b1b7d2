"""What belongs to a run's window to the last nanosecond: each edge from both sides."""

from pathlib import Path

from synthetic_run import MS, START_NS, S, SyntheticRun

from buoyfleet.verify.verdict import Verification

UNSURE_NS = 10 * MS
COUNTS, NOT = "counts", "does-not"


class Strangers:
    """Rows in a store that no message explains, each with a measure of its own."""

    def __init__(self, run: SyntheticRun) -> None:
        self._run = run
        self._expected: dict[str, bool] = {}

    def add(self, buoy: int, ts: int | None, visible_ns: int, belongs: str) -> None:
        measure = f"edge{len(self._expected)}"
        self._expected[measure] = belongs == COUNTS
        row = {"timestamp_ms": ts, "measure": measure, "visible_ns": visible_ns, "message": None}
        self._run.rows["s3"].append({**self._run.row("s3", self._run.sent[buoy, 0], "ph"), **row})

    def check(self, verification: Verification) -> None:
        found = {
            measure for loss in verification.losses if loss.kind == "unexpected" for measure in loss.measures
        }
        assert found == {measure for measure, counts in self._expected.items() if counts}


def test_stamped_rows_count_as_far_as_the_boards_clock_may_be_wrong(tmp_path: Path) -> None:
    run = SyntheticRun()
    case = run.case
    run.sent[100, 0].uncertainty_ns = UNSURE_NS
    # Its clock was 30 ms ahead of the host's at one time, and 40 ms behind at another.
    run.sent[101, 0].offset_ns, run.sent[101, 1].offset_ns = -30 * MS, 40 * MS
    since_ns, until_ns = run.start_ns - S, run.start_ns + (run.count * 100 + 10_000) * MS
    since, until = since_ns // MS, until_ns // MS
    inside = run.start_ns // MS + 7
    strangers = Strangers(run)
    later_ns = run.start_ns + S
    for ts in (inside, None):
        strangers.add(100, ts, since_ns - UNSURE_NS, COUNTS)
        strangers.add(100, ts, since_ns - UNSURE_NS - 1, NOT)
        strangers.add(102, ts, since_ns, COUNTS)
        strangers.add(102, ts, since_ns - 1, NOT)
    # A timestamp stands for its whole millisecond.
    for buoy, earlier, later in ((100, 10, 10), (101, 40, 30), (102, 0, 0)):
        strangers.add(buoy, since - earlier, later_ns, COUNTS)
        strangers.add(buoy, since - earlier - 1, later_ns, NOT)
        strangers.add(buoy, until + later, later_ns, COUNTS)
        strangers.add(buoy, until + later + 1, later_ns, NOT)
    verification = run.verify(tmp_path)
    assert (case(tmp_path).since_ns, case(tmp_path).until_ns) == (since_ns, until_ns)
    strangers.check(verification)


def test_original_rows_count_by_their_whole_millisecond(tmp_path: Path) -> None:
    run = SyntheticRun(payload="original", start_ns=START_NS + MS // 2)
    run.sent[100, 0].uncertainty_ns = UNSURE_NS
    since_ns, until_ns = run.start_ns - S, run.start_ns + (run.count * 100 + 10_000) * MS
    since, until = since_ns // MS, until_ns // MS  # half a millisecond before the edges
    strangers = Strangers(run)
    later_ns = run.start_ns + S
    strangers.add(100, None, since_ns - UNSURE_NS, COUNTS)
    strangers.add(100, None, since_ns - UNSURE_NS - 1, NOT)
    strangers.add(102, None, since_ns, COUNTS)
    strangers.add(102, None, since_ns - 1, NOT)
    for buoy, unsure in ((100, 10), (102, 0)):
        strangers.add(buoy, since - unsure, later_ns, COUNTS)
        strangers.add(buoy, since - unsure - 1, later_ns, NOT)
        strangers.add(buoy, until + unsure, later_ns, COUNTS)
        strangers.add(buoy, until + unsure + 1, later_ns, NOT)
    strangers.check(run.verify(tmp_path))


def test_a_timestamp_that_ends_as_the_window_begins_is_outside_and_one_at_its_end_is_not(
    tmp_path: Path,
) -> None:
    run = SyntheticRun(payload="original")
    since = (run.start_ns - S) // MS
    strangers = Strangers(run)
    strangers.add(102, since, run.start_ns, COUNTS)
    strangers.add(102, since - 1, run.start_ns, NOT)
    until = run.case(tmp_path).until_ns // MS
    strangers.add(102, until, run.start_ns, COUNTS)
    strangers.add(102, until + 1, run.start_ns, NOT)
    strangers.check(run.verify(tmp_path))
