"""Where objects lie: Firehose's own prefix, custom ones, and what is data and what failed."""

from pathlib import Path

import pytest
from twin_bench import Bench, drive, payload

from buoyfleet.cloud.local.bucket_layout import BucketLayout, PrefixError, expand
from buoyfleet.cloud.local.s3 import list_objects
from buoyfleet.model.fleet import TwinSpec

AT_NS = 1_795_429_500 * 10**9  # 2026-11-23 10:25:00 UTC


def test_without_a_prefix_objects_lie_under_the_hour() -> None:
    layout = BucketLayout()
    assert layout.data_prefix(AT_NS) == "2026/11/23/10/"
    assert layout.failed_prefix(AT_NS) == "processing-failed/2026/11/23/10/"


def test_custom_prefixes_are_filled_in() -> None:
    layout = BucketLayout(
        "buoys/year=!{timestamp:yyyy}/!{timestamp:MM-dd'T'HHmmss}/",
        "bad/!{firehose:error-output-type}/!{timestamp:yyyy}/",
    )
    assert layout.data_prefix(AT_NS) == "buoys/year=2026/11-23T102500/"
    assert layout.failed_prefix(AT_NS) == "bad/processing-failed/2026/"
    assert len(expand("!{firehose:random-string}", AT_NS)) == 11


@pytest.mark.parametrize(
    ("key", "data", "failed"),
    [
        ("2026/11/23/10/buoys-1", True, False),
        ("processing-failed/2026/11/23/10/buoys-1", False, True),
        ("rule-errors/x.json", False, False),
    ],
)
def test_data_is_told_from_what_failed_and_from_other_objects(key: str, data: bool, failed: bool) -> None:
    layout = BucketLayout(rule_errors=("rule-errors/",))
    assert (layout.is_data(key), layout.is_failed(key)) == (data, failed)


@pytest.mark.parametrize(
    "prefix", ["a/!{timestamp:EEE}/", "a/!{partitionKeyFromQuery:x}/", "a/!{timestamp:yyyy", "a/!{x:y}/"]
)
def test_what_the_twin_does_not_know_is_refused(prefix: str) -> None:
    with pytest.raises(PrefixError):
        BucketLayout(prefix)
    with pytest.raises(PrefixError):
        BucketLayout(error_prefix=prefix)
    with pytest.raises(PrefixError, match="error prefix alone"):
        BucketLayout("x/!{firehose:error-output-type}/")


def test_a_run_is_read_back_from_custom_prefixes_with_delimiter_and_gzip(tmp_path: Path) -> None:
    twin = TwinSpec(
        s3_prefix="buoys/!{timestamp:yyyy}/",
        s3_error_prefix="bad/!{firehose:error-output-type}/",
        s3_delimiter="\n",
        s3_gzip=True,
    )

    async def work(bench: Bench) -> None:
        bench.fleet(1, 3)
        # No id in the topic that the handler could make a number of: that record fails alone.
        bench.send(100, payload(3, bench.now_ms), topic="aws/0/abc/data/")
        await bench.pipeline.hurry()
        run = bench.collected()
        assert len(run.store("s3")) == 27
        assert run.problems == []
        keys = sorted(
            info.key.split("/")[0] for info in list_objects(Path(bench.pipeline.config.folder) / "s3")
        )
        assert keys == ["bad", "buoys"]
        (outcome,) = run.outcomes("lambda")
        assert "now under bad/processing-failed/" in outcome["detail"]

    drive(tmp_path, work, twin)


@pytest.mark.parametrize(
    ("prefix", "error_prefix"),
    [
        ("a/!{timestamp:yyyy}/", "a/!{timestamp:yyyy}/!{firehose:error-output-type}"),
        ("a/!{timestamp:yyyy}/", "a/!{firehose:error-output-type}/!{timestamp:yyyy}/"),
        ("a/!{firehose:random-string}/", "a/!{firehose:error-output-type}/"),
        ("", "!{timestamp:yyyy}/!{firehose:error-output-type}/"),
        ("!{timestamp:yyyy'-'MM}/x/", "!{timestamp:yyyy'-'MM}/"),
        ("", ""),
    ],
)
def test_what_failed_is_told_from_data_by_the_whole_prefix(prefix: str, error_prefix: str) -> None:
    layout = BucketLayout(prefix, error_prefix)
    data, failed = layout.data_prefix(AT_NS) + "buoys-1-x", layout.failed_prefix(AT_NS) + "buoys-1-x"
    assert (layout.is_data(data), layout.is_failed(data)) == (True, False)
    assert (layout.is_data(failed), layout.is_failed(failed)) == (False, True)
