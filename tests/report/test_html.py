"""report.html opens offline, shows every loss, and no name in it can become markup."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
import run_results

from buoyfleet.model.result import LatencyPoint, LatencySeries, Loss, RatePoint
from buoyfleet.report.charts import latency_chart, rate_chart
from buoyfleet.report.flow import places
from buoyfleet.report.heatmap import heat_map, level
from buoyfleet.report.html import MAX_BOARD_ROWS, html, marked

ALL = [
    run_results.passed,
    run_results.lost,
    run_results.interrupted,
    run_results.original,
    run_results.thousand,
    run_results.hostile,
]
VOID = {"meta", "br", "input", "hr", "img", "link"}


class Page(HTMLParser):
    """Elements, attributes and text of a page; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def count(self, tag: str, class_: str) -> int:
        return sum(
            name == tag and class_ in (attributes.get("class") or "").split()
            for name, attributes in self.tags
        )


@pytest.mark.parametrize("make", ALL)
def test_every_tag_closes(make):
    Page(html(make()))


@pytest.mark.parametrize("make", ALL)
def test_nothing_is_loaded_from_outside(make):
    page = Page(html(make()))
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not {"src", "href", "srcset", "action", "background"} & set(attributes)
    assert "url(" not in html(make())
    assert "@import" not in html(make())


def test_names_stay_text():
    text = html(run_results.hostile())
    page, tame = Page(text), Page(html(run_results.lost(messages=10)))
    for name in ("script", "b"):
        assert sum(tag == name for tag, _ in page.tags) == sum(tag == name for tag, _ in tame.tags)
    assert "<script>alert('x')</script>" in page.text
    assert not re.search(r"[\x00-\x08\x0e-\x1f]", text)


def test_only_the_pages_own_script_may_run():
    text = html(run_results.hostile())
    policy = next(a["content"] for t, a in Page(text).tags if t == "meta" and a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    script = re.search(r"<script>(.*?)</script>\s*</body>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy


def test_every_loss_is_listed_with_its_message_and_cause():
    page = Page(html(run_results.lost()))
    assert page.count("td", "missing") == 300
    assert page.count("td", "altered") == page.count("td", "duplicated") == 1
    assert page.count("td", "late") == page.count("td", "unexpected") == 1
    assert "14.52 → 41.52" in page.text
    assert "2 copies too many" in page.text
    assert "1 min 13 s after sending" in page.text


def test_a_list_of_losses_that_is_cut_says_so_and_where_the_rest_is():
    assert "1,000 of 8,123 messages; all are in losses.parquet" in Page(html(run_results.original())).text
    assert "losses.parquet" not in Page(html(run_results.lost())).text


def test_a_run_without_losses_has_no_such_table():
    assert 'id="losses"' not in html(run_results.passed())


def test_an_empty_run_still_makes_a_page():
    result = run_results.passed()
    result.boards, result.stores, result.stages, result.rate = [], [], [], []
    result.thresholds, result.ack_latency, result.witness = [], None, None
    page = Page(html(result))
    assert "The fleet file sets none." in page.text
    assert not any(tag == "svg" for tag, _ in page.tags)


def test_the_share_missing_decides_the_colour_of_a_cell():
    assert [level(100, found) for found in (100, 99, 95, 60, 10, 0)] == ["full", "m1", "m2", "m3", "m4", "m4"]
    assert level(0, 0) == "none"
    assert level(100, 101) == level(0, 1) == "over"


def test_the_heat_map_draws_what_deviates_cell_by_cell():
    boards = run_results.thousand().boards
    complete, short = str(heat_map(boards, "timestream")), str(heat_map(boards, "s3"))
    assert complete.count("<title>") == 0
    assert len(complete) < 10_000
    titles = re.findall(r"<title>(.*?)</title>", short)
    assert titles[:2] == ["1000 wf: 0 of 20", "1097 wf: 17 of 20"]
    assert len(titles) == 11


def test_sensors_that_a_board_does_not_carry_leave_a_gap():
    boards = [run_results.board(1, 5), run_results.board(2, 5), run_results.board(3, 5)]
    del boards[1].measures_expected["ph"], boards[1].measures["s3"]["ph"]
    picture = str(heat_map(boards, "s3"))
    assert picture.count('class="full"') == 8 + 2
    assert "<title>" not in picture


def test_twenty_thousand_boards_fit_one_page():
    some = run_results.board(0, 5)
    boards = [some.model_copy(update={"buoy_id": number}) for number in range(20_000)]
    assert len(heat_map(boards, "s3")) < 100_000


def test_the_pipeline_forks_where_a_store_ends_a_branch():
    laid = places(run_results.stages(10), frozenset({"timestream", "s3"}))
    parents = {place.stage.name: place.parent for place in laid}
    names = [place.stage.name for place in laid]
    assert [names[parents[name]] for name in names[1:]] == [
        "broker", "rules", "rules", "kinesis", "firehose", "lambda"
    ]  # fmt: skip
    assert {place.stage.name: place.lane for place in laid}["timestream"] == 1
    spots = [(place.column, place.lane) for place in laid]
    assert len(spots) == len(set(spots))


def test_a_long_run_is_drawn_with_few_points_and_keeps_its_sums():
    points = [RatePoint(t_s=float(n), planned=10, sent=10, acknowledged=9) for n in range(5000)]
    picture = str(rate_chart(points, 1.0))
    assert picture.count("<rect") <= 300
    assert "planned 170, sent 170, acknowledged 153" in picture


def test_latency_bars_survive_equal_and_zero_values():
    latency = run_results.latency(5)
    for value in (0.0, 1.0, 10.0, 3.3):
        same = dict.fromkeys(("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"), value)
        picture = str(latency_chart(latency.model_copy(update=same)))
        assert "nan" not in picture
        assert picture.count('class="bar"') == 5


def test_a_loss_without_identity_shows_dashes():
    result = run_results.passed()
    result.losses = [
        Loss(store="s3", kind="missing", buoy_id=1, seq=None, timestamp_ms=None, measures=["ph"])
    ]
    assert "s3 missing 1 – – ph" in Page(html(result)).text


def test_a_failure_opens_at_its_cause():
    result = run_results.lost()
    result.warnings.append("something else that is worth knowing")
    page = html(result)
    cause = page.index(result.diagnoses[0].sentence[:30])
    assert cause < page.index("something else that is worth knowing")
    assert cause < page.index("<h2>Stores")


def test_what_stands_between_backticks_is_code_and_nothing_else_becomes_markup():
    assert marked("set `link.outbox` to <5>") == "set <code>link.outbox</code> to &lt;5&gt;"
    assert marked("`<b>`") == "<code>&lt;b&gt;</code>"
    assert marked("a ` of somebody's <b>") == "a ` of somebody&#39;s &lt;b&gt;"


def test_metrics_that_are_not_zero_come_first():
    page = html(run_results.passed())
    assert page.index("TopicMatch <b>") < page.index("RuleMessageThrottled")
    assert "RuleMessageThrottled <b>" not in page  # zeros are a line of names


def test_a_phone_gets_charts_of_its_own_width():
    page = html(run_results.passed())
    wide, narrow = (
        re.findall(rf'<div class="{name}"><svg viewBox="0 0 (\d+) ', page) for name in ("wide", "narrow")
    )
    assert len(wide) == len(narrow) >= 3
    assert (set(wide), set(narrow)) == ({"860"}, {"400"})
    fleet = html(run_results.thousand())
    assert fleet.count("Measures found in s3") == 1  # so many boards are drawn once


def test_missed_thresholds_come_first_and_only_what_is_missing_is_absent_somewhere():
    page = html(run_results.lost())
    part = page[page.index("<h2>Thresholds") :]
    assert part.index('mark bad"') < part.index('mark good"')
    assert 'class="dim">0 measures' not in page
    for kind, words in re.findall(r"· (\S+)(?: in \w+)? · (first absent )?at ", page):
        assert (kind == "missing") == bool(words)


def test_of_more_boards_than_a_page_can_hold_those_in_trouble_are_listed():
    result = run_results.passed(boards=MAX_BOARD_ROWS + 30, messages=1)
    result.boards[-1].state = "failed"
    page = html(result)
    rows = re.findall(r'<td class="state (\w+)">', page)
    assert (len(rows), rows.count("failed")) == (MAX_BOARD_ROWS, 1)
    assert f"{MAX_BOARD_ROWS + 29:,} of {MAX_BOARD_ROWS + 30:,} passed; {MAX_BOARD_ROWS:,} are listed" in page


def test_latency_is_shown_for_every_store_or_why_it_is_not_known():
    result = run_results.passed()
    result.stores[0].latency_words = "the store does not say since when"
    result.stores[1].latency = run_results.latency(30)
    points = [LatencyPoint(t_s=t, count=3, p50_ms=5.0, p95_ms=8.0, p99_ms=9.0) for t in (0.0, 1.0, 5.0)]
    result.latencies = [LatencySeries(name="s3", interval_s=1.0, points=points)]
    page = html(result)
    assert "the store does not say since when" in page
    assert "visible in s3" in page
    assert page.count('class="dot p99"') == 2  # an interval apart is no line, on a screen and on a phone
    assert "5 s: p50 5 ms, p95 8 ms, p99 9 ms, 3 messages" in page
