"""What a fleet would do, in a few lines; and that the figures are those of the plan."""

import pytest
from fleet_files import GOOD, load, text_of

from buoyfleet.inventory.describe import describe_fleet, describe_plan, totals_of
from buoyfleet.inventory.loader import load_fleet
from buoyfleet.inventory.overrides import Overrides
from buoyfleet.runs.pacing import make_plan, planned_duration_s


def test_the_default_fleet_is_described_in_a_few_lines(project_root, monkeypatch):
    monkeypatch.chdir(project_root)
    lines = describe_fleet(load_fleet("boards.yaml"))
    assert lines[:6] == [
        "fleet     harbour (boards.yaml)",
        "boards    28 virtual (100-127); 2 simulated (128,129), sensors counter each",
        "sends     3 000 messages with 27 000 measures; QoS 1, payload stamped, seed 1",
        "pace      100 messages, 10/s each; about 11 s, starts spread over 1 s",
        "target    local: the twin on this computer, topics aws/0/<id>/data/",
        "stores    timestream, s3",
    ]
    assert lines[6].startswith("requires  timestream.missing == 0 · ")
    assert len(lines) == 7


def test_a_mixed_fleet_is_described_by_its_majority(tmp_path):
    text = text_of(
        ("target: local", "target: {kind: broker, host: '::1', tls: {ca: x}}"),
        ("103", "103\n    sensors: {wf: off, temp: hardware}\n    overrides: {101: {interval: 15 min}}"),
    )
    lines = describe_fleet(load(tmp_path, text))
    assert lines[1] == "boards    4 virtual (100-103), sensors 7 counter, 1 off, 1 hardware each, water calm"
    assert lines[3].startswith("pace      100 messages, 10/s each on 3 boards, otherwise on 1; about 25 h")
    assert lines[4] == "target    broker at [::1]:8883 with TLS, topics aws/0/<id>/data/"
    assert lines[5] == "stores    subscriber"


def test_what_was_left_out_is_described(project_root):
    lines = describe_fleet(load_fleet(project_root / "boards.yaml", Overrides(target="broker")))
    assert lines[-1].startswith("note      thresholds left out, because target broker has no such store: ")


@pytest.mark.parametrize(
    "overrides",
    [
        Overrides(),
        Overrides(duration="5 s"),
        Overrides(rate="7/min", duration="3 h"),
        Overrides(flat_out=True),
        Overrides(flat_out=True, duration="5 s"),
        Overrides(boards="101", interval="3 s"),
    ],
)
def test_totals_are_those_of_the_plan(overrides, tmp_path):
    fleet = load(tmp_path, text_of(("103", "103\n    sensors: {wf: off}")), overrides)
    plan = make_plan(fleet, "run")
    totals = totals_of(fleet, plan)
    assert totals.boards == len(fleet.boards)
    assert totals.messages == plan.planned()
    assert totals.measures == (None if totals.messages is None else totals.messages * 8)
    assert totals.duration_s == pytest.approx(planned_duration_s(plan))


def test_without_end_nobody_can_count(tmp_path):
    text = text_of(("messages: 100", "duration: 5 s"), ("rate: 10/s", "rate: flat-out"))
    fleet = load(tmp_path, text)
    assert totals_of(fleet).messages is None
    assert describe_fleet(fleet)[2].startswith(
        "sends     as many messages as the links take until the time is over;"
    )


def test_without_a_plan_the_figures_are_said_to_be_about_right(tmp_path):
    fleet = load(tmp_path, text_of(("messages: 100", "duration: 5 s")))
    assert describe_fleet(fleet)[2].startswith("sends     about 200 messages with 1 800 measures;")
    assert describe_fleet(fleet, make_plan(fleet, ""))[2].startswith(
        "sends     186 messages with 1 674 measures;"
    )


def test_the_plan_is_described_a_line_per_group(tmp_path):
    text = text_of(("103", "103\n    overrides: {101: {interval: 2 s, messages: 5, link: paho}}"))
    fleet = load(tmp_path, text)
    assert describe_plan(fleet, make_plan(fleet, "")) == [
        "100,102,103: virtual, 100 messages, 10/s, sensors counter, link fleet, starting at 0 s to 750 ms",
        "101: virtual, 5 messages, one every 2 s, sensors counter, link paho, starting at 250 ms",
    ]


def test_a_plan_of_many_groups_has_an_end(tmp_path):
    overrides = ", ".join(f"{n}: {{messages: {n + 1}}}" for n in range(50))
    fleet = load(tmp_path, text_of(("100-103", f"0-49\n    overrides: {{{overrides}}}")))
    lines = describe_plan(fleet, make_plan(fleet, ""))
    assert (len(lines), lines[-1]) == (21, "and 30 groups more")


def test_one_board_needs_no_spread(tmp_path):
    [line] = describe_plan(fleet := load(tmp_path, GOOD, Overrides(boards="102")), make_plan(fleet, ""))
    assert line.startswith("102: ")
    assert line.endswith("starting at 0 s")


@pytest.mark.parametrize(
    ("pace", "text"),
    [("1/s", "about 99 s"), ("10/s", "about 9.9 s"), ("4/min", "about 25 min"), ("4/h", "about 25 h")],
)
def test_a_length_is_told_in_a_unit_that_fits(pace, text, tmp_path):
    fleet = load(tmp_path, text_of(("rate: 10/s", f"rate: {pace}\n  start_spread: 0 s")))
    assert text in describe_fleet(fleet)[3]
