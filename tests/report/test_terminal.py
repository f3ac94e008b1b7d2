"""The verdict on a terminal says what happened, what is missing and what to change."""

import io
import re
from pathlib import Path

import pytest
import run_results

from buoyfleet.report.page import Columns
from buoyfleet.report.terminal import one_line, print_verdict, verdict_blocks

FOLDER = Path("runs/20261123T231737Z-original")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def said(result, **options) -> str:
    stream = io.StringIO()
    print_verdict(result, FOLDER, stream=stream, **options)
    return stream.getvalue()


def cells(text: str, first: str) -> list[str]:
    """The cells of the line that begins with a word."""
    return next(
        re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.split()[:1] == [first]
    )


def test_a_passed_run_says_so_first():
    text = said(run_results.passed())
    assert text.startswith("✓ passed: All 27,000 measures arrived in timestream and s3.\n")
    assert "Boards in trouble" not in text


def test_every_store_has_its_counts_under_their_names():
    text = said(run_results.lost())
    names = cells(text, "store")
    assert dict(zip(names, cells(text, "s3"), strict=True)) == {
        "store": "s3",
        "expected": "27,000",
        "found": "24,300",
        "missing": "2,700",
        "duplicated": "0",
        "redelivered": "0",
        "altered": "0",
        "late": "0",
        "unexpected": "1",
    }
    assert dict(zip(names, cells(text, "timestream"), strict=True))["redelivered"] == "18"


def test_latency_to_a_store_comes_with_what_it_means_said_once():
    result = run_results.passed()
    for store in result.stores:
        store.latency, store.latency_words = run_results.latency(30), "by the clock of the stores"
    text = said(result)
    assert "visible in timestream p50 " in text
    assert "visible in s3 p50 " in text
    assert text.count("visible means: by the clock of the stores") == 1


def test_only_what_is_wrong_is_red():
    tables = [block for block in verdict_blocks(run_results.lost(), FOLDER) if isinstance(block, Columns)]
    s3 = tables[0].rows[1]
    assert [text for text, tone in s3 if tone == "bad"] == ["2,700", "1"]


def test_every_stage_has_in_out_and_rejected_with_the_reason():
    assert cells(said(run_results.lost()), "lambda") == [
        "lambda",
        "records",
        "3,000",
        "2,700",
        "300",
        "timeout 300",
    ]


def test_a_stage_that_still_holds_records_shows_them_waiting():
    result = run_results.passed()
    result.stages = run_results.stages(3000, waiting=120)
    text = said(result)
    assert dict(zip(cells(text, "stage"), cells(text, "firehose"), strict=True))["waiting"] == "120"


def test_thresholds_carry_a_mark_and_the_measured_value():
    text = said(run_results.lost())
    assert "✗  s3.missing == 0          2,700 measures" in text
    assert "✓  ack.p99 < 500 ms         8.6 ms" in text


def test_a_threshold_with_nothing_to_measure_is_no_pass():
    assert "✗  send.rate > 100 /s       not measured" in said(run_results.interrupted())


def test_boards_in_trouble_are_listed_with_the_reason_failed_ones_first():
    text = said(run_results.lost())
    assert "Boards in trouble: 2 of 30" in text
    assert cells(text, "112")[2:] == [
        "failed",
        "100 of 100",
        "connection reset by 127.0.0.1:1883 (and 1 more)",
    ]
    assert text.index("112") < text.index("120")


def test_a_long_list_of_boards_is_cut_and_says_where_the_rest_is():
    text = said(run_results.thousand())
    assert "Boards in trouble: 11 of 1,000" in text
    assert "and 1 more, in report.html" in text
    assert text.count("no CONNACK within 10 s") == 10


def test_a_diagnosis_is_followed_by_what_to_change():
    lines = said(run_results.lost()).splitlines()
    index = next(n for n, line in enumerate(lines) if "never reached s3" in line)
    assert lines[index + 1].strip().startswith("→ Raise the Lambda's timeout to 60 s")


def test_what_original_payloads_cannot_decide_is_said():
    assert "decidable: without a timestamp" in said(run_results.original())


def test_an_interrupted_run_is_named_so():
    assert said(run_results.interrupted()).startswith(
        "✗ interrupted: Interrupted after 1,200 of 3,000 messages"
    )


def test_the_runs_folder_stands_at_the_end():
    assert said(run_results.passed()).endswith(
        f"run's folder  {FOLDER}\nreport        {FOLDER}/report.html\n"
    )


@pytest.mark.parametrize("make", [run_results.passed, run_results.lost, run_results.interrupted])
def test_quiet_is_one_line(make):
    text = said(make(), quiet=True)
    assert text.count("\n") == 1
    assert text.endswith(f"; {FOLDER}\n")


def test_the_quiet_line_names_what_is_short():
    line = one_line(run_results.lost(), FOLDER)
    assert line.startswith(
        "failed: 2,700 measures of 300 messages never reached s3: the Lambda function timed"
    )
    assert "; 27,000 of 27,000 measures in timestream, 24,300 of 27,000 measures in s3; 28 of 30" in line
    assert "missed: s3.missing == 0" in line


def test_colours_are_for_terminals_only(monkeypatch):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" not in said(run_results.lost())
    terminal = Terminal()
    print_verdict(run_results.lost(), FOLDER, stream=terminal)
    assert "\x1b[" in terminal.getvalue()


def test_colour_adds_nothing_but_colour(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    print_verdict(run_results.lost(), FOLDER, stream=terminal)
    coloured = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert coloured.split() == said(run_results.lost()).split()


def test_a_wish_for_no_colour_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    print_verdict(run_results.lost(), FOLDER, stream=terminal)
    assert "\x1b[" not in terminal.getvalue()


def test_names_cannot_steer_the_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    print_verdict(run_results.hostile(), FOLDER, stream=terminal)
    assert "\x1b[31m\x00" not in terminal.getvalue()
    assert not re.search(r"[\x00\x1b]", said(run_results.hostile()))


def test_a_stream_without_unicode_still_gets_the_verdict():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_verdict(run_results.lost(), FOLDER, stream=stream)
    text = raw.getvalue().decode("ascii")
    assert text.startswith("FAIL failed:")
    assert "?" not in text


def test_limits_that_are_not_awss_are_said_with_what_ran():
    result = run_results.passed()
    assert "not as in AWS" not in said(result)
    result.run.limits = ["publishes in per second and connection: lifted (IoT Core: 100)"]
    assert "1 limit not as in AWS" in said(result)
