"""The live line of a run, and how the run's twin is found."""

import io
import sys
from dataclasses import replace

import pytest

from buoyfleet.cli.progress import Progress, progress_line
from buoyfleet.runs.engine import Snapshot

SENDING = Snapshot(
    phase="send",
    elapsed_s=12.0,
    planned=1_200_000,
    boards=20_000,
    sent=540_000,
    acknowledged=539_000,
    dropped=12,
    connected=18_000,
    trouble=2_000,
    stored={"timestream": 4_860_000, "s3": 0},
    left_s=3725.0,
)


def test_at_80_columns_the_line_says_what_matters_in_whole_words() -> None:
    line = progress_line(SENDING, 20_000.0, 80)
    assert line.startswith("sending  45 %  2,000 boards in trouble  20,000/s  1:02:05 left")
    assert len(line) <= 80
    assert line.split("  ") == progress_line(SENDING, 20_000.0).split("  ")[: len(line.split("  "))]


@pytest.mark.parametrize("phase", ["start", "connect", "send", "drain", "collect"])
@pytest.mark.parametrize("width", [40, 60, 80, 132])
def test_no_width_cuts_a_word(phase: str, width: int) -> None:
    snapshot = replace(SENDING, phase=phase, doing="Firehose holds 1,200 records back")
    rate = 20_000.0 if phase == "send" else None
    parts = progress_line(snapshot, rate).split("  ")
    shown = progress_line(snapshot, rate, width)
    assert len(shown) <= width
    assert set(shown.split("  ")) <= set(parts)
    assert shown.split("  ")[0] == parts[0]


def test_a_share_of_100_percent_is_all_of_it() -> None:
    assert "  99 %" in progress_line(replace(SENDING, sent=1_199_987), None)
    assert "  100 %" in progress_line(replace(SENDING, sent=1_199_988), None)


def test_where_the_link_sets_the_pace_the_rate_says_what_is_left() -> None:
    assert "1:00 left" in progress_line(replace(SENDING, left_s=None, sent=599_988), 10_000.0)
    assert "left" not in progress_line(replace(SENDING, left_s=None), None)


def test_the_address_of_the_twin_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    with Progress(quiet=False) as progress:
        progress.show(replace(SENDING, phase="start"))
        for _ in range(3):
            progress.show(replace(SENDING, target="twin      look: buoy twin status 127.0.0.1:4711"))
    assert out.getvalue().count("buoy twin status 127.0.0.1:4711") == 1
